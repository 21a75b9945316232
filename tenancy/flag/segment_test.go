package flag_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/flag"
	"github.com/biocore-id/biocore/tenancy/listing"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// segmented is a flag that is on for a segment, in production.
func (w *world) segmented(t testing.TB, key, segment string) {
	t.Helper()
	if _, err := w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: key, Type: flag.Boolean, About: flag.About{Name: key}}); err != nil {
		t.Fatal(err)
	}
	on := true
	if _, err := w.flags.Update(t.Context(), w.acme, flag.UpdateRequest{Key: key, Enabled: &on, Rules: &[]flag.Rule{{When: flag.Condition{Segment: segment}, Variant: "on"}}}); err != nil {
		t.Fatal(err)
	}
}

// gets is what a subject gets of a flag, at a server.
func gets(t *testing.T, s *flag.Service, sc scope.Scope, key, subject string) bool {
	t.Helper()
	set, err := s.Flags(t.Context(), sc, "")
	if err != nil {
		t.Fatal(err)
	}
	got := set.Evaluate(key, &flag.Subject{Key: subject, Attributes: map[string]any{"plan": "pro", "of": subject}})
	if got.Code != "" {
		t.Fatalf("%s: %s", key, got.Code)
	}
	return got.Variant.Bool
}

func TestSegmentLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, other, another := t.Context(), w.tenant(t), w.server()
	pro := flag.Condition{Attribute: "plan", Operator: flag.In, Values: []any{"pro"}}
	made, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "beta", Name: " Beta  testers ", When: flag.Condition{Attribute: "of", Operator: flag.In, Values: []any{"u9"}}, Reason: "before the launch"})
	if err != nil || made.Name != "Beta testers" || made.ETag == "" || made.Included != 0 {
		t.Fatalf("made %+v, %v", made, err)
	}
	// A rule may ask for a segment that is there, and for no other.
	w.segmented(t, "f", "beta")
	_, err = w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Rules: &[]flag.Rule{{When: flag.Condition{Segment: "betta"}, Variant: "on"}}})
	if refused, ok := fault.As(err); !ok || refused.Metadata["field"] != "rules[0].when.segment" || !strings.Contains(refused.Message, "did you mean beta?") {
		t.Errorf("a rule of no segment = %v", err)
	}
	user := uuid.NewString()
	if gets(t, another, w.acme, "f", "u1") || !gets(t, another, w.acme, "f", "u9") {
		t.Error("an empty list has somebody, or the condition nobody")
	}
	// The list goes before conditions, on every server within a second, and a subject has one place in it.
	for _, step := range []struct {
		name string
		do   func() (int, error)
		n    int
		want map[string]bool
	}{
		{"add", func() (int, error) {
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"u1", "u2", "u1", user}})
		}, 3, map[string]bool{"u1": true, "u2": true, user: true, "u3": false, "u9": true}},
		{"again", func() (int, error) {
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"u1"}})
		}, 0, map[string]bool{"u1": true}},
		{"exclude", func() (int, error) {
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"u2", "u9", "cust-0051907"}, Excluded: true})
		}, 3, map[string]bool{"u1": true, "u2": false, "u9": false}},
		{"remove", func() (int, error) {
			return w.flags.RemoveMembers(ctx, w.acme, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"u1", "u9", "nobody"}, Reason: "asked to leave"})
		}, 2, map[string]bool{"u1": false, "u9": true, user: true}},
	} {
		if n, err := step.do(); err != nil || n != step.n {
			t.Errorf("%s = %d, %v, want %d", step.name, n, err, step.n)
		}
		for subject, want := range step.want {
			if gets(t, w.flags, w.acme, "f", subject) != want {
				t.Errorf("after %s, %s gets %t", step.name, subject, !want)
			}
			await(t, func() bool { return gets(t, another, w.acme, "f", subject) == want }, step.name+" at another server: "+subject)
		}
	}
	got, usedBy, err := w.flags.GetSegment(ctx, w.acme, "beta")
	if err != nil || got.Included != 1 || got.Excluded != 2 || !slices.Equal(usedBy, []string{"f"}) || got.ETag == made.ETag {
		t.Errorf("Get = %+v, %q, %v", got, usedBy, err)
	}
	for key, want := range map[string]flag.Membership{"u2": {Listed: true, Excluded: true}, user: {Listed: true}, "u1": {}} {
		if m, err := w.flags.GetMember(ctx, w.acme, "beta", key); err != nil || m.Listed != want.Listed || m.Excluded != want.Excluded || m.Listed != (m.AddedBy != "") {
			t.Errorf("%s is %+v, %v", key, m, err)
		}
	}
	// Its condition changes for every flag; what somebody has changed since is not overwritten.
	if _, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "beta", When: &pro, IfMatch: made.ETag}); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("an update of what has changed = %v", err)
	}
	if up, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "beta", When: &pro, IfMatch: got.ETag}); err != nil || up.When.Attribute != "plan" || up.Name != made.Name {
		t.Errorf("Update = %+v, %v", up, err)
	}
	if !gets(t, w.flags, w.acme, "f", "u5") || gets(t, w.flags, w.acme, "f", "u2") {
		t.Error("the condition does not hold, or the list does not go before it")
	}
	if _, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "beta", When: &flag.Condition{Segment: "beta"}}); !errors.Is(err, flag.ErrInvalid) {
		t.Errorf("a segment of itself = %v", err)
	}
	// No member's key is anywhere in the database.
	if dump := w.dump(t); strings.Contains(dump, "cust-0051907") {
		t.Error("a member's key is stored")
	}

	// Another tenant's is another, and of none is none.
	for what, err := range map[string]error{
		"get":    third(w.flags.GetSegment(ctx, other, "beta")),
		"update": second(w.flags.UpdateSegment(ctx, other, flag.UpdateSegmentRequest{Key: "beta"})),
		"delete": w.flags.DeleteSegment(ctx, other, flag.DeleteSegmentRequest{Key: "beta"}),
		"add":    second(w.flags.AddMembers(ctx, other, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"x"}})),
		"remove": second(w.flags.RemoveMembers(ctx, other, flag.MembersRequest{Key: "beta", TargetingKeys: []string{"x"}})),
		"find":   second(w.flags.GetMember(ctx, other, "beta", "u2")),
	} {
		if !errors.Is(err, flag.ErrSegmentNotFound) {
			t.Errorf("%s of another tenant's = %v", what, err)
		}
	}
	if list, err := w.flags.Segments(ctx, other); err != nil || len(list) != 0 {
		t.Errorf("another tenant's list = %v, %v", list, err)
	}

	// What rules ask for stays, in whichever environment, and the refusal names whose.
	for i := range 11 {
		w.segmented(t, "g"+strconv.Itoa(10+i), "beta")
	}
	empty := []flag.Rule{}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Rules: &empty}); err != nil {
		t.Fatal(err)
	}
	deep := []flag.Rule{{When: flag.Condition{All: []flag.Condition{pro, {Not: &flag.Condition{Any: []flag.Condition{{Segment: "beta"}}}}}}, Variant: "on"}}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Environment: "staging", Rules: &deep}); err != nil {
		t.Fatal(err)
	}
	err = w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "beta"})
	if refused, ok := fault.As(err); !ok || !errors.Is(err, flag.ErrSegmentInUse) || !strings.Contains(refused.Message, "of f, g10, ") || !strings.Contains(refused.Message, "and 2 more") {
		t.Errorf("Delete of what is asked for = %v", err)
	}
	for i := range 11 {
		if err := w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: "g" + strconv.Itoa(10+i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Environment: "staging", Rules: &empty}); err != nil {
		t.Fatal(err)
	}
	if err := w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "beta", Reason: "launched"}); err != nil {
		t.Errorf("Delete = %v", err)
	}
	if again, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "beta", Name: "Beta"}); err != nil || again.Included+again.Excluded != 0 {
		t.Errorf("made again %+v, %v", again, err)
	}
	for action, n := range map[string]int64{"segment.create": 2, "segment.update": 1, "segment.members.add": 2, "segment.members.remove": 1, "segment.delete": 1} {
		if got := w.AuditCount(t, w.acme, action); got != n {
			t.Errorf("%d entries of %s, want %d", got, action, n)
		}
	}
}

