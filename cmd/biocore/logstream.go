package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// logStreamJSON is a log stream under --json, as the API spells it.
type logStreamJSON struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Kind          siem.Kind       `json:"kind"`
	Format        siem.Format     `json:"format"`
	Address       string          `json:"address"`
	Index         string          `json:"index,omitempty"`
	Acknowledge   bool            `json:"acknowledge,omitempty"`
	HasCredential bool            `json:"hasCredential"`
	Actions       []string        `json:"actions"`
	Outcomes      []audit.Outcome `json:"outcomes"`
	Redact        []string        `json:"redact"`
	RedactKinds   []string        `json:"redactKinds"`
	BlockKinds    []string        `json:"blockKinds"`
	State         siem.State      `json:"state"`
	NextSeq       int64           `json:"nextSeq"`
	Behind        int64           `json:"behind"`
	Sent          int64           `json:"sent"`
	Rejected      int64           `json:"rejected"`
	Missed        int64           `json:"missed"`
	Blocked       int64           `json:"blocked"`
	LastSuccessAt *time.Time      `json:"lastSuccessAt,omitempty"`
	LastError     string          `json:"lastError,omitempty"`
	LastErrorAt   *time.Time      `json:"lastErrorAt,omitempty"`
	RetryAt       *time.Time      `json:"retryAt,omitempty"`
	CreatedBy     string          `json:"createdBy"`
	CreatedAt     time.Time       `json:"createdAt"`
	UpdatedAt     time.Time       `json:"updatedAt"`
}

func toLogStreamJSON(s *siem.Sink) logStreamJSON {
	return logStreamJSON{
		ID: s.ID.String(), Name: s.Name, Kind: s.Kind, Format: s.Format, Address: s.Address, Index: s.Index, Acknowledge: s.Acknowledge, HasCredential: s.HasCredential,
		Actions: append([]string{}, s.Actions...), Outcomes: append([]audit.Outcome{}, s.Outcomes...), Redact: append([]string{}, s.Redact...),
		RedactKinds: append([]string{}, s.RedactKinds...), BlockKinds: append([]string{}, s.BlockKinds...), Blocked: s.Blocked,
		State: s.State, NextSeq: s.NextSeq, Behind: s.Behind, Sent: s.Sent, Rejected: s.Rejected, Missed: s.Missed,
		LastSuccessAt: s.LastSuccessAt, LastError: s.LastError, LastErrorAt: s.LastErrorAt, RetryAt: s.RetryAt,
		CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
	}
}

// tenantOfStreams is --tenant of the commands on log streams.
const tenantOfStreams = "`slug` of the tenant whose audit log it sends"

// printLogStream tells of one stream.
func printLogStream(env *environment, asJSON bool, s *siem.Sink) error {
	if asJSON {
		return printJSON(env.out, toLogStreamJSON(s))
	}
	rows := [][]string{
		{"name", s.Name}, {"id", s.ID.String()}, {"state", string(s.State)}, {"kind", string(s.Kind)}, {"format", string(s.Format)}, {"address", s.Address},
		{"actions", joined(s.Actions)}, {"outcomes", joined(audit.OutcomeTexts(s.Outcomes))}, {"redacted", joined(s.Redact)},
		{"redacted in text", joined(s.RedactKinds)}, {"blocked by text", joined(s.BlockKinds)},
		{"next entry", strconv.FormatInt(s.NextSeq, 10)}, {"behind", strconv.FormatInt(s.Behind, 10)}, {"sent", strconv.FormatInt(s.Sent, 10)},
		{"rejected", strconv.FormatInt(s.Rejected, 10)}, {"missed", strconv.FormatInt(s.Missed, 10)}, {"blocked", strconv.FormatInt(s.Blocked, 10)}, {"last success", moment(s.LastSuccessAt)},
	}
	if s.LastErrorAt != nil {
		rows = append(rows, []string{"last error", moment(s.LastErrorAt) + " " + s.LastError})
	}
	if s.RetryAt != nil {
		rows = append(rows, []string{"tried again", moment(s.RetryAt)})
	}
	return table(env.out, rows)
}

