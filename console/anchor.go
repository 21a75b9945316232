package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/biocore-id/biocore/console/ui"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/fault"
)

// anchorView is the last head of the log that is in object storage.
type anchorView struct {
	None    bool
	Away    bool // object storage does not answer
	Damaged bool
	Entries string
	At      ui.Moment
	Locked  bool
	Until   ui.Moment
	Problem string // why it is not locked
	Object  string
	Version string
	Key     string
	Proof   string // address of the proof
}

// anchorWait is how long a page waits for object storage.
const anchorWait = 3 * time.Second

func (c *Console) anchorView(ctx context.Context, p *place) (anchorView, error) {
	ctx, cancel := context.WithTimeout(ctx, anchorWait)
	defer cancel()
	a, err := c.anchors.Last(ctx, p.sc)
	switch f, ok := fault.As(err); {
	case errors.Is(err, anchor.ErrNone):
		return anchorView{None: true}, nil
	case errors.Is(err, anchor.ErrDamaged):
		c.log.ErrorContext(ctx, "an anchor of audit logs is damaged", "err", err)
		return anchorView{Damaged: true}, nil
	case ok && f.Kind == fault.Unavailable:
		return anchorView{Away: true}, nil
	case err != nil:
		return anchorView{}, err
	}
	return anchorView{
		Entries: ui.Count(int(a.Head.Size), "entry"), At: ui.At(a.Proof.AnchoredAt), Locked: !a.LockedUntil.IsZero(), Until: ui.At(a.LockedUntil), Problem: a.Problem,
		Object: a.Object, Version: a.Version, Key: a.Proof.VerifierKey, Proof: p.base + checkpointsPath + "/anchor",
	}, nil
}

// anchorJSON is as the API has it: biocore audit verify --anchor reads the file.
type anchorJSON struct {
	Origin      string         `json:"origin"`
	Size        int64          `json:"size"`
	RootHash    string         `json:"rootHash"`
	AnchoredAt  time.Time      `json:"anchoredAt"`
	Entry       string         `json:"entry"`
	Sequence    int64          `json:"sequence"`
	Hashes      []string       `json:"hashes"`
	Checkpoint  checkpointJSON `json:"checkpoint"`
	VerifierKey string         `json:"verifierKey"`
	Object      string         `json:"object"`
	Version     string         `json:"objectVersion"`
}

// proveAnchor answers the anchored head with its proof, a file.
func (c *Console) proveAnchor(w http.ResponseWriter, r *http.Request, _ *visit, p *place) {
	a, err := c.anchors.Last(r.Context(), p.sc)
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	attachment(w, "application/json; charset=utf-8", "audit-anchor-"+p.sc.Tenant().String()+".json")
	c.reply(w, r, http.StatusOK, anchorJSON{
		Origin: a.Head.Origin, Size: a.Head.Size, RootHash: a.Head.Root.String(), AnchoredAt: a.Proof.AnchoredAt, Entry: a.Proof.Entry, Sequence: a.Proof.Sequence,
		Hashes: hashesOf(a.Proof.Hashes), Checkpoint: checkpointJSON{a.Note.Origin, a.Note.Size, a.Note.Root.String(), a.Proof.AnchoredAt, a.Proof.Checkpoint.Note},
		VerifierKey: a.Proof.VerifierKey, Object: a.Object, Version: a.Version,
	})
}
