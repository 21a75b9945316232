package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/credential"
	"github.com/biocore-id/biocore/authcore/simulation"
	"github.com/biocore-id/biocore/tenancy/policy"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// simulationJSON is a simulation under --json, as the API spells it.
type simulationJSON struct {
	Since          time.Time    `json:"since"`
	Ceremonies     int          `json:"ceremonies"`
	All            bool         `json:"all"`
	Incomplete     int          `json:"incomplete"`
	Apart          int          `json:"apart"`
	Changes        []changeJSON `json:"changes"`
	Users          []countJSON  `json:"users"`
	Credentials    []countJSON  `json:"credentials"`
	Authenticators []countJSON  `json:"authenticators"`
	Existing       existingJSON `json:"existing"`
}

type changeJSON struct {
	Kind    string      `json:"kind"`
	Before  string      `json:"before"`
	After   string      `json:"after"`
	Count   int         `json:"count"`
	Reasons []countJSON `json:"reasons"`
}

type countJSON struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

type existingJSON struct {
	Credentials    int         `json:"credentials"`
	All            bool        `json:"all"`
	Refused        int         `json:"refused"`
	Reasons        []countJSON `json:"reasons"`
	Authenticators []countJSON `json:"authenticators"`
	Users          int         `json:"users"`
	Unreachable    int         `json:"unreachable"`
}

func toCountsJSON[T comparable](list []simulation.Affected[T], text func(T) string) []countJSON {
	out := make([]countJSON, len(list))
	for i, a := range list {
		out[i] = countJSON{text(a.ID), a.Count}
	}
	return out
}

func toSimulationJSON(r simulation.Result) simulationJSON {
	itself := func(s string) string { return s }
	out := simulationJSON{
		Since: r.Since, Ceremonies: r.Ceremonies, All: r.All, Incomplete: r.Incomplete, Apart: r.Apart, Changes: []changeJSON{},
		Users: toCountsJSON(r.Users, uuid.UUID.String), Credentials: toCountsJSON(r.Credentials, credential.ID.String),
		Authenticators: toCountsJSON(r.Authenticators, uuid.UUID.String),
		Existing: existingJSON{
			Credentials: r.Standing.Credentials, All: r.Standing.All, Refused: r.Standing.Refused,
			Reasons: toCountsJSON(r.Standing.Reasons, itself), Authenticators: toCountsJSON(r.Standing.Authenticators, uuid.UUID.String),
			Users: r.Standing.Users, Unreachable: r.Standing.Unreachable,
		},
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, changeJSON{c.Kind, string(c.Before), string(c.After), c.Count, toCountsJSON(c.Reasons, itself)})
	}
	return out
}

func runPolicySimulate(ctx context.Context, env *environment, args []string) error {
	const command = "policy simulate"
	var days *int
	t, fs, err := tenantArgs(env, command, tenantOfPolicy, args, 1, func(fs *flag.FlagSet) {
		days = fs.Int("days", 30, "look back this many `days`, up to 90")
	})
	if err != nil {
		return err
	}
	if *days < 1 || *days > 90 {
		return misuse(env, command, "--days is between 1 and 90")
	}
	document, err := readDocument(env, fs.Arg(0), policy.MaxBytes)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	return t.do(ctx, func(c *control, sc scope.Scope) error {
		r, err := simulation.New(simulation.Options{Store: c.store}).Simulate(ctx, sc, simulation.Request{Document: document, Days: *days})
		if err != nil {
			return err
		}
		if t.asJSON {
			return printJSON(env.out, toSimulationJSON(r))
		}
		return printSimulation(env.out, toSimulationJSON(r))
	})
}

// printSimulation tells what is different; --json tells everything.
func printSimulation(w io.Writer, r simulationJSON) error {
	rows := [][]string{{"KIND", "BEFORE", "AFTER", "CEREMONIES", "WHY"}}
	for _, c := range r.Changes {
		why := ""
		if c.After != string(policy.Allow) {
			why = reasonsOf(c.Reasons)
		}
		rows = append(rows, []string{c.Kind, c.Before, c.After, strconv.Itoa(c.Count), why})
	}
	if err := table(w, rows); err != nil {
		return err
	}
	some := ""
	if !r.All {
		some = ", which is not all that was asked for"
	}
	if _, err := fmt.Fprintf(w, "\nSince %s%s: %d ceremonies decided again, %d with too few facts, %d that failed for other reasons.\n",
		r.Since.Format(time.RFC3339), some, r.Ceremonies, r.Incomplete, r.Apart); err != nil {
		return err
	}
	for _, u := range r.Users {
		if _, err := fmt.Fprintf(w, "  user %s: %d\n", u.Name, u.Count); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(w, "Of %d credentials that exist, %d would not be registered now%s.\n",
		r.Existing.Credentials, r.Existing.Refused, because(r.Existing.Reasons)); err != nil {
		return err
	}
	if !r.Existing.All {
		return nil // not known
	}
	_, err := fmt.Fprintf(w, "Of %d users, %d could not sign in any more: none of their passkeys could reach minimumAal.\n", r.Existing.Users, r.Existing.Unreachable)
	return err
}

func because(reasons []countJSON) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + reasonsOf(reasons)
}

func reasonsOf(reasons []countJSON) string {
	texts := make([]string, len(reasons))
	for i, c := range reasons {
		texts[i] = c.Name + " " + strconv.Itoa(c.Count)
	}
	return strings.Join(texts, ", ")
}