// streamFlags are the flags of what a stream is, for create and update.
type streamFlags struct {
	format, address, index, ca, credential, actions, outcomes, redact, redactKinds, blockKinds *string
	acknowledge                                                                                *bool
}

func addStreamFlags(fs *flag.FlagSet) streamFlags {
	return streamFlags{
		format:      fs.String("format", "json", "json, ocsf or ecs: what entries are written as, a `format`"),
		address:     fs.String("address", "", "`URL` of the sink, or host:port of a syslog server"),
		index:       fs.String("index", "", "`index` or data stream of Elasticsearch, or of Splunk"),
		acknowledge: fs.Bool("acknowledge", false, "of Splunk: wait until events are indexed"),
		ca:          fs.String("ca", "", "`file` of the certificates, in PEM, that the sink's must come from (default: the system's)"),
		credential:  fs.String("credential", "", "`file` of the token, API key or signing secret; - reads standard input"),
		actions:     fs.String("actions", "", "only actions that begin with one of these `prefixes`, joined by commas"),
		outcomes:    fs.String("outcomes", "", "only these `outcomes`, joined by commas: success, denied, failed"),
		redact:      fs.String("redact", "", "leave out these `members` of entries, joined by commas"),
		redactKinds: fs.String("redact-kinds", "", "put a mark in place of these `kinds` of personal data and secrets in texts, joined by commas: "+kindWords+"; all"),
		blockKinds:  fs.String("block-kinds", "", "do not send entries whose texts hold one of these `kinds`, joined by commas"),
	}
}

// ruleKinds are kinds as people type them, or all; what is none is for the service to refuse.
func ruleKinds(text string) []string {
	if text == "all" {
		return siem.KindNames()
	}
	var kinds []string
	for _, word := range list(text) {
		kinds = append(kinds, strings.ToUpper(strings.ReplaceAll(word, "-", "_")))
	}
	return kinds
}

// list is a flag's values.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func outcomesOf(text string) []audit.Outcome {
	var out []audit.Outcome
	for _, o := range list(text) {
		out = append(out, audit.Outcome(o))
	}
	return out
}

// kindOf and formatOf read what the API spells in capitals.
func kindOf(text string) siem.Kind {
	return siem.Kind(strings.ReplaceAll(strings.ToUpper(text), "-", "_"))
}

func formatOf(text string) siem.Format { return siem.Format(strings.ToUpper(text)) }

// files reads the certificates and the credential that flags name.
func (f *streamFlags) files(env *environment) (ca, credential string, err error) {
	if *f.ca != "" {
		text, err := readDocument(env, *f.ca, maxFile)
		if err != nil {
			return "", "", fmt.Errorf("read the certificates: %w", err)
		}
		ca = string(text)
	}
	if *f.credential != "" {
		text, err := readDocument(env, *f.credential, maxFile)
		if err != nil {
			return "", "", fmt.Errorf("read the credential: %w", err)
		}
		credential = strings.TrimRight(string(text), "\r\n")
	}
	return ca, credential, nil
}

func runLogStreamCreate(ctx context.Context, env *environment, args []string) error {
	const command = "logstream create"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfStreams)
	name := fs.String("name", "", "what people call it, a `name`; required")
	kind := fs.String("kind", "", "splunk-hec, elasticsearch, syslog-tls or https, a `kind`; required")
	is := addStreamFlags(fs)
	fromStart := fs.Bool("from-start", false, "send all that the log has, and not only what comes")
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	switch {
	case *slug == "":
		return misuse(env, command, "--tenant is required")
	case *name == "":
		return misuse(env, command, "--name is required")
	case *kind == "":
		return misuse(env, command, "--kind is required")
	case *is.address == "":
		return misuse(env, command, "--address is required")
	}
	ca, credential, err := is.files(env)
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		made, err := c.streams.Create(ctx, sc, siem.CreateRequest{
			Config: siem.Config{
				Name: *name, Kind: kindOf(*kind), Format: formatOf(*is.format), Address: *is.address, Index: *is.index, Acknowledge: *is.acknowledge, CACertificates: ca,
				Actions: list(*is.actions), Outcomes: outcomesOf(*is.outcomes), Redact: list(*is.redact),
				RedactKinds: ruleKinds(*is.redactKinds), BlockKinds: ruleKinds(*is.blockKinds),
			},
			Credential: credential, FromStart: *fromStart, Reason: *reason,
		})
		if err != nil {
			return err
		}
		return printLogStream(env, asJSON, &made)
	})
}

