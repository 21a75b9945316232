package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"

	"codeberg.org/go-pdf/fpdf"
)

// The fonts of the pages: DejaVu Sans Condensed, whose licence (font/LICENSE) permits embedding. It has Latin, Greek,
// Cyrillic, Armenian, Georgian, Hebrew and Arabic; what it has not is printed as its code point.
var (
	//go:embed font/DejaVuSansCondensed.ttf
	regular []byte
	//go:embed font/DejaVuSansCondensed-Bold.ttf
	bold []byte
)

const fontFamily = "DejaVu"

// Sizes of the pages, in millimetres, and of type, in points.
const (
	margin     = 18.0
	marginFoot = 20.0
	width      = 210 - 2*margin
	lineHeight = 4.6

	ptTitle, ptHeading, ptText, ptSmall, ptQuery = 20, 12, 9, 7.5, 6.5
)

// color is red, green, blue.
type color [3]int

// The colours: text, text of less weight, lines, ground, and one for each result.
var (
	ink    = color{17, 24, 39}
	faint  = color{90, 98, 113}
	rule   = color{216, 220, 228}
	ground = color{245, 246, 249}
	tones  = map[Result]color{Met: {4, 108, 78}, NotMet: {185, 28, 44}, NoEvidence: {133, 88, 0}}
)

// signs stand beside the words, for whoever cannot tell the colours.
var signs = map[Result]string{Met: "✓", NotMet: "✗", NoEvidence: "○"}

// words are what a result is called.
var resultWords = map[Result]string{Met: "Met", NotMet: "Not met", NoEvidence: "No evidence"}

// paper is a PDF on its way.
type paper struct {
	*fpdf.Fpdf
	body *Body
}

// PDF is the body as pages for people. Nothing in it depends on when it is made: the same body gives the same bytes.
func (b *Body) PDF() ([]byte, error) {
	p := &paper{Fpdf: fpdf.New("P", "mm", "A4", ""), body: b}
	p.SetCatalogSort(true)
	p.SetCreationDate(b.Period.To) // not when it was made, which stands in the manifest
	p.SetModificationDate(b.Period.To)
	p.SetProducer("Biocore", true)
	p.SetTitle(legible(b.Catalogue.Title+", "+b.Period.Text), true)
	p.SetAuthor(legible(b.Tenant.Name), true)
	p.SetLang("en-GB")
	p.AddUTF8FontFromBytes(fontFamily, "", regular)
	p.AddUTF8FontFromBytes(fontFamily, "B", bold)
	p.SetMargins(margin, margin, margin)
	p.SetAutoPageBreak(true, marginFoot)
	p.AliasNbPages("{pages}")
	p.SetFooterFunc(p.foot)
	p.AddPage()
	p.cover()
	p.overview()
	p.evidence()
	p.queries()
	p.lists()
	var out bytes.Buffer
	if err := p.Output(&out); err != nil {
		return nil, fmt.Errorf("print report: %w", err)
	}
	return out.Bytes(), nil
}

// foot says on every page what it is of.
func (p *paper) foot() {
	w, h := p.GetPageSize()
	p.SetDrawColor(rule[0], rule[1], rule[2])
	p.SetLineWidth(.2)
	p.Line(margin, h-15, w-margin, h-15)
	p.SetXY(margin, h-13)
	p.font("", ptSmall, faint)
	p.CellFormat(w-2*margin-30, 4, p.cut(p.body.Tenant.Name+"  ·  "+p.body.Catalogue.Title+"  ·  "+p.body.Period.Text, w-2*margin-32), "", 0, "L", false, 0, "")
	p.SetX(w - margin - 18) // the library knows how wide the number of pages is when it is too late to align it
	p.CellFormat(18, 4, fmt.Sprintf("Page %d of {pages}", p.PageNo()), "", 0, "L", false, 0, "")
}

func (p *paper) font(style string, size float64, c color) {
	p.SetFont(fontFamily, style, size)
	p.SetTextColor(c[0], c[1], c[2])
}

