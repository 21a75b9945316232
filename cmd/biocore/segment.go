package main

import (
	"bufio"
	"bytes"
	"context"
	goflag "flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// segmentJSON is a segment under --json, as the API spells it.
type segmentJSON struct {
	Key         string         `json:"key"`
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	When        flag.Condition `json:"when,omitzero"`
	Included    int            `json:"included"`
	Excluded    int            `json:"excluded"`
	UsedBy      []string       `json:"usedBy,omitempty"`
	CreatedBy   string         `json:"createdBy"`
	CreatedAt   time.Time      `json:"createdAt"`
	UpdatedBy   string         `json:"updatedBy"`
	UpdatedAt   time.Time      `json:"updatedAt"`
	ETag        string         `json:"etag"`
}

func toSegmentJSON(s *flag.StoredSegment, usedBy []string) segmentJSON {
	return segmentJSON{
		Key: s.Key, Name: s.Name, Description: s.Description, When: s.When, Included: s.Included, Excluded: s.Excluded, UsedBy: usedBy,
		CreatedBy: s.CreatedBy, CreatedAt: s.CreatedAt, UpdatedBy: s.UpdatedBy, UpdatedAt: s.UpdatedAt, ETag: s.ETag,
	}
}

func runSegmentList(ctx context.Context, env *environment, args []string) error {
	c, _, err := flagArgs(env, "segment list", args, 0, nil)
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		list, err := s.Segments(ctx, sc)
		if err != nil {
			return err
		}
		if c.asJSON {
			out := make([]segmentJSON, len(list))
			for i := range list {
				out[i] = toSegmentJSON(&list[i], nil)
			}
			return printJSON(env.out, out)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(env.out, "no segments")
			return err
		}
		rows := [][]string{{"KEY", "NAME", "LISTED", "KEPT OUT", "CONDITION", "CHANGED"}}
		for i := range list {
			one, condition := &list[i], "yes"
			if one.When.IsZero() {
				condition = "-"
			}
			rows = append(rows, []string{one.Key, one.Name, strconv.Itoa(one.Included), strconv.Itoa(one.Excluded), condition, moment(&one.UpdatedAt)})
		}
		return table(env.out, rows)
	})
}

func runSegmentShow(ctx context.Context, env *environment, args []string) error {
	c, fs, err := flagArgs(env, "segment show", args, 1, nil)
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		one, usedBy, err := s.GetSegment(ctx, sc, fs.Arg(0))
		if err != nil {
			return err
		}
		return c.segment(&one, usedBy)
	})
}

// segment prints one.
func (c *flagCommand) segment(s *flag.StoredSegment, usedBy []string) error {
	if c.asJSON {
		return printJSON(c.env.out, toSegmentJSON(s, usedBy))
	}
	rows := [][]string{{"key", s.Key}, {"name", s.Name}}
	if s.Description != "" {
		rows = append(rows, []string{"description", s.Description})
	}
	rows = append(rows, []string{"listed", strconv.Itoa(s.Included)}, []string{"kept out", strconv.Itoa(s.Excluded)}, []string{"asked for by", joined(usedBy)}, []string{"changed", moment(&s.UpdatedAt) + " by " + s.UpdatedBy})
	if err := table(c.env.out, rows); err != nil || s.When.IsZero() {
		return err
	}
	_, err := fmt.Fprintln(c.env.out, "\n"+flag.ConditionText(s.When))
	return err
}

func runSegmentCreate(ctx context.Context, env *environment, args []string) error {
	return runSegmentChange(ctx, env, "segment create", args, func(s *flag.Service, sc scope.Scope, req flag.UpdateSegmentRequest) (flag.StoredSegment, error) {
		made := flag.CreateSegmentRequest{Key: req.Key, Name: req.Key, Reason: req.Reason}
		if req.Name != nil {
			made.Name = *req.Name
		}
		if req.Description != nil {
			made.Description = *req.Description
		}
		if req.When != nil {
			made.When = *req.When
		}
		return s.CreateSegment(ctx, sc, made)
	})
}

func runSegmentUpdate(ctx context.Context, env *environment, args []string) error {
	return runSegmentChange(ctx, env, "segment update", args, func(s *flag.Service, sc scope.Scope, req flag.UpdateSegmentRequest) (flag.StoredSegment, error) {
		return s.UpdateSegment(ctx, sc, req)
	})
}

