package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/anchor"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/merkle"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// anchorJSON is an anchored head, as the API spells it.
type anchorJSON struct {
	Origin      string           `json:"origin"`
	Size        int64            `json:"size"`
	RootHash    string           `json:"rootHash"`
	AnchoredAt  time.Time        `json:"anchoredAt"`
	Entry       string           `json:"entry"`
	Sequence    int64            `json:"sequence"`
	Hashes      []merkle.Hash    `json:"hashes"`
	Checkpoint  anchorCheckpoint `json:"checkpoint"`
	VerifierKey string           `json:"verifierKey"`
	Object      string           `json:"object"`
	Version     string           `json:"objectVersion,omitempty"`
	StoredAt    time.Time        `json:"storedAt"`
	LockedUntil *time.Time       `json:"lockedUntil,omitempty"`
	LockProblem string           `json:"lockProblem,omitempty"`
}

type anchorCheckpoint struct {
	Origin   string    `json:"origin"`
	Size     int64     `json:"size"`
	RootHash string    `json:"rootHash"`
	SignedAt time.Time `json:"signedAt"`
	Note     string    `json:"note"`
}

func toAnchorJSON(a *anchor.Anchored) anchorJSON {
	out := anchorJSON{
		Origin: a.Head.Origin, Size: a.Head.Size, RootHash: a.Head.Root.String(), AnchoredAt: a.Proof.AnchoredAt, Entry: a.Proof.Entry, Sequence: a.Proof.Sequence,
		Hashes: a.Proof.Hashes, Checkpoint: anchorCheckpoint{a.Note.Origin, a.Note.Size, a.Note.Root.String(), a.Proof.AnchoredAt, a.Proof.Checkpoint.Note},
		VerifierKey: a.Proof.VerifierKey, Object: a.Object, Version: a.Version, StoredAt: a.StoredAt, LockProblem: a.Problem,
	}
	if !a.LockedUntil.IsZero() {
		out.LockedUntil = &a.LockedUntil
	}
	return out
}

// runAuditAnchor reads the object itself: whoever runs it needs to reach object storage. It prints JSON either way.
func runAuditAnchor(ctx context.Context, env *environment, args []string) error {
	const command = "audit anchor"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the log's tenant")
	key := fs.Bool("key", false, "print the verifier key of the log of heads instead: it is the same for all tenants")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		if c.objectStorageURL == "" {
			return anchor.ErrNone
		}
		bucket, err := blob.Open(ctx, c.objectStorageURL)
		if err != nil {
			return fmt.Errorf("object storage: %w", err)
		}
		last, err := anchor.New(anchor.Options{Store: c.store, Keys: c.keys, Objects: bucket}).Last(ctx, sc)
		switch {
		case err != nil:
			return err
		case *key:
			_, err = fmt.Fprintln(env.out, last.Proof.VerifierKey)
			return err
		}
		return printJSON(env.out, toAnchorJSON(&last))
	})
}

// readAnchor reads what runAuditAnchor or the API has answered, and checks it.
func readAnchor(env *environment, name, key string) (bundle.Head, error) {
	raw, err := readDocument(env, name, maxFile)
	if err != nil {
		return bundle.Head{}, fmt.Errorf("read the anchor: %w", err)
	}
	var a bundle.AnchoredHead
	if err := json.Unmarshal(raw, &a); err != nil {
		return bundle.Head{}, fmt.Errorf("read the anchor: %w: %w", bundle.ErrAnchor, err)
	}
	return a.Check(key)
}

// fromFile reads the file that a flag names with @.
func fromFile(env *environment, value *string) error {
	if name, ok := strings.CutPrefix(*value, "@"); ok {
		raw, err := readDocument(env, name, maxFile)
		if err != nil {
			return fmt.Errorf("read the key: %w", err)
		}
		*value = strings.TrimSpace(string(raw))
	}
	return nil
}