// cut is as much of a text as fits into a width.
func (p *paper) cut(text string, w float64) string {
	text = legible(text)
	if p.GetStringWidth(text) <= w {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && p.GetStringWidth(string(runes)+"…") > w {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// lines wraps a text to a width.
func (p *paper) lines(text string, w float64) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = legible(line); line == "" {
			continue
		}
		out = append(out, p.SplitText(line, w)...)
	}
	return out
}

// write writes a text from x on, wrapped to a width, in lines of a height.
func (p *paper) write(x, w, height float64, text string) {
	for _, line := range p.lines(text, w) {
		p.room(height)
		p.SetX(x)
		p.CellFormat(w, height, line, "", 1, "L", false, 0, "")
	}
}

// room begins a new page unless a height is left on this one.
func (p *paper) room(height float64) {
	_, h := p.GetPageSize()
	if p.GetY()+height > h-marginFoot {
		p.AddPage()
	}
}

// heading begins a part. It stays with what follows.
func (p *paper) heading(text string) {
	p.room(24)
	p.Ln(5)
	p.font("B", ptHeading, ink)
	p.CellFormat(0, 7, legible(text), "", 1, "L", false, 0, "")
	p.Ln(1)
}

func (p *paper) cover() {
	b := p.body
	p.font("B", ptSmall, faint)
	p.CellFormat(0, 5, "COMPLIANCE REPORT", "", 1, "L", false, 0, "")
	p.font("B", ptTitle, ink)
	for _, line := range p.lines(b.Catalogue.Title, width) {
		p.CellFormat(0, 10, line, "", 1, "L", false, 0, "")
	}
	p.font("", ptHeading, faint)
	p.write(margin, width, 6, b.Catalogue.Standard+", "+b.Period.Text)
	p.Ln(5)

	period := b.Period.From.Format("2 January 2006, 15:04") + " to " + b.Period.To.Format("2 January 2006, 15:04") + " UTC"
	if !b.Period.Over {
		period += "; it was not over when this report was made"
	}
	log := "none were sequenced in this period"
	if b.Log.Next > b.Log.First {
		log = thousands(b.Log.First) + " to " + thousands(b.Log.Next-1)
		if b.Log.Missing > 0 {
			log += "; the first " + thousands(b.Log.Missing) + " are archived and were not counted"
		}
	}
	compared := "with no other report: of the period before there was none of this catalogue"
	if b.Before != nil {
		compared = "with that of " + b.Before.Text + ", " + b.Before.ReportID.String() + ", SHA-256 " + b.Before.SHA256
	}
	for _, f := range [][2]string{
		{"Tenant", b.Tenant.Name + " (" + b.Tenant.Slug + ", " + b.Tenant.ID.String() + ")"},
		{"Period", period},
		{"Audit entries", log},
		{"Catalogue", b.Catalogue.Name + ", version " + b.Catalogue.Version + ", SHA-256 " + b.Catalogue.SHA256},
		{"Compared", compared},
	} {
		p.fact(f[0], f[1])
	}
	p.Ln(4)
	p.tally()
	if b.Silent != "" {
		p.notice("No control is met: " + b.Silent + ".")
	}
	p.Ln(3)
	p.font("", ptText, faint)
	if b.Catalogue.About != "" {
		p.write(margin, width, lineHeight, b.Catalogue.About)
		p.Ln(2)
	}
	p.write(margin, width, lineHeight, "A report says what the records show. Whether that makes anybody compliant is for an auditor to say. The same period of the same records gives "+
		"the same file, byte for byte; when and for whom this one was made stands in manifest.json beside it, and a signature beside each.")
}

func (p *paper) fact(name, text string) {
	p.font("", ptText, faint)
	p.room(lineHeight)
	y := p.GetY()
	p.CellFormat(30, lineHeight+.6, name, "", 0, "L", false, 0, "")
	p.font("", ptText, ink)
	p.SetY(y)
	p.write(margin+30, width-30, lineHeight+.6, text)
}

// tally is how many controls came to what.
func (p *paper) tally() {
	c := p.body.Counts
	w, h, y := width/4, 17.0, p.GetY()
	p.SetDrawColor(rule[0], rule[1], rule[2])
	p.SetLineWidth(.25)
	p.RoundedRect(margin, y, width, h, 1.5, "1234", "D")
	for i, box := range []struct {
		name   string
		n      int
		number color
	}{
		{"Controls", len(p.body.Controls), ink}, {"✓ Met", c.Met, tones[Met]}, {"✗ Not met", c.NotMet, tones[NotMet]}, {"○ No evidence", c.NoEvidence, tones[NoEvidence]},
	} {
		x := margin + float64(i)*w
		if i > 0 {
			p.Line(x, y, x, y+h)
		}
		p.SetXY(x+4, y+2.5)
		p.font("", ptSmall+.5, faint)
		p.CellFormat(w-8, 4, box.name, "", 0, "L", false, 0, "")
		p.SetXY(x+4, y+7.5)
		p.font("B", 16, box.number)
		p.CellFormat(w-8, 7, thousands(int64(box.n)), "", 0, "L", false, 0, "")
	}
	p.SetXY(margin, y+h+2)
}

func (p *paper) notice(text string) {
	p.Ln(2)
	p.font("B", ptText, tones[NoEvidence])
	p.write(margin, width, lineHeight, "○ "+text)
}

// overview lists the controls and what each came to.
func (p *paper) overview() {
	p.heading("Controls")
	const wID, wResult = 26.0, 34.0
	head := func() {
		p.font("B", ptSmall, faint)
		p.CellFormat(wID, 6, "Control", "B", 0, "L", false, 0, "")
		p.CellFormat(width-wID-wResult, 6, "Requirement", "B", 0, "L", false, 0, "")
		p.CellFormat(wResult, 6, "Result", "B", 1, "L", false, 0, "")
	}
	head()
	section := ""
	for i := range p.body.Controls {
		c := &p.body.Controls[i]
		p.font("B", ptText, ink)
		titles := p.lines(c.Title, width-wID-wResult-4)
		p.font("", ptSmall, faint)
		below := p.lines(c.summary(), width-wID-wResult-4)
		p.font("B", ptSmall, faint)
		ids := p.lines(c.ID, wID-2)
		height := max(float64(len(titles))*lineHeight+float64(len(below))*3.8, float64(len(ids))*lineHeight) + 3
		need := height
		if c.Section != section {
			need += 7
		}
		page := p.PageNo()
		if p.room(need); p.PageNo() != page {
			head()
			section = ""
		}
		if c.Section != section {
			section = c.Section
			p.SetFillColor(ground[0], ground[1], ground[2])
			p.font("B", ptSmall+.5, ink)
			p.CellFormat(width, 6.5, p.cut(section, width-4), "B", 1, "L", true, 0, "")
		}
		y := p.GetY()
		p.SetY(y + 1.5)
		p.font("", ptSmall+.5, faint)
		for _, line := range ids {
			p.SetX(margin)
			p.CellFormat(wID, lineHeight, line, "", 1, "L", false, 0, "")
		}
		p.SetY(y + 1.5)
		p.font("B", ptText, ink)
		for _, line := range titles {
			p.SetX(margin + wID)
			p.CellFormat(width-wID-wResult, lineHeight, line, "", 1, "L", false, 0, "")
		}
		p.font("", ptSmall, faint)
		for _, line := range below {
			p.SetX(margin + wID)
			p.CellFormat(width-wID-wResult, 3.8, line, "", 1, "L", false, 0, "")
		}
		p.SetXY(margin+width-wResult, y+1.5)
		p.font("B", ptText, tones[c.Result])
		p.CellFormat(wResult, lineHeight, signs[c.Result]+"  "+resultWords[c.Result], "", 0, "L", false, 0, "")
		p.SetDrawColor(rule[0], rule[1], rule[2])
		p.SetLineWidth(.2)
		p.Line(margin, y+height, margin+width, y+height)
		p.SetXY(margin, y+height)
	}
}

// Deciding returns the finding that a control's result hangs on; nil: it has none.
func (c *BodyControl) Deciding() *Finding {
	for i := range c.Findings {
		if c.Findings[i].Result == c.Result {
			return &c.Findings[i]
		}
	}
	return nil
}

// summary is a line of why a control came to what it did, and one of what it came to before.
func (c *BodyControl) summary() string {
	f := c.Deciding()
	var text string
	switch {
	case f == nil:
		text = c.Outside
	case f.Why != "":
		text = f.Title + ": " + f.Why
	default:
		text = f.Title + ": " + f.Text()
	}
	if c.Before == nil {
		return text
	}
	text += "\n" + c.Before.Text()
	if f != nil && f.Before != nil {
		text += ", " + f.BeforeText()
	}
	return text
}

// evidence is each control with what was measured.
func (p *paper) evidence() {
	p.AddPage()
	p.heading("Evidence")
	for i := range p.body.Controls {
		c := &p.body.Controls[i]
		p.room(28)
		p.Ln(2)
		y := p.GetY()
		p.font("B", ptText+.5, ink)
		p.write(margin, width-36, lineHeight+.4, c.ID+"  "+c.Title)
		end := p.GetY()
		if end > y {
			p.SetXY(margin+width-34, y)
			p.font("B", ptText, tones[c.Result])
			p.CellFormat(34, lineHeight+.4, signs[c.Result]+"  "+resultWords[c.Result], "", 0, "R", false, 0, "")
			p.SetXY(margin, end)
		}
		p.font("", ptSmall+.5, faint)
		p.write(margin, width, 4.2, c.Requirement)
		if c.Outside != "" {
			p.font("", ptText, ink)
			p.write(margin+4, width-4, lineHeight, "Held outside Biocore: "+c.Outside)
		}
		for j := range c.Findings {
			p.finding(&c.Findings[j])
		}
		p.Ln(1.5)
		p.SetDrawColor(rule[0], rule[1], rule[2])
		p.Line(margin, p.GetY(), margin+width, p.GetY())
	}
}

func (p *paper) finding(f *Finding) {
	p.room(14)
	p.Ln(1.2)
	p.font("", ptText, tones[f.Result])
	y := p.GetY()
	p.SetX(margin + 4)
	p.CellFormat(5, lineHeight, signs[f.Result], "", 0, "L", false, 0, "")
	p.SetY(y)
	p.font("", ptText, ink)
	p.write(margin+9, width-9, lineHeight, f.Title+": "+f.Text())
	p.font("", ptSmall, faint)
	note := "Expected " + f.Expected() + " " + f.Unit
	if f.Why != "" {
		note += ". No evidence: " + f.Why
	}
	p.write(margin+9, width-9, 3.8, note+".")
	where := "The audit log has no entry of it in this period"
	switch {
	case f.Evidence.First != nil && f.Evidence.Entries == 1:
		where = "Audit entry " + thousands(*f.Evidence.First)
	case f.Evidence.First != nil:
		where = thousands(f.Evidence.Entries) + " audit entries, numbers " + thousands(*f.Evidence.First) + " to " + thousands(*f.Evidence.Last)
	}
	p.write(margin+9, width-9, 3.8, where+". "+basisWords[f.Basis]+" Measurement "+f.Measure+".")
}

// basisWords say what a figure is of.
var basisWords = map[Basis]string{
	OfPeriod: "Counted of what was recorded in the period.",
	OfState:  "Counted of what was stored when the report was made.",
	OfLog:    "Counted of the period's audit entries.",
}

// queries prints what was asked, once each.
func (p *paper) queries() {
	p.AddPage()
	p.heading("Queries")
	p.font("", ptText, faint)
	p.write(margin, width, lineHeight, "What each measurement asked, as it ran: behind the tenant's wall, which shows it this tenant's rows alone.")
	printed := map[string]bool{}
	for i := range p.body.Controls {
		for j := range p.body.Controls[i].Findings {
			f := &p.body.Controls[i].Findings[j]
			if printed[f.Measure] {
				continue
			}
			printed[f.Measure] = true
			p.room(16)
			p.Ln(2.5)
			p.font("B", ptSmall+.5, ink)
			p.write(margin, width, 4.4, f.Measure+"  "+f.Title)
			p.font("", ptQuery, faint)
			p.write(margin, width, 3.2, strings.ReplaceAll(f.Query, "\t", "  "))
		}
	}
}

// lists prints the lists on pages that lie.
func (p *paper) lists() {
	for i := range p.body.Lists {
		p.list(&p.body.Lists[i])
	}
}

func (p *paper) list(l *BodyList) {
	if len(l.Rows) == 0 {
		p.heading(l.Title)
		p.font("", ptText, faint)
		p.write(margin, width, lineHeight, "There are none.")
		return
	}
	p.AddPageFormat("L", p.GetPageSizeStr("A4"))
	p.heading(l.Title)
	full, h := p.GetPageSize()
	widths := p.widths(l, full-2*margin)
	head := func() {
		p.font("B", ptSmall, faint)
		for i, name := range l.Columns {
			p.CellFormat(widths[i], 6, p.cut(strings.ReplaceAll(name, "_", " "), widths[i]-2), "B", 0, "L", false, 0, "")
		}
		p.Ln(6)
	}
	head()
	for _, row := range l.Rows {
		p.font("", ptSmall, ink)
		cells, most := make([][]string, len(row)), 1
		for i, cell := range row {
			cells[i] = p.lines(cell, widths[i]-2)
			most = max(most, len(cells[i]))
		}
		height := float64(most)*3.8 + 1.6
		if p.GetY()+height > h-marginFoot {
			p.AddPageFormat("L", p.GetPageSizeStr("A4"))
			head()
			p.font("", ptSmall, ink)
		}
		x, y := margin, p.GetY()
		for i, lines := range cells {
			for j, line := range lines {
				p.SetXY(x, y+.8+float64(j)*3.8)
				p.CellFormat(widths[i], 3.8, line, "", 0, "L", false, 0, "")
			}
			x += widths[i]
		}
		p.SetDrawColor(rule[0], rule[1], rule[2])
		p.SetLineWidth(.15)
		p.Line(margin, y+height, full-margin, y+height)
		p.SetXY(margin, y+height)
	}
	if l.More {
		p.notice(fmt.Sprintf("Only the first %s are listed.", thousands(maxRows)))
	}
}

// widths shares a width among columns by what is in them: none gets less than its name needs nor more than a third.
func (p *paper) widths(l *BodyList, full float64) []float64 {
	out, sum := make([]float64, len(l.Columns)), 0.0
	for i, name := range l.Columns {
		p.font("B", ptSmall, faint)
		out[i] = p.GetStringWidth(name)
		p.font("", ptSmall, ink)
		for _, row := range l.Rows[:min(len(l.Rows), 200)] {
			out[i] = max(out[i], min(p.GetStringWidth(legible(row[i])), full/3))
		}
		out[i] += 3
		sum += out[i]
	}
	for i := range out {
		out[i] *= full / sum
	}
	return out
}
