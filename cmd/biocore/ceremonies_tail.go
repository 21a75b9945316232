package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/biocore-id/biocore/authcore/tail"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// tailJSON is one line of `ceremonies tail --json`: one of three, as the API's events.
type tailJSON struct {
	Begun    *tail.Begun   `json:"begun,omitempty"`
	Finished *finishedJSON `json:"finished,omitempty"`
	Gap      *tail.Gap     `json:"gap,omitempty"`
}

type finishedJSON struct {
	BegunID  string       `json:"begunId,omitempty"`
	Ceremony ceremonyJSON `json:"ceremony"`
}

// runCeremoniesTail prints what begins and finishes until it is interrupted, which is how it
// ends well.
func runCeremoniesTail(ctx context.Context, env *environment, args []string) error {
	const command = "ceremonies tail"
	var asJSON bool
	fs := flags(env, command, &asJSON)
	config := configFlag(fs)
	slug := fs.String("tenant", "", "`slug` of the tenant")
	kind := fs.String("type", "", "`kind`: registration or authentication")
	outcome := fs.String("outcome", "", "`outcome`: allow, step_up, deny or failed; what has only begun is not printed then")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *slug == "" {
		return misuse(env, command, "--tenant is required")
	}
	var filter []string
	if *kind != "" {
		filter = append(filter, "kind = "+strings.ToUpper(*kind))
	}
	if *outcome != "" {
		filter = append(filter, "outcome = "+strings.ToUpper(*outcome))
	}
	return inTenant(ctx, env, *config, *slug, func(c *control, sc scope.Scope) error {
		show := printTail
		if asJSON {
			show = printTailJSON
		}
		err := c.watch(ctx, sc, strings.Join(filter, " AND "), quietTelemetry(env).Log, func(e *tail.Event) error { return show(env.out, e) })
		if ctx.Err() != nil {
			err = nil // Ctrl-C is how it ends
		}
		return err
	})
}

// watch tells what happens in a tenant until ctx ends, or what tell does fails.
func (c *control) watch(ctx context.Context, sc scope.Scope, filter string, log *slog.Logger, tell func(e *tail.Event) error) (err error) {
	redis, err := ephemeral.Open(c.redisURL.Reveal())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	service, err := tail.New(tail.Options{Reader: c.debugger, Keys: c.keys, Redis: redis, Now: c.store.Now, Log: log})
	if err != nil {
		return err
	}
	hearing, deafen := context.WithCancel(ctx)
	heard := make(chan error, 1)
	go func() { heard <- service.Run(hearing) }()
	defer func() {
		deafen()
		err = errors.Join(err, <-heard)
	}()
	last := ""
	for {
		err := follow(ctx, service, sc, tail.Request{Filter: filter, After: last}, func(e *tail.Event) error {
			if e.Finished != nil {
				last = e.Finished.Position
			}
			return tell(e)
		})
		if !errors.Is(err, tail.ErrSlow) { // a terminal that was held, say
			return err
		}
	}
}

// follow reads one stream to its end. A database that is away is asked again by the stream.
func follow(ctx context.Context, service *tail.Service, sc scope.Scope, req tail.Request, tell func(e *tail.Event) error) error {
	st, err := service.Open(ctx, sc, req)
	if err != nil {
		return err
	}
	defer st.Close(ctx)
	for {
		events, err := st.Next(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			if err := tell(&events[i]); err != nil {
				return err
			}
		}
	}
}

func printTailJSON(w io.Writer, e *tail.Event) error {
	line := tailJSON{Begun: e.Begun, Gap: e.Gap}
	if e.Finished != nil {
		line.Finished = &finishedJSON{e.Finished.Begun, toCeremonyJSON(&e.Finished.Ceremony)}
	}
	return json.NewEncoder(w).Encode(line)
}

func printTail(w io.Writer, e *tail.Event) error {
	switch {
	case e.Begun != nil:
		_, err := fmt.Fprintf(w, "%-36s  %s  %-14s %-8s %8s  %-24s %s\n", e.Begun.Ref, e.Begun.At.Format(time.RFC3339), e.Begun.Kind, "begun", "", e.Begun.Browser, e.Begun.UserID)
		return err
	case e.Finished != nil:
		return printCeremony(w, &e.Finished.Ceremony)
	case e.Gap != nil:
		_, err := fmt.Fprintf(w, "left out: what finished from %s until %s; ceremonies list has it\n", e.Gap.From.Format(time.RFC3339), e.Gap.Until.Format(time.RFC3339))
		return err
	}
	return nil
}