// runSegmentChange has do make or change a segment by what is given.
func runSegmentChange(
	ctx context.Context, env *environment, command string, args []string, do func(s *flag.Service, sc scope.Scope, req flag.UpdateSegmentRequest) (flag.StoredSegment, error),
) error {
	var req flag.UpdateSegmentRequest
	var when, reason *string
	c, fs, err := flagArgs(env, command, args, 1, func(_ *flagCommand, fs *goflag.FlagSet) {
		given := func(into **string) func(string) error {
			return func(text string) error {
				*into = &text
				return nil
			}
		}
		fs.Func("name", "`text` for people (of a new one its key)", given(&req.Name))
		fs.Func("description", "`text` for people", given(&req.Description))
		when = fs.String("when", "", "`file` of the condition that its members fulfil, as segment show prints it, or null; - reads standard input")
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	req.Key, req.Reason = fs.Arg(0), *reason
	if *when != "" {
		text, err := readDocument(env, *when, maxFlagText)
		if err != nil {
			return fmt.Errorf("read the condition: %w", err)
		}
		condition, err := flag.ParseCondition(string(text))
		if err != nil {
			return err
		}
		req.When = &condition
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		one, err := do(s, sc, req)
		if err != nil {
			return err
		}
		_, usedBy, err := s.GetSegment(ctx, sc, one.Key)
		if err != nil {
			return err
		}
		return c.segment(&one, usedBy)
	})
}

func runSegmentDelete(ctx context.Context, env *environment, args []string) error {
	var reason *string
	c, fs, err := flagArgs(env, "segment delete", args, 1, func(_ *flagCommand, fs *goflag.FlagSet) {
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		if err := s.DeleteSegment(ctx, sc, flag.DeleteSegmentRequest{Key: fs.Arg(0), Reason: *reason}); err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(env.out, map[string]any{"key": fs.Arg(0)})
		}
		_, err := fmt.Fprintf(env.out, "%s is gone, with its list\n", fs.Arg(0))
		return err
	})
}

func runSegmentAdd(ctx context.Context, env *environment, args []string) error {
	return runSegmentMembers(ctx, env, "segment add", args)
}

func runSegmentRemove(ctx context.Context, env *environment, args []string) error {
	return runSegmentMembers(ctx, env, "segment remove", args)
}

// runSegmentMembers changes the list of a segment, a thousand places at a time.
func runSegmentMembers(ctx context.Context, env *environment, command string, args []string) error {
	adds := command == "segment add"
	excluded := new(bool)
	var file, reason *string
	c, fs, err := flagArgs(env, command, args, -1, func(_ *flagCommand, fs *goflag.FlagSet) {
		if adds {
			excluded = fs.Bool("excluded", false, "keep them out, although they fulfil the condition")
		}
		file = fs.String("file", "", "`file` of targeting keys, one to a line; - reads standard input")
		reason = reasonFlag(fs, "`text` for the history and the audit log")
	})
	if err != nil {
		return err
	}
	keys := fs.Args()[1:]
	if *file != "" {
		more, err := readKeys(env, *file)
		if err != nil {
			return fmt.Errorf("read the targeting keys: %w", err)
		}
		keys = append(keys, more...)
	}
	if len(keys) == 0 {
		return misuse(env, command, "whom: targeting keys behind the segment's, or --file")
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		changed := 0
		change := s.RemoveMembers
		if adds {
			change = s.AddMembers
		}
		for from := 0; from < len(keys); from += flag.MaxListed {
			n, err := change(ctx, sc, flag.MembersRequest{Key: fs.Arg(0), TargetingKeys: keys[from:min(from+flag.MaxListed, len(keys))], Excluded: *excluded, Reason: *reason})
			if err != nil {
				return fmt.Errorf("after %d of %d: %w", from, len(keys), err)
			}
			changed += n
		}
		if c.asJSON {
			return printJSON(env.out, map[string]int{"changed": changed})
		}
		_, err := fmt.Fprintf(env.out, "%s in the list of %s\n", counted(changed, "change"), fs.Arg(0))
		return err
	})
}

// readKeys reads lines, without those that are empty.
func readKeys(env *environment, path string) ([]string, error) {
	const maxBytes = 64 << 20 // of all that a tenant may list, and more
	text, err := readDocument(env, path, maxBytes)
	if err != nil {
		return nil, err
	}
	if len(text) > maxBytes {
		return nil, fmt.Errorf("more than %d MiB", maxBytes>>20)
	}
	var keys []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if key := strings.TrimSpace(lines.Text()); key != "" {
			keys = append(keys, key)
		}
	}
	return keys, lines.Err()
}

// membershipJSON is a subject's place in a list under --json, as the API spells it.
type membershipJSON struct {
	Listed   bool       `json:"listed"`
	Excluded bool       `json:"excluded"`
	AddedBy  string     `json:"addedBy,omitempty"`
	AddedAt  *time.Time `json:"addedAt,omitempty"`
}

func runSegmentFind(ctx context.Context, env *environment, args []string) error {
	c, fs, err := flagArgs(env, "segment find", args, 2, nil)
	if err != nil {
		return err
	}
	return c.do(ctx, func(s *flag.Service, sc scope.Scope) error {
		m, err := s.GetMember(ctx, sc, fs.Arg(0), fs.Arg(1))
		if err != nil {
			return err
		}
		out := membershipJSON{Listed: m.Listed, Excluded: m.Excluded, AddedBy: m.AddedBy}
		says := "is not listed: conditions decide"
		if m.Listed {
			out.AddedAt, says = &m.AddedAt, "is in"
			if m.Excluded {
				says = "is kept out"
			}
			says += ", by " + m.AddedBy + " at " + moment(&m.AddedAt)
		}
		if c.asJSON {
			return printJSON(env.out, out)
		}
		_, err = fmt.Fprintf(env.out, "%s %s\n", fs.Arg(1), says)
		return err
	})
}