func runLogStreamUpdate(ctx context.Context, env *environment, args []string) error {
	const command = "logstream update"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfStreams)
	name := fs.String("name", "", "what people call it, a `name`")
	is := addStreamFlags(fs)
	reason := reasonFlag(fs, "`text` for the audit log")
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := siem.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	ca, credential, err := is.files(env)
	if err != nil {
		return err
	}
	req := siem.UpdateRequest{ID: id, Reason: *reason}
	format, actions, outcomes, redact := formatOf(*is.format), list(*is.actions), outcomesOf(*is.outcomes), list(*is.redact)
	redactKinds, blockKinds := ruleKinds(*is.redactKinds), ruleKinds(*is.blockKinds)
	changes := map[string]func(){
		"name": func() { req.Name = name }, "format": func() { req.Format = &format }, "address": func() { req.Address = is.address }, "index": func() { req.Index = is.index },
		"acknowledge": func() { req.Acknowledge = is.acknowledge }, "ca": func() { req.CACertificates = &ca }, "credential": func() { req.Credential = &credential },
		"actions": func() { req.Actions = &actions }, "outcomes": func() { req.Outcomes = &outcomes }, "redact": func() { req.Redact = &redact },
		"redact-kinds": func() { req.RedactKinds = &redactKinds }, "block-kinds": func() { req.BlockKinds = &blockKinds },
	}
	fs.Visit(func(f *flag.Flag) { // only what was given
		if change := changes[f.Name]; change != nil {
			change()
		}
	})
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		changed, err := c.streams.Update(ctx, sc, req)
		if err != nil {
			return err
		}
		return printLogStream(env, asJSON, &changed)
	})
}

func runLogStreamList(ctx context.Context, env *environment, args []string) error {
	const command = "logstream list"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfStreams)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		all, err := c.streams.List(ctx, sc)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]logStreamJSON, len(all))
			for i := range all {
				out[i] = toLogStreamJSON(&all[i])
			}
			return printJSON(env.out, map[string]any{"logStreams": out})
		}
		if len(all) == 0 {
			_, err := fmt.Fprintln(env.out, "no log streams")
			return err
		}
		rows := [][]string{{"NAME", "KIND", "FORMAT", "STATE", "BEHIND", "SENT", "LAST SUCCESS", "ID"}}
		for i := range all {
			s := &all[i]
			rows = append(rows, []string{
				s.Name, string(s.Kind), string(s.Format), string(s.State), strconv.FormatInt(s.Behind, 10), strconv.FormatInt(s.Sent, 10), moment(s.LastSuccessAt), s.ID.String(),
			})
		}
		return table(env.out, rows)
	})
}

// onLogStream runs a command on one stream, whose flags but the usual ones add adds.
func onLogStream(
	ctx context.Context, env *environment, command string, args []string, add func(*flag.FlagSet), act func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error,
) error {
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", tenantOfStreams)
	if add != nil {
		add(fs)
	}
	if err := parse(fs, args, 1); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	id, err := siem.ParseID(fs.Arg(0))
	if err != nil {
		return err
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error { return act(c, sc, id, asJSON) })
}

// changeLogStream is onLogStream for what changes a stream for a reason, and tells how it is then.
func changeLogStream(
	ctx context.Context, env *environment, command string, args []string, add func(*flag.FlagSet), change func(c *control, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error),
) error {
	var reason *string
	return onLogStream(ctx, env, command, args, func(fs *flag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the audit log")
		if add != nil {
			add(fs)
		}
	}, func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error {
		changed, err := change(c, sc, id, *reason)
		if err != nil {
			return err
		}
		return printLogStream(env, asJSON, &changed)
	})
}

