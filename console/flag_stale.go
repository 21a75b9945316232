package console

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/flag"
)

const staleFlagsPath = "/stale-flags"

// usedRow is how a flag was evaluated in an environment in the last seven days.
type usedRow struct {
	Never  bool
	Last   ui.Moment
	Shares string // 73.5% off, 26.5% on; empty: not in these days
	Parts  []ui.Part
}

func (c *Console) usedRow(used map[string]flag.Usage, key string) usedRow {
	u, ok := used[key]
	if !ok {
		return usedRow{Never: true}
	}
	row := usedRow{Last: ui.Ago(*u.Last, c.now())}
	total := u.Total()
	var words []string
	for i, name := range slices.Sorted(maps.Keys(u.Served)) {
		share := float64(u.Served[name]) / float64(total)
		part := ui.Part{Name: name, Class: "c" + strconv.Itoa(i%6+1), Value: ui.Percent(share), Share: share}
		if name == "" {
			part.Name = "the code’s default"
		}
		row.Parts, words = append(row.Parts, part), append(words, part.Value+" "+part.Name)
	}
	row.Shares = strings.Join(words, ", ")
	return row
}

// staleRow is a flag that may be taken out of the code.
type staleRow struct {
	Href, Name, Key, Owner string
	Why                    string
	Never                  bool
	Last                   ui.Moment
}

type staleView struct {
	ui.Page

	Days []ui.Segment
	N    string
	Rows []staleRow
}

func (c *Console) showStaleFlags(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	days := flag.StaleDays
	if text := r.URL.Query().Get("days"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			c.fail(w, r, v, flag.ErrDays)
			return
		}
		days = n
	}
	list, err := c.flags.Stale(r.Context(), p.sc, days)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	view := staleView{
		Page: c.frame(w, r, v, p, "Stale flags", p.base+flagsPath, ui.Link{Href: p.base + flagsPath, Label: "Feature flags"}), N: ui.Count(days, "day"),
	}
	for _, n := range []int{7, 30, 90} {
		view.Days = append(view.Days, ui.Segment{Href: p.base + staleFlagsPath + "?days=" + strconv.Itoa(n), Label: ui.Count(n, "day"), Here: n == days})
	}
	for i := range list {
		one := &list[i]
		row := staleRow{Href: p.base + flagsPath + "/" + one.Key, Name: one.Name, Key: one.Key, Owner: one.Owner, Why: staleWords(one), Never: one.Last == nil}
		if one.Last != nil {
			row.Last = ui.Ago(*one.Last, c.now())
		}
		view.Rows = append(view.Rows, row)
	}
	c.render(w, r, http.StatusOK, c.stalePage(view))
}

// staleWords says why a flag is stale.
func staleWords(s *flag.Stale) string {
	words := make([]string, len(s.Reasons))
	for i, reason := range s.Reasons {
		switch reason {
		case flag.NeverEvaluated:
			words[i] = "never evaluated"
		case flag.NotEvaluated:
			words[i] = "no longer evaluated"
		case flag.OffEverywhere:
			words[i] = "off in every environment"
		case flag.Overdue:
			words[i] = "should be gone by now"
		case flag.SingleVariant:
			if words[i] = "everybody gets " + s.Variant; s.Variant == "" {
				words[i] = "everybody gets the same in each environment"
			}
		}
	}
	return ui.Upper(strings.Join(words, "; "))
}
