package recovery_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
)

// statements notes what Postgres is asked for a tenant. The change feed, which asks all
// the time, has another role.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if conn.Config().User == db.RoleApp {
		s.mu.Lock()
		s.sent = append(s.sent, q.SQL[:min(len(q.SQL), 40)])
		s.mu.Unlock()
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return slices.Clone(sent)
}

// SECURITY 10: who has an account cannot be asked by recovering one. Whatever is wrong,
// the error is the same, and Postgres is asked the same: a user who is looked up once
// more than others, or a lock that is answered from less work, shows here.
func TestRefusalsAreAlike(t *testing.T) {
	w := newWorld(t)
	acme := w.policed(t, `{"recoveryFailures":2}`)
	known, without, blocked, locked, used := w.User(t, acme), w.User(t, acme), w.User(t, acme), w.User(t, acme), w.User(t, acme)
	codes := map[string]string{}
	for _, u := range []user.User{known, blocked, locked, used} {
		codes[u.ExternalID] = w.codes(t, acme, u)[0]
	}
	if _, err := w.Users.Block(t.Context(), acme, user.BlockRequest{ID: blocked.ID}); err != nil {
		t.Fatal(err)
	}
	w.granted(t, acme, used.ExternalID, codes[used.ExternalID])
	for _, name := range []string{locked.ExternalID, "nobody, locked"} {
		for range 2 {
			_, _ = w.redeem(t, acme, name, "wrong")
		}
	}

	seen := &statements{}
	o := w.Options()
	o.Tracer = seen
	store, err := db.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s := w.on(t, store, w.Keys, w.Tenants, w.Sessions)

	look := func(name, code string) (string, []string) {
		_, err := s.redeem(t, acme, name, code)
		if err == nil {
			t.Fatalf("%s is let in", name)
		}
		return err.Error(), seen.take()
	}
	wantText, wantSent := look(known.ExternalID, "AAAAA-AAAAA-AAAAA-AAAAA")
	if len(wantSent) < 8 {
		t.Fatalf("only %d statements are seen: %v", len(wantSent), wantSent)
	}
	for _, tt := range []struct{ name, external, code string }{
		{"nobody", "nobody", "AAAAA-AAAAA-AAAAA-AAAAA"},
		{"nobody, with somebody's code", "another nobody", codes[known.ExternalID]},
		{"what can be no name", "a\x00\xff", "AAAAA-AAAAA-AAAAA-AAAAA"},
		{"somebody without codes", without.ExternalID, "AAAAA-AAAAA-AAAAA-AAAAA"},
		{"somebody blocked, with the right code", blocked.ExternalID, codes[blocked.ExternalID]},
		{"somebody locked out, with the right code", locked.ExternalID, codes[locked.ExternalID]},
		{"nobody, locked out", "nobody, locked", "AAAAA-AAAAA-AAAAA-AAAAA"},
		{"a code that was used", used.ExternalID, codes[used.ExternalID]},
		{"what is no code", without.ExternalID + "-", "hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, sent := look(tt.external, tt.code)
			if text != wantText {
				t.Errorf("refused as %q, a wrong code as %q", text, wantText)
			}
			if diff := cmp.Diff(wantSent, sent); diff != "" {
				t.Errorf("other work than for a wrong code:\n%s", diff)
			}
		})
	}
	t.Run("the failure that locks", func(t *testing.T) {
		_, ofKnown := look(known.ExternalID, "wrong")
		_, ofNobody := look("nobody", "wrong")
		if diff := cmp.Diff(ofKnown, ofNobody); diff != "" || len(ofKnown) <= len(wantSent) {
			t.Errorf("somebody and nobody differ:\n%s", diff)
		}
	})
}