// A segment's history has what it was and became, who and why, and of its list how many and never who; a former version comes back,
// the list does not.
func TestSegmentHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	pro, name := flag.Condition{Attribute: "plan", Operator: flag.In, Values: []any{"pro"}}, "Second"
	if _, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "s", Name: "First", When: pro, Reason: "before the launch"}); err != nil {
		t.Fatal(err)
	}
	up, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "s", Name: &name, When: &flag.Condition{}, Reason: "too wide"})
	if err != nil {
		t.Fatal(err)
	}
	user := uuid.NewString()
	for _, do := range []func() (int, error){
		func() (int, error) {
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{user, "cust-0051907"}, Reason: "asked"})
		},
		func() (int, error) { // already there: no trace
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{user}})
		},
		func() (int, error) {
			return w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{"x"}, Excluded: true})
		},
		func() (int, error) {
			return w.flags.RemoveMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{"x", "y"}})
		},
	} {
		if _, err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "s", Name: &name}); err != nil { // as it is: no trace
		t.Fatal(err)
	}
	var all []flag.SegmentChange
	req := listing.Request{PageSize: 2}
	for range 10 {
		page, err := w.flags.SegmentChanges(ctx, w.acme, "s", req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Items...)
		if req.PageToken = page.NextToken; req.PageToken == "" {
			break
		}
	}
	var got []string
	for _, c := range all {
		got = append(got, string(c.Action)+" "+strconv.Itoa(c.Members)+" "+c.Reason)
		if c.ChangedBy != w.acme.Actor().String() || c.SegmentKey != "s" || c.ChangedAt.IsZero() {
			t.Errorf("a change is %+v", c)
		}
	}
	if want := []string{"MEMBERS_REMOVED 1 ", "MEMBERS_EXCLUDED 1 ", "MEMBERS_INCLUDED 2 asked", "UPDATED 0 too wide", "CREATED 0 before the launch"}; !slices.Equal(got, want) {
		t.Fatalf("the history is %q, want %q", got, want)
	}
	first, changed, listed := all[4], all[3], all[2]
	if first.Before != nil || first.After == nil || first.After.When.Attribute != "plan" || changed.Before.Name != "First" || changed.Before.When.IsZero() || changed.After.Name != name || !changed.After.When.IsZero() || listed.Before != nil || listed.After != nil {
		t.Errorf("it keeps %+v, %+v, %+v", first, changed, listed)
	}
	if one, err := w.flags.SegmentChange(ctx, w.acme, "s", first.ID); err != nil || one.After.Name != "First" {
		t.Errorf("SegmentChange = %+v, %v", one, err)
	}
	// Nobody who was listed, by key, by id or by index, is in what stays when they are erased.
	var kept string
	if err := w.Superuser(t).QueryRow(ctx, "SELECT string_agg(c::text, ' ') FROM flag_segment_changes c WHERE tenant_id = $1", w.acme.Tenant()).Scan(&kept); err != nil || !strings.Contains(kept, "too wide") {
		t.Fatalf("kept is %q, %v", kept, err)
	}
	var indexes []string
	if err := w.Superuser(t).QueryRow(ctx, "SELECT array_agg(encode(targeting_index, 'hex')) FROM flag_segment_members WHERE tenant_id = $1", w.acme.Tenant()).Scan(&indexes); err != nil || len(indexes) != 2 {
		t.Fatal(indexes, err)
	}
	for _, secret := range append(indexes, user, "cust-0051907") {
		if strings.Contains(kept, secret) {
			t.Errorf("the history keeps %s", secret)
		}
	}

	for what, tt := range map[string]struct {
		sc   scope.Scope
		req  flag.RestoreRequest
		want error
	}{
		"another tenant's":   {w.tenant(t), flag.RestoreRequest{Key: "s", Change: first.ID}, flag.ErrSegmentChangeNotFound},
		"another segment's":  {w.acme, flag.RestoreRequest{Key: "t", Change: first.ID}, flag.ErrSegmentChangeNotFound},
		"none":               {w.acme, flag.RestoreRequest{Key: "s", Change: uuid.New()}, flag.ErrSegmentChangeNotFound},
		"of a list":          {w.acme, flag.RestoreRequest{Key: "s", Change: listed.ID}, flag.ErrSegmentChangeNotFound},
		"changed meanwhile":  {w.acme, flag.RestoreRequest{Key: "s", Change: first.ID, IfMatch: up.ETag}, etag.ErrMismatch},
		"with a long reason": {w.acme, flag.RestoreRequest{Key: "s", Change: first.ID, Reason: strings.Repeat("x", 257)}, flag.ErrReason},
	} {
		if _, err := w.flags.RestoreSegment(ctx, tt.sc, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("Restore %s = %v, want %v", what, err, tt.want)
		}
	}
	back, err := w.flags.RestoreSegment(ctx, w.acme, flag.RestoreRequest{Key: "s", Change: first.ID, Reason: "it was better"})
	if err != nil || back.Name != "First" || back.When.Attribute != "plan" || back.Included != 2 || back.Excluded != 0 {
		t.Errorf("Restore = %+v, %v", back, err)
	}
	if page, err := w.flags.SegmentChanges(ctx, w.acme, "s", listing.Request{PageSize: 1}); err != nil || page.Items[0].Reason != "it was better" || page.Items[0].Before.Name != name || page.Items[0].After.Name != "First" {
		t.Errorf("after it the history has %+v, %v", page, err)
	}
	var restored string
	if err := w.Superuser(t).QueryRow(ctx, "SELECT string_agg(a::text, ' ') FROM audit_inbox a WHERE tenant_id = $1", w.acme.Tenant()).Scan(&restored); err != nil || !strings.Contains(restored, "restoredChangeId") {
		t.Errorf("the audit log does not name what was restored: %v", err)
	}
	// What is gone does not come back; its history stays, and is its tenant's alone.
	if err := w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "s", Reason: "over"}); err != nil {
		t.Fatal(err)
	}
	page, err := w.flags.SegmentChanges(ctx, w.acme, "s", listing.Request{PageSize: 1})
	if err != nil || page.Items[0].Action != "DELETED" || page.Items[0].Members != 2 || page.Items[0].Before.Name != "First" || page.Items[0].After != nil {
		t.Fatalf("of what is gone %+v, %v", page, err)
	}
	for what, err := range map[string]error{
		"the end":         second(w.flags.RestoreSegment(ctx, w.acme, flag.RestoreRequest{Key: "s", Change: page.Items[0].ID})),
		"what is gone":    second(w.flags.RestoreSegment(ctx, w.acme, flag.RestoreRequest{Key: "s", Change: first.ID})),
		"a history of no": second(w.flags.SegmentChanges(ctx, w.acme, "none", listing.Request{})),
		"another's":       second(w.flags.SegmentChanges(ctx, w.tenant(t), "s", listing.Request{})),
	} {
		if !errors.Is(err, flag.ErrSegmentNotFound) && !errors.Is(err, flag.ErrSegmentChangeNotFound) {
			t.Errorf("%s = %v", what, err)
		}
	}
}

