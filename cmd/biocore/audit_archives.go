package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// auditArchiveJSON is an archive, as the API spells it.
type auditArchiveJSON struct {
	From        int64      `json:"from"`
	To          int64      `json:"to"`
	FirstAt     time.Time  `json:"firstAt"`
	LastAt      time.Time  `json:"lastAt"`
	Bytes       int64      `json:"bytes"`
	SHA256      string     `json:"sha256"`
	Objects     []string   `json:"objects"`
	Versions    []string   `json:"objectVersions"`
	ArchivedAt  time.Time  `json:"archivedAt"`
	LockedUntil *time.Time `json:"lockedUntil,omitempty"`
	LockProblem string     `json:"lockProblem,omitempty"`
}

func toAuditArchiveJSON(s *cold.Service, sc scope.Scope, a *cold.Archive) auditArchiveJSON {
	out := auditArchiveJSON{
		From: a.From, To: a.To, FirstAt: a.First, LastAt: a.Last, Bytes: a.Bytes, SHA256: hex.EncodeToString(a.SHA256), Objects: s.Addresses(sc, a),
		Versions: a.Versions, ArchivedAt: a.ArchivedAt, LockProblem: a.Problem,
	}
	if !a.LockedUntil.IsZero() {
		out.LockedUntil = &a.LockedUntil
	}
	return out
}

// auditArchives is the service with the object storage of the configuration.
func (c *control) auditArchives(ctx context.Context) (*cold.Service, error) {
	var objects *blob.Bucket
	if c.objectStorageURL != "" {
		var err error
		if objects, err = blob.Open(ctx, c.objectStorageURL); err != nil {
			return nil, fmt.Errorf("object storage: %w", err)
		}
	}
	return cold.New(cold.Options{Store: c.store, Trail: c.trail, Objects: objects}), nil
}

func runAuditArchivesList(ctx context.Context, env *environment, args []string) error {
	const command = "audit archives list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the log's tenant")
	limit := fs.Int("limit", maxPrinted, "the latest `count`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.auditArchives(ctx)
		if err != nil {
			return err
		}
		list, err := s.List(ctx, sc, 0, *limit)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]auditArchiveJSON, len(list))
			for i := range list {
				out[i] = toAuditArchiveJSON(s, sc, &list[i])
			}
			return printJSON(env.out, out)
		}
		rows := [][]string{{"FROM", "TO", "FIRST", "LAST", "BYTES", "LOCKED UNTIL"}}
		for i := range list {
			a := &list[i]
			locked := a.Problem
			if !a.LockedUntil.IsZero() {
				locked = a.LockedUntil.Format(time.RFC3339)
			}
			rows = append(rows, []string{
				strconv.FormatInt(a.From, 10), strconv.FormatInt(a.To-1, 10), a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339), strconv.FormatInt(a.Bytes, 10), locked,
			})
		}
		return table(env.out, rows)
	})
}

// runAuditArchivesGet prints JSON lines either way.
func runAuditArchivesGet(ctx context.Context, env *environment, args []string) error {
	const command = "audit archives get"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the log's tenant")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	from, err := strconv.ParseInt(fs.Arg(0), 10, 64)
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case err != nil:
		return misuse(env, command, "FROM is the number of an archive's first entry")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.auditArchives(ctx)
		if err != nil {
			return err
		}
		return s.Read(ctx, sc, from, env.out)
	})
}
