package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/debugger"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// ceremonyJSON is a ceremony under --json, as the API spells it.
type ceremonyJSON struct {
	ID            string          `json:"id"`
	FinishedAt    time.Time       `json:"finishedAt"`
	Kind          string          `json:"kind"`
	Outcome       string          `json:"outcome"`
	Reason        string          `json:"reason"`
	UserID        string          `json:"userId,omitempty"`
	CredentialID  string          `json:"credentialId,omitempty"`
	PolicyVersion int             `json:"policyVersion"`
	LatencyMicros *int64          `json:"latencyMicros,omitempty"`
	TraceID       string          `json:"traceId"`
	RequestID     string          `json:"requestId"`
	Browser       string          `json:"browser"`
	APIKeyID      *uuid.UUID      `json:"apiKeyId,omitempty"`
	Repeats       int             `json:"repeats"`
	Facts         json.RawMessage `json:"facts"`
	Steps         []stepJSON      `json:"steps,omitempty"`
	Guide         *guideJSON      `json:"guide,omitempty"`
}

type stepJSON struct {
	Name   string `json:"name"`
	Number string `json:"number"`
	State  string `json:"state"`
	Detail string `json:"detail"`
}

type guideJSON struct {
	Title string   `json:"title"`
	Why   string   `json:"why"`
	Fix   []string `json:"fix"`
}

func toCeremonyJSON(c *debugger.Ceremony) ceremonyJSON {
	out := ceremonyJSON{
		ID: c.ID.String(), FinishedAt: c.At, Kind: string(c.Kind), Outcome: string(c.Outcome), Reason: c.Reason, CredentialID: c.CredentialID.String(),
		PolicyVersion: c.PolicyVersion, TraceID: c.TraceID, RequestID: c.RequestID, Browser: c.Browser, APIKeyID: c.APIKeyID, Repeats: c.Repeats,
		Facts: c.Facts.JSON,
	}
	if c.UserID != nil {
		out.UserID = c.UserID.String()
	}
	if c.Latency != nil {
		us := c.Latency.Microseconds()
		out.LatencyMicros = &us
	}
	return out
}

// maxPrinted is how many ceremonies or entries a command lists when nobody says otherwise.
const maxPrinted = 50

func runCeremoniesList(ctx context.Context, env *environment, args []string) error {
	const command = "ceremonies list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	filter := fs.String("filter", "", "as in the API: `kind`, outcome, reason, userId, credentialId, aaguid, traceId, requestId, time")
	limit := fs.Int("limit", maxPrinted, "the newest `count`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		found, err := newest(*limit, *filter, func(req listing.Request) (listing.Page[debugger.Ceremony], error) {
			return c.debugger.List(ctx, sc, req)
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]ceremonyJSON, len(found))
			for i := range found {
				out[i] = toCeremonyJSON(&found[i])
			}
			return printJSON(env.out, out)
		}
		for i := range found {
			if err := printCeremony(env.out, &found[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// printCeremony prints one in a line.
func printCeremony(w io.Writer, one *debugger.Ceremony) error {
	took := ""
	if one.Latency != nil {
		took = one.Latency.Round(100 * time.Microsecond).String()
	}
	_, err := fmt.Fprintf(w, "%s  %s  %-14s %-8s %8s  %-24s %s\n",
		one.ID, one.At.Format(time.RFC3339), one.Kind, one.Outcome, took, one.Browser, one.Reason)
	return err
}

func runCeremoniesShow(ctx context.Context, env *environment, args []string) error {
	const command = "ceremonies show"
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
	id, err := debugger.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		one, err := c.debugger.Get(ctx, sc, id)
		if err != nil {
			return err
		}
		out := toCeremonyJSON(&one)
		for _, s := range debugger.Steps(&one) {
			out.Steps = append(out.Steps, stepJSON{Name: s.Name, Number: s.Number, State: string(s.State), Detail: s.Detail})
			if s.Guide != nil {
				out.Guide = &guideJSON{Title: s.Guide.Title, Why: s.Guide.Why, Fix: s.Guide.Fix}
			}
		}
		if asJSON {
			return printJSON(env.out, out)
		}
		if _, err := fmt.Fprintf(env.out, "%s %s %s  %s\nWebAuthn L3 %s\n", out.Kind, out.Outcome, out.Reason, out.FinishedAt.Format(time.RFC3339Nano), one.Kind.Section()); err != nil {
			return err
		}
		for _, s := range out.Steps {
			if _, err := fmt.Fprintf(env.out, "  %-11s %-6s %s", s.State, s.Number, s.Name); err != nil {
				return err
			}
			if s.Detail != "" {
				s.Detail = ": " + s.Detail
			}
			if _, err := fmt.Fprintln(env.out, s.Detail); err != nil {
				return err
			}
		}
		if out.Guide == nil {
			return nil
		}
		if _, err := fmt.Fprintf(env.out, "%s. %s\n", out.Guide.Title, out.Guide.Why); err != nil {
			return err
		}
		for _, fix := range out.Guide.Fix {
			if _, err := fmt.Fprintln(env.out, "  -", fix); err != nil {
				return err
			}
		}
		return nil
	})
}

// newest reads pages until there are enough, or no more.
func newest[T any](limit int, filter string, list func(listing.Request) (listing.Page[T], error)) ([]T, error) {
	found := []T{}
	req := listing.Request{PageSize: min(max(limit, 1), listing.MaxPageSize), Filter: filter}
	for len(found) < limit {
		page, err := list(req)
		if err != nil {
			return nil, err
		}
		found = append(found, page.Items...)
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	return found[:min(len(found), max(limit, 0))], nil
}