// Who read a flag or a segment does not change another of the same key that was made since.
func TestMadeAgainIsAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, name := t.Context(), "Theirs"
	segment := func(name string) flag.StoredSegment {
		made, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "s", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	made := func(name string) flag.Stored {
		made, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	oldSegment, oldFlag := segment("First"), made("First")
	if err := errors.Join(w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "s"}), w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: "f"})); err != nil {
		t.Fatal(err)
	}
	segment("Second")
	made("Second")
	for what, err := range map[string]error{
		"a segment":       second(w.flags.UpdateSegment(ctx, w.acme, flag.UpdateSegmentRequest{Key: "s", Name: &name, IfMatch: oldSegment.ETag})),
		"a flag":          second(w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "f", Name: &name, IfMatch: oldFlag.ETag})),
		"a segment's end": w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "s", IfMatch: oldSegment.ETag}),
		"a flag's end":    w.flags.Delete(ctx, w.acme, flag.DeleteRequest{Key: "f", IfMatch: oldFlag.ETag}),
	} {
		if !errors.Is(err, etag.ErrMismatch) {
			t.Errorf("%s by the etag of one that is gone = %v", what, err)
		}
	}
}

// await looks until something holds: the feed brings it within a second.
func await(t *testing.T, holds func() bool, what string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-t.Context().Done():
			t.Fatal(what)
		case <-tick.C:
		}
	}
}

