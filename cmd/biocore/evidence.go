package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/db/blob"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// evidenceJSON is a piece under --json, as the API spells it.
type evidenceJSON struct {
	ID           string    `json:"id"`
	At           time.Time `json:"createdAt"`
	Outcome      string    `json:"outcome"`
	Reason       string    `json:"reason"`
	UserID       string    `json:"userId"`
	CredentialID string    `json:"credentialId"`
	AAGUID       string    `json:"aaguid"`
	Format       string    `json:"format"`
	Trust        string    `json:"trust"`
	SHA256       string    `json:"sha256"`
	ExpiresAt    time.Time `json:"expiresAt"`
}

func toEvidenceJSON(e evidence.Evidence) evidenceJSON {
	out := evidenceJSON{
		ID: e.ID.String(), At: e.At, Outcome: e.Outcome, Reason: e.Reason, CredentialID: base64.RawURLEncoding.EncodeToString(e.CredentialID),
		AAGUID: e.AAGUID.String(), Format: e.Format, Trust: e.Trust, SHA256: base64.RawURLEncoding.EncodeToString(e.SHA256), ExpiresAt: e.ExpiresAt,
	}
	if e.UserID != nil {
		out.UserID = e.UserID.String()
	}
	return out
}

// tenantOfEvidence is --tenant of the evidence commands.
const tenantOfEvidence = "`slug` of the evidence's tenant"

func runEvidenceList(ctx context.Context, env *environment, args []string) error {
	const command = "evidence list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfEvidence)
	filter := fs.String("filter", "", "as in the API: `credentialId`, userId, aaguid, outcome, trust, createdAt")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		var all []evidenceJSON
		req := listing.Request{PageSize: listing.MaxPageSize, Filter: *filter}
		for {
			page, err := c.evidence.List(ctx, sc, req)
			if err != nil {
				return err
			}
			for _, e := range page.Items {
				all = append(all, toEvidenceJSON(e))
			}
			if req.PageToken = page.NextToken; req.PageToken == "" {
				break
			}
		}
		if asJSON {
			return printJSON(env.out, all)
		}
		for _, e := range all {
			what := e.Outcome
			if e.Reason != "" {
				what += " " + e.Reason
			}
			if _, err := fmt.Fprintf(env.out, "%s  %s  %-11s %-8s %s\n", e.ID, e.At.Format(time.RFC3339), e.Trust, e.Format, what); err != nil {
				return err
			}
		}
		return nil
	})
}

// runEvidenceDownload prints the file, byte for byte.
func runEvidenceDownload(ctx context.Context, env *environment, args []string) error {
	const command = "evidence download"
	var asJSON bool // the file is JSON either way
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfEvidence)
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := evidence.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		var objects *blob.Bucket
		if c.objectStorageURL != "" {
			var err error
			if objects, err = blob.Open(ctx, c.objectStorageURL); err != nil {
				return fmt.Errorf("object storage: %w", err)
			}
		}
		_, file, err := evidence.New(evidence.Options{Store: c.store, Keys: c.keys, Objects: objects}).Download(ctx, sc, id)
		if err != nil {
			return err
		}
		_, err = env.out.Write(file)
		return err
	})
}

// errEvidence is returned when the report, which is printed, says why.
var errEvidence = errors.New("the evidence does not verify")

// runEvidenceVerify needs nothing but the file: neither configuration nor network.
func runEvidenceVerify(_ context.Context, env *environment, args []string) error {
	var asJSON bool
	fs := flags(env, "evidence verify", &asJSON)
	keySet := fs.String("jwks", "", "`file` with the tenant's key set, as it is at its .well-known/jwks.json: whose file it is")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	raw, err := readDocument(env, fs.Arg(0), maxFile)
	if err != nil {
		return fmt.Errorf("read the evidence: %w", err)
	}
	var jwks []byte
	if *keySet != "" {
		if jwks, err = readDocument(env, *keySet, maxFile); err != nil {
			return fmt.Errorf("read the key set: %w", err)
		}
	}
	report := evidence.VerifyFile(raw, jwks)
	if asJSON {
		err = printJSON(env.out, report)
	} else {
		err = printEvidence(env.out, report)
	}
	if err != nil {
		return err
	}
	if !report.Valid {
		return errEvidence
	}
	return nil
}

func printEvidence(w io.Writer, r evidence.Report) error {
	for _, s := range r.Steps {
		mark := "ok"
		if !s.OK {
			mark = "FAIL"
		}
		if _, err := fmt.Fprintf(w, "%-5s %-13s %s\n", mark, s.Name, s.Detail); err != nil {
			return err
		}
	}
	if rec := r.Record; rec != nil {
		_, err := fmt.Fprintf(w, "\nEvidence %s of tenant %s\nmade at %s: %s %s\nSHA-256 %s\nsigned by key %s\n", rec.ID, rec.TenantID,
			rec.At.Format(time.RFC3339Nano), rec.Outcome, rec.Reason, base64.RawURLEncoding.EncodeToString(r.SHA256), r.KID)
		return err
	}
	return nil
}
