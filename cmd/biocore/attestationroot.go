package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/attestation"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// attestationRootJSON is a root under --json, as the API spells it.
type attestationRootJSON struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Certificate string      `json:"certificate"`
	Fingerprint string      `json:"fingerprint"`
	Subject     string      `json:"subject"`
	AAGUIDs     []uuid.UUID `json:"aaguids"`
	NotBefore   time.Time   `json:"notBefore"`
	NotAfter    time.Time   `json:"notAfter"`
	CreatedAt   time.Time   `json:"createdAt"`
	CreatedBy   string      `json:"createdBy"`
}

func toAttestationRootJSON(r attestation.Root) attestationRootJSON {
	return attestationRootJSON{
		ID: r.ID.String(), Name: r.Name, Certificate: r.PEM(), Fingerprint: hex.EncodeToString(r.Fingerprint[:]), Subject: r.Subject(),
		AAGUIDs: append([]uuid.UUID{}, r.AAGUIDs...), NotBefore: r.NotBefore, NotAfter: r.NotAfter, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
	}
}

// tenantOfRoots is --tenant of the commands on attestation roots.
const tenantOfRoots = "`slug` of the tenant that trusts them"

func runAttestationRootsList(ctx context.Context, env *environment, args []string) error {
	const command = "attestation roots list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRoots)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		roots, err := c.roots.List(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]attestationRootJSON, len(roots))
			for i, r := range roots {
				out[i] = toAttestationRootJSON(r)
			}
			return printJSON(env.out, map[string]any{"attestationRoots": out})
		}
		if len(roots) == 0 {
			_, err := fmt.Fprintln(env.out, "no attestation roots")
			return err
		}
		rows := [][]string{{"NAME", "SUBJECT", "UNTIL", "MODELS", "ID"}}
		for _, r := range roots {
			rows = append(rows, []string{r.Name, r.Subject(), moment(&r.NotAfter), modelsOf(r), r.ID.String()})
		}
		return table(env.out, rows)
	})
}

// modelsOf are the models that a root may attest, in words.
func modelsOf(r attestation.Root) string {
	switch len(r.AAGUIDs) {
	case 0:
		return "any"
	case 1:
		return r.AAGUIDs[0].String()
	}
	return fmt.Sprintf("%s and %d more", r.AAGUIDs[0], len(r.AAGUIDs)-1)
}

func runAttestationRootsAdd(ctx context.Context, env *environment, args []string) error {
	const command = "attestation roots add"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRoots)
	name := fs.String("name", "", "what people call it, as the `name` of the keys; required")
	models := fs.String("aaguids", "", "the only `models` that it may attest, joined by commas (default: any that its certificates name)")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *name == "":
		return misuse(env, command, "--name is required")
	}
	req := attestation.AddRequest{Name: *name, Reason: *reason}
	var err error
	if *models != "" {
		if req.AAGUIDs, err = attestation.ParseAAGUIDs(strings.Split(*models, ",")); err != nil {
			return err
		}
	}
	if req.Certificate, err = readDocument(env, fs.Arg(0), maxFile); err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		added, err := c.roots.Add(ctx, sc, req)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toAttestationRootJSON(added))
		}
		_, err = fmt.Fprintf(env.out, "%s is trusted until %s, for models: %s\nsubject %s\nSHA-256 %s\nid %s\n",
			added.Name, moment(&added.NotAfter), modelsOf(added), added.Subject(), hex.EncodeToString(added.Fingerprint[:]), added.ID)
		return err
	})
}

func runAttestationRootsRemove(ctx context.Context, env *environment, args []string) error {
	const command = "attestation roots remove"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfRoots)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := attestation.ParseRootID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		removed, err := c.roots.Remove(ctx, sc, id, *reason)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(env.out, toAttestationRootJSON(removed))
		}
		_, err = fmt.Fprintf(env.out, "%s is trusted no more; what was registered by it stays as it is\n", removed.Name)
		return err
	})
}