func third[A, B any](_ A, _ B, err error) error { return err }

// dump is all that the tables of flags have, as text.
func (w *world) dump(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	for _, table := range []string{"flags", "flag_segments", "flag_segment_members", "flag_segment_changes", "audit_inbox", "event_outbox"} {
		rows, err := w.Superuser(t).Query(t.Context(), "SELECT t::text FROM "+table+" t")
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			out.WriteString(line + "\n")
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	return out.String()
}

func TestSegmentRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "s", Name: "S"}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		err  error
		want error
		at   string
	}{
		"a hostile key":  {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "a/b", Name: "S"})), flag.ErrInvalid, "key"},
		"no name":        {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "x"})), flag.ErrInvalid, "name"},
		"a key twice":    {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "s", Name: "S"})), flag.ErrSegmentTaken, ""},
		"an operator":    {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "x", Name: "S", When: flag.Condition{Attribute: "a", Operator: "NEAR"}})), flag.ErrInvalid, "when.operator"},
		"a long reason":  {second(w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "x", Name: "S", Reason: strings.Repeat("x", 257)})), flag.ErrReason, ""},
		"nobody":         {second(w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s"})), flag.ErrInvalid, "targetingKeys"},
		"too many":       {second(w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: make([]string, 1001)})), flag.ErrInvalid, "targetingKeys"},
		"an empty one":   {second(w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{"a", ""}})), flag.ErrInvalid, "targetingKeys[1]"},
		"a hidden one":   {second(w.flags.RemoveMembers(ctx, w.acme, flag.MembersRequest{Key: "s", TargetingKeys: []string{"a\u202e"}})), flag.ErrInvalid, "targetingKeys[0]"},
		"a long one":     {second(w.flags.GetMember(ctx, w.acme, "s", strings.Repeat("x", 257))), flag.ErrInvalid, "targetingKey"},
		"a delete's why": {w.flags.DeleteSegment(ctx, w.acme, flag.DeleteSegmentRequest{Key: "s", Reason: strings.Repeat("x", 257)}), flag.ErrReason, ""},
	} {
		refused, ok := fault.As(tt.err)
		if !errors.Is(tt.err, tt.want) || !ok || refused.Metadata["field"] != tt.at {
			t.Errorf("%s: %v (%v)", name, tt.err, refused)
		}
	}
	if n := w.AuditCount(t, w.acme, "segment.create") + w.AuditCount(t, w.acme, "segment.members.add"); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A rule that asks for a segment, and the segment's end, never both come to be.
func TestSegmentGoesOrIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.flags.Create(t.Context(), w.acme, flag.CreateRequest{Key: "f", Type: flag.Boolean, About: flag.About{Name: "F"}}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := w.flags.CreateSegment(t.Context(), w.acme, flag.CreateSegmentRequest{Key: "s", Name: "S"}); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var asked, gone error
		group.Go(func() {
			_, asked = w.flags.Update(t.Context(), w.acme, flag.UpdateRequest{Key: "f", Rules: &[]flag.Rule{{When: flag.Condition{Segment: "s"}, Variant: "on"}}})
		})
		group.Go(func() { gone = w.flags.DeleteSegment(t.Context(), w.acme, flag.DeleteSegmentRequest{Key: "s"}) })
		group.Wait()
		if (asked == nil) == (gone == nil) {
			t.Fatalf("asked for: %v; gone: %v", asked, gone)
		}
		if asked == nil {
			if _, err := w.flags.Update(t.Context(), w.acme, flag.UpdateRequest{Key: "f", Rules: &[]flag.Rule{}}); err != nil {
				t.Fatal(err)
			}
			if err := w.flags.DeleteSegment(t.Context(), w.acme, flag.DeleteSegmentRequest{Key: "s"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// BenchmarkMembers evaluates beside and by a list of a hundred thousand, as a server has it.
func BenchmarkMembers(b *testing.B) {
	w := newWorld(b)
	ctx := b.Context()
	if _, err := w.flags.CreateSegment(ctx, w.acme, flag.CreateSegmentRequest{Key: "beta", Name: "Beta"}); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		keys := make([]string, 1000)
		for j := range keys {
			keys[j] = "cust_" + strconv.Itoa(i*1000+j)
		}
		if n, err := w.flags.AddMembers(ctx, w.acme, flag.MembersRequest{Key: "beta", TargetingKeys: keys}); err != nil || n != 1000 {
			b.Fatal(n, err)
		}
	}
	w.segmented(b, "by", "beta")
	if _, err := w.flags.Create(ctx, w.acme, flag.CreateRequest{Key: "beside", Type: flag.Boolean, About: flag.About{Name: "F"}}); err != nil {
		b.Fatal(err)
	}
	on := true
	if _, err := w.flags.Update(ctx, w.acme, flag.UpdateRequest{Key: "beside", Enabled: &on, Rules: &[]flag.Rule{rollout(25)}}); err != nil {
		b.Fatal(err)
	}
	set, err := w.flags.Flags(ctx, w.acme, "")
	if err != nil {
		b.Fatal(err)
	}
	for name, subject := range map[string]string{"by/member": "cust_99999", "by/another": "cust_100000", "beside": "cust_99999"} {
		key, _, _ := strings.Cut(name, "/")
		if got := set.Evaluate(key, &flag.Subject{Key: subject}).Variant.Bool; key == "by" && got != (name == "by/member") {
			b.Fatalf("%s gets %t", name, got)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Evaluate(key, &flag.Subject{Key: subject})
			}
		})
	}
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.server().Flags(ctx, w.acme, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
