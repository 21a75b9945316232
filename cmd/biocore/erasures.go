package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/erasure"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
	"github.com/biocore-id/biocore/tenancy/governance/ledger"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ledgerDays is how far back the ledger is read where nobody says how long backups are kept.
const ledgerDays = 90

// erasures is the service with the object storage of the configuration.
func (c *control) erasures(ctx context.Context) (*erasure.Service, error) {
	var objects *blob.Bucket
	if c.objectStorageURL != "" {
		var err error
		if objects, err = blob.Open(ctx, c.objectStorageURL); err != nil {
			return nil, fmt.Errorf("object storage: %w", err)
		}
	}
	archived := cold.New(cold.Options{Store: c.store, Keys: c.keys, Trail: c.trail, Objects: objects})
	return c.newErasures(ledger.New(ledger.Options{Store: c.store, Keys: c.keys, Objects: objects}), archived, c.backupDays), nil
}

// erasureJSON is an erasure under --json, as the API spells it.
type erasureJSON struct {
	ID          uuid.UUID  `json:"id"`
	UserID      *uuid.UUID `json:"userId,omitempty"`
	ErasedAt    time.Time  `json:"erasedAt"`
	ErasedBy    string     `json:"erasedBy"`
	ReplayedAt  *time.Time `json:"replayedAt,omitempty"`
	LedgerAt    *time.Time `json:"ledgerAt,omitempty"`
	CertifiedAt *time.Time `json:"certifiedAt,omitempty"`
	Credentials int64      `json:"credentials"`
	Sessions    int64      `json:"sessions"`
	Contacts    int64      `json:"contacts"`
	Evidence    int64      `json:"evidence"`
}

func runErasuresList(ctx context.Context, env *environment, args []string) error {
	const command = "erasures list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	limit := fs.Int("limit", maxPrinted, "the newest `count`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.erasures(ctx)
		if err != nil {
			return err
		}
		found, err := newest(*limit, "", func(req listing.Request) (listing.Page[erasure.Erasure], error) { return s.List(ctx, sc, req) })
		if err != nil {
			return err
		}
		rows, out := [][]string{{"ID", "USER", "ERASED", "BY", "IN THE LEDGER", "CERTIFIED"}}, []erasureJSON{}
		for i := range found {
			e := &found[i]
			out = append(out, erasureJSON{e.ID, e.UserID, e.At, e.By, e.ReplayedAt, e.StoredAt, e.IssuedAt, e.Credentials, e.Sessions, e.Contacts, e.Evidence})
			who := "-"
			if e.UserID != nil {
				who = e.UserID.String()
			}
			rows = append(rows, []string{e.ID.String(), who, moment(&e.At), e.By, moment(e.StoredAt), moment(e.IssuedAt)})
		}
		if asJSON {
			return printJSON(env.out, map[string]any{"erasures": out})
		}
		return table(env.out, rows)
	})
}

func runErasuresCertificate(ctx context.Context, env *environment, args []string) error {
	const command = "erasures certificate"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := erasure.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		s, err := c.erasures(ctx)
		if err != nil {
			return err
		}
		jws, err := s.Certify(ctx, sc, id)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, map[string]string{"certificate": jws})
		}
		_, err = fmt.Fprintln(env.out, jws)
		return err
	})
}

func runErasuresVerify(_ context.Context, env *environment, args []string) error {
	const command = "erasures verify"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	path := fs.String("jwks", "", "`file` with the tenant's keys, revoked ones included: see biocore keys jwks")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *path == "" {
		return misuse(env, command, "--jwks is required")
	}
	jwks, err := os.ReadFile(*path)
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	text, err := os.ReadFile(fs.Arg(0))
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	c, _, err := erasure.Verify(jwks, strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(env.out, c)
	}
	rows := [][]string{
		{"The signature is good.", ""},
		{"  user", c.Subject.String()},
		{"  tenant", c.TenantID.String()},
		{"  erased", c.ErasedAt.Format(time.RFC3339) + " by " + c.ErasedBy},
		{"  in the audit log", "entry " + strconv.FormatInt(c.Audit.Sequence, 10) + ", " + c.Audit.EntryID.String()},
		{"  in the ledger", moment(c.LedgerAt)},
	}
	if c.Backups == nil {
		rows = append(rows, []string{"  backups", "the operator has not said how long they are kept"})
	} else {
		rows = append(rows, []string{"  backups", fmt.Sprintf("expire %s, after %d days", c.Backups.ExpireAt.Format(time.RFC3339), c.Backups.Days)})
	}
	for _, d := range c.Delivered {
		rows = append(rows, []string{"  delivered", fmt.Sprintf("%d entries to log stream %s (%s), before entry %d", d.Entries, d.Name, d.Kind, d.Before)})
	}
	for _, k := range c.Kept {
		rows = append(rows, []string{"  kept", k.Field + ": " + k.Because})
	}
	if err := table(env.out, rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.out, c.Statement)
	return err
}

func runErasuresReplay(ctx context.Context, env *environment, args []string) error {
	const command = "erasures replay"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	var since time.Time
	fs.Func("since", "`day` of the backup that was restored, as 2006-01-02 (default: as long ago as backups are kept)", func(text string) (err error) {
		if since, err = time.Parse(time.DateOnly, text); err != nil {
			return errors.New("not a day, as 2006-01-02")
		}
		return nil
	})
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	c, err := openControl(ctx, env, *config)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.erasures(ctx)
	if err != nil {
		return err
	}
	if since.IsZero() {
		since = c.ledgerSince()
	}
	done, failed := s.Replay(ctx, cliActor(), since)
	if asJSON {
		if err := printJSON(env.out, map[string]any{
			"since": since.Format(time.DateOnly), "known": done.Known, "erased": done.Erased, "locked": done.Locked, "absent": done.Absent, "otherTenants": done.Tenants,
		}); err != nil {
			return err
		}
		return failed
	}
	if _, err := fmt.Fprintf(env.out, "Since %s the ledger has %d erasures that this database knows, and %d that it did not: %d users are erased again, %d persons can be read in the audit log no more, "+
		"%d were never here. %d are of tenants that are not here.\n", since.Format(time.DateOnly), done.Known, done.Erased+done.Locked+done.Absent, done.Erased, done.Locked, done.Absent, done.Tenants); err != nil {
		return err
	}
	return failed
}

// ledgerSince is the day from which on a backup may be that was restored.
func (c *control) ledgerSince() time.Time { return ledgerSince(c.store.Now(), c.backupDays) }

func ledgerSince(now time.Time, backupDays int) time.Time {
	if backupDays == 0 {
		backupDays = ledgerDays
	}
	return now.AddDate(0, 0, -backupDays)
}
