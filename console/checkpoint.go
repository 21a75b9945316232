package console

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/listing"
)

// recentCheckpoints is how many stand below the log.
const recentCheckpoints = 5

// checkpointsView is the history of checkpoints, and how two of them compare.
type checkpointsView struct {
	ui.Page

	Base     string
	Archives string // address
	Origin   string
	Key      string
	Last     *checkpointRow
	Note     string // of the last
	Rows     []checkpointRow
	Pager    ui.Pager
	From     string // sizes that are compared
	To       string
	Problem  *ui.Problem
	Growth   *growthView
	Damaged  bool
	Anchor   anchorView
}

type checkpointRow struct {
	Size, Entries, Root string
	At                  ui.Moment
	Note                string
}

// growthView is what was found of two sizes.
type growthView struct {
	From, To string
	Hashes   int
	Holds    bool
}

func (c *Console) checkpointRow(one *trail.Checkpoint) checkpointRow {
	return checkpointRow{
		Size: strconv.FormatInt(one.Size, 10), Entries: ui.Count(int(one.Size), "entry"), Root: one.Root.String(), At: ui.At(one.SignedAt), Note: one.Note,
	}
}

func (c *Console) showCheckpoints(w http.ResponseWriter, r *http.Request, v *visit, p *place) {
	ctx, base := r.Context(), p.base+checkpointsPath
	view := checkpointsView{Base: base, Archives: p.base + auditArchivesPath, From: clean(r.URL.Query().Get("from")), To: clean(r.URL.Query().Get("to"))}
	last, err := c.trail.Checkpoint(ctx, p.sc)
	var page listing.Page[trail.Checkpoint]
	if err == nil {
		page, err = c.trail.Checkpoints(ctx, p.sc, listing.Request{PageSize: 50, PageToken: r.URL.Query().Get("after")})
	}
	switch {
	case errors.Is(err, trail.ErrWaiting):
	case errors.Is(err, trail.ErrDamaged):
		c.log.ErrorContext(ctx, "audit log is damaged", "err", err)
		view.Damaged = true
	case err != nil:
		c.fail(w, r, v, err)
		return
	default:
		row := c.checkpointRow(&last)
		view.Last, view.Origin, view.Key, view.Note = &row, last.Origin, last.VerifierKey, last.Note
	}
	if view.Last != nil {
		if view.Anchor, err = c.anchorView(ctx, p); err != nil {
			c.fail(w, r, v, err)
			return
		}
	}
	status := http.StatusOK
	if view.Last != nil && view.From != "" {
		if view.Growth, err = c.growth(r, p, view.From, view.To); err != nil {
			problem, code := c.inForm(r, err)
			if problem == nil {
				c.fail(w, r, v, err)
				return
			}
			view.Problem, status = problem, code
		}
	}
	for i := range page.Items {
		view.Rows = append(view.Rows, c.checkpointRow(&page.Items[i]))
	}
	view.Pager = ui.Pager{Says: ui.Count(len(view.Rows), "checkpoint"), ByTime: true}
	view.Pager.Turn(ui.Address{Path: base}, r.URL.Query(), page.NextToken)
	view.Page = c.frame(w, r, v, p, "Checkpoints", p.base+auditPath, ui.Link{Href: p.base + auditPath, Label: "Audit log"})
	c.render(w, r, status, c.checkpointsPage(view))
}

// growth compares the log at two sizes, by checkpoints that are kept of them.
func (c *Console) growth(r *http.Request, p *place, fromText, toText string) (*growthView, error) {
	from, to, err := sizes(fromText, toText)
	if err != nil {
		return nil, err
	}
	g, err := c.trail.Grown(r.Context(), p.sc, from, to)
	if errors.Is(err, trail.ErrDamaged) {
		return &growthView{From: fromText, To: toText}, nil
	} else if err != nil {
		return nil, err
	}
	return &growthView{From: ui.Count(int(g.From), "entry"), To: ui.Count(int(g.To), "entry"), Hashes: len(g.Hashes), Holds: true}, nil
}

func sizes(fromText, toText string) (from, to int64, err error) {
	if from, err = strconv.ParseInt(fromText, 10, 64); err != nil {
		return 0, 0, trail.ErrSizes
	}
	if toText == "" {
		return from, 0, nil
	}
	if to, err = strconv.ParseInt(toText, 10, 64); err != nil || to == 0 {
		return 0, 0, trail.ErrSizes
	}
	return from, to, nil
}

// checkpointJSON and what holds it are as the API has them, so that a file from here is checked as an answer is.
type checkpointJSON struct {
	Origin   string    `json:"origin"`
	Size     int64     `json:"size"`
	RootHash string    `json:"rootHash"`
	SignedAt time.Time `json:"signedAt"`
	Note     string    `json:"note"`
}

type proofJSON struct {
	Sequence    int64          `json:"sequence"`
	SequencedAt time.Time      `json:"sequencedAt"`
	Entry       string         `json:"entry"`
	LeafHash    string         `json:"leafHash"`
	Hashes      []string       `json:"hashes"`
	Checkpoint  checkpointJSON `json:"checkpoint"`
	VerifierKey string         `json:"verifierKey"`
	Private     []privateJSON  `json:"private,omitempty"`
}

type privateJSON struct {
	SubjectID string `json:"subjectId,omitempty"`
	State     string `json:"state"`
	Text      string `json:"text,omitempty"`
}

type growthJSON struct {
	From       int64          `json:"from"`
	To         int64          `json:"to"`
	Hashes     []string       `json:"hashes"`
	Checkpoint checkpointJSON `json:"checkpoint"`
}

func checkpointOf(one *trail.Checkpoint) checkpointJSON {
	return checkpointJSON{one.Origin, one.Size, one.Root.String(), one.SignedAt, one.Note}
}

func hashesOf(list []merkle.Hash) []string {
	out := make([]string, len(list))
	for i, h := range list {
		out[i] = h.String()
	}
	return out
}

// proveEntry answers an entry's inclusion proof: a file for people, and what the page's script verifies.
func (c *Console) proveEntry(w http.ResponseWriter, r *http.Request, _ *visit, p *place) {
	one, err := c.auditEntry(r.Context(), p, r.PathValue("id"))
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	proof, err := c.trail.Prove(r.Context(), p.sc, one.ID)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	attachment(w, "application/json; charset=utf-8", "audit-proof-"+one.ID.String()+".json")
	out := proofJSON{
		proof.Seq, proof.SequencedAt, proof.Entry, merkle.Leaf(proof.Seq, proof.Entry).String(), hashesOf(proof.Hashes), checkpointOf(&proof.Checkpoint), proof.Checkpoint.VerifierKey, nil,
	}
	for _, part := range proof.Private {
		one := privateJSON{State: strings.ToUpper(string(part.State)), Text: part.Text}
		if part.Subject != uuid.Nil {
			one.SubjectID = part.Subject.String()
		}
		out.Private = append(out.Private, one)
	}
	c.reply(w, r, http.StatusOK, out)
}

// proveGrowth answers a consistency proof, for the page's script.
func (c *Console) proveGrowth(w http.ResponseWriter, r *http.Request, _ *visit, p *place) {
	from, to, err := sizes(r.URL.Query().Get("from"), r.URL.Query().Get("to"))
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	g, err := c.trail.Grown(r.Context(), p.sc, from, to)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	c.reply(w, r, http.StatusOK, growthJSON{g.From, g.To, hashesOf(g.Hashes), checkpointOf(&g.Checkpoint)})
}