func runLogStreamShow(ctx context.Context, env *environment, args []string) error {
	return onLogStream(ctx, env, "logstream show", args, nil, func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error {
		s, err := c.streams.Get(ctx, sc, id)
		if err != nil {
			return err
		}
		return printLogStream(env, asJSON, &s)
	})
}

func runLogStreamPause(ctx context.Context, env *environment, args []string) error {
	return changeLogStream(ctx, env, "logstream pause", args, nil, func(c *control, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error) {
		return c.streams.Pause(ctx, sc, id, reason)
	})
}

func runLogStreamResume(ctx context.Context, env *environment, args []string) error {
	return changeLogStream(ctx, env, "logstream resume", args, nil, func(c *control, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error) {
		return c.streams.Resume(ctx, sc, id, reason)
	})
}

func runLogStreamReplay(ctx context.Context, env *environment, args []string) error {
	req := siem.ReplayRequest{}
	return changeLogStream(ctx, env, "logstream replay", args, func(fs *flag.FlagSet) {
		fs.Func("seq", "`number` of the first entry to send again, or the next one to leave out what is behind", func(text string) error {
			seq, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return errors.New("not a whole number")
			}
			req.Seq = &seq
			return nil
		})
		fs.Func("since", "the first entry from this `time` on, RFC 3339", func(text string) error {
			since, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return errors.New("not a time of RFC 3339, as 2006-01-02T15:04:05Z")
			}
			req.Since = &since
			return nil
		})
	}, func(c *control, sc scope.Scope, id uuid.UUID, reason string) (siem.Sink, error) {
		req.ID, req.Reason = id, reason
		return c.streams.Replay(ctx, sc, req)
	})
}

func runLogStreamTest(ctx context.Context, env *environment, args []string) error {
	var reason *string
	return onLogStream(ctx, env, "logstream test", args, func(fs *flag.FlagSet) { reason = reasonFlag(fs, "`text` for the audit log") },
		func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error {
			tested, err := c.streams.Test(ctx, sc, id, *reason)
			if err != nil {
				return err
			}
			if asJSON {
				if err := printJSON(env.out, map[string]any{
					"eventId": tested.EventID, "delivered": tested.Delivered, "error": tested.Error, "tookMs": tested.Took.Milliseconds(),
				}); err != nil {
					return err
				}
			} else if tested.Delivered {
				_, err = fmt.Fprintf(env.out, "the sink has taken event %s, in %s\n", tested.EventID, tested.Took.Round(time.Millisecond))
			}
			if err == nil && !tested.Delivered {
				return fmt.Errorf("the sink has not taken the event: %s", tested.Error)
			}
			return err
		})
}

func runLogStreamRejects(ctx context.Context, env *environment, args []string) error {
	return onLogStream(ctx, env, "logstream rejects", args, nil, func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error {
		all, err := c.streams.Rejects(ctx, sc, id, maxPrinted)
		if err != nil {
			return err
		}
		if asJSON {
			out := make([]map[string]any, len(all))
			for i, r := range all {
				out[i] = map[string]any{"seq": r.Seq, "at": r.At, "reason": r.Reason}
			}
			return printJSON(env.out, map[string]any{"rejects": out})
		}
		rows := [][]string{{"ENTRY", "AT", "THE SINK SAID"}}
		for _, r := range all {
			rows = append(rows, []string{strconv.FormatInt(r.Seq, 10), moment(&r.At), r.Reason})
		}
		if len(all) == 0 {
			rows = [][]string{{"the sink has refused nothing for good"}}
		}
		return table(env.out, rows)
	})
}

func runLogStreamDelete(ctx context.Context, env *environment, args []string) error {
	var reason *string
	return onLogStream(ctx, env, "logstream delete", args, func(fs *flag.FlagSet) { reason = reasonFlag(fs, "`text` for the audit log") },
		func(c *control, sc scope.Scope, id uuid.UUID, asJSON bool) error {
			if err := c.streams.Delete(ctx, sc, id, "", *reason); err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.out, map[string]any{"id": id})
			}
			_, err := fmt.Fprintln(env.out, "deleted; what its sink has stays there")
			return err
		})
}
