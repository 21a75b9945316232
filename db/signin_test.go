package db_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// signInOf returns a sign-in that nothing is wrong with.
func signInOf(user uuid.UUID, credential []byte, count uint32) db.SignIn {
	id := uuid.Must(uuid.NewV7())
	now := time.Now().UTC().Truncate(time.Microsecond)
	return db.SignIn{
		ID: id, ChallengeHash: sha256.Sum256(id[:]), Expiry: now.Add(5 * time.Minute),
		CredentialID: credential, UserID: user, SignCount: count,
		AAL: 2, UserVerified: true, Lifetime: time.Hour,
		At: now, PolicyVersion: 3, Facts: []byte(`{"origin":"https://example.org"}`),
		AuditEntry: []byte(`{"id":"` + id.String() + `"}`), Event: []byte(`{"event":"` + id.String() + `"}`),
	}
}

// together sends sign-ins so that they meet in one batch: the writers start when all
// of them wait. At most 16 of one tenant and 64 in all fit.
func together(t *testing.T, f *fixture, who []person, ins []db.SignIn) ([]db.SignInOutcome, []error) {
	t.Helper()
	store := f.open(t)
	outcomes, errs := make([]db.SignInOutcome, len(ins)), make([]error, len(ins))
	var sent sync.WaitGroup
	for i := range ins {
		sent.Go(func() { outcomes[i], errs[i] = store.SignIn(t.Context(), who[i].sc, ins[i]) })
		waitFor(t, fmt.Sprintf("%d waiting sign-ins", i+1), func() bool { return store.SignInStats().Waiting == i+1 })
	}
	f.run(t, store)
	sent.Wait()
	return outcomes, errs
}

// waitFor polls for what no event tells of.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Microsecond)
	defer tick.Stop()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("no %s within 10 s", what)
		}
	}
}

func TestSignInWritesEverything(t *testing.T) {
	f := newFixture(t)
	store := f.running(t)
	for _, tt := range []struct {
		name, address string
		origin        scope.Origin
	}{
		{"IPv4", "192.0.2.7/32", scope.Origin{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Browser/1"}},
		{"IPv4 in IPv6", "192.0.2.7/32", scope.Origin{Address: netip.MustParseAddr("::ffff:192.0.2.7")}},
		{"IPv6 with a zone", "fe80::1/128", scope.Origin{Address: netip.MustParseAddr("fe80::1%eth0"), UserAgent: "Browser/1"}},
		{"no address", "", scope.Origin{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := f.person(t, f.tenant(t))
			in := p.signIn(7)
			in.BackedUp = true
			out, err := store.SignIn(t.Context(), p.sc.WithOrigin(tt.origin), in)
			if err != nil || !out.Accepted || out.RolledBack {
				t.Fatalf("SignIn = %+v, %v", out, err)
			}
			f.expectAll(t, in)
			if out.ExpiresAt.Sub(out.CreatedAt) != time.Hour {
				t.Errorf("the session lives from %v to %v, want an hour", out.CreatedAt, out.ExpiresAt)
			}
			rows, _ := f.admin.Query(t.Context(), `SELECT s.tenant_id, s.user_id, s.credential_id, s.aal, s.user_verified,
  coalesce(s.address::text, '') AS address, s.user_agent, s.created_at, s.last_used_at, s.expires_at,
  c.sign_count, c.backed_up, c.last_used_at AS used_at, m.outcome, m.kind, m.policy_version, m.facts, m.at, a.action, a.entry, e.type, e.payload
FROM sessions s JOIN credentials c ON c.id = s.credential_id JOIN ceremonies m ON m.id = s.id JOIN audit_inbox a ON a.id = s.id
  JOIN event_outbox e ON e.id = s.id WHERE s.id = $1`, in.ID)
			type stored struct {
				TenantID, UserID                 uuid.UUID
				CredentialID                     []byte
				AAL                              int16
				UserVerified                     bool
				Address, UserAgent               string
				CreatedAt, LastUsedAt, ExpiresAt time.Time
				SignCount                        int64
				BackedUp                         bool
				UsedAt                           time.Time
				Outcome, Kind                    string
				PolicyVersion                    int
				Facts                            string
				At                               time.Time
				Action, Entry, Type, Payload     string
			}
			got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[stored])
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []*time.Time{&got.CreatedAt, &got.LastUsedAt, &got.ExpiresAt, &got.UsedAt, &got.At} {
				*v = v.UTC()
			}
			want := stored{
				TenantID: p.sc.Tenant(), UserID: p.user, CredentialID: p.credential, AAL: 2, UserVerified: true,
				Address: tt.address, UserAgent: tt.origin.UserAgent,
				CreatedAt: out.CreatedAt, LastUsedAt: out.CreatedAt, ExpiresAt: out.ExpiresAt,
				SignCount: 7, BackedUp: true, UsedAt: out.CreatedAt,
				Outcome: "ALLOW", Kind: "AUTHENTICATION", PolicyVersion: 3, Facts: string(in.Facts), At: in.At,
				Action: db.SignInAction, Entry: string(in.AuditEntry), Type: db.SignInEvent, Payload: string(in.Event),
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("stored %+v\nwant   %+v", got, want)
			}
		})
	}
}

// One bad sign-in among good ones of its tenant and of another: it fails alone, and
// leaves nothing but its spent challenge. Removing row-level security turns "another
// tenant's credential" red; removing a condition of the UPDATE, the case named after it.
func TestARefusedSignInFailsAlone(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.tenant(t), f.tenant(t)
	stranger := f.person(t, globex)
	set := func(sql string) func(*testing.T, person, *db.SignIn) {
		return func(t *testing.T, p person, _ *db.SignIn) { f.exec(t, sql, p.credential) }
	}
	change := func(fn func(*db.SignIn)) func(*testing.T, person, *db.SignIn) {
		return func(_ *testing.T, _ person, in *db.SignIn) { fn(in) }
	}
	for _, tt := range []struct {
		name      string
		spoil     func(*testing.T, person, *db.SignIn)
		wantSpent int
	}{
		{"count rolled back", set("UPDATE credentials SET sign_count = 9 WHERE id = $1"), 1},
		{"count repeated", set("UPDATE credentials SET sign_count = 5 WHERE id = $1"), 1},
		{"count zero after others", func(t *testing.T, p person, in *db.SignIn) {
			f.exec(t, "UPDATE credentials SET sign_count = 1 WHERE id = $1", p.credential)
			in.SignCount = 0
		}, 1},
		{"suspended", set("UPDATE credentials SET state = 'SUSPENDED' WHERE id = $1"), 1},
		{"revoked", set("UPDATE credentials SET state = 'REVOKED' WHERE id = $1"), 1},
		{"user blocked", set("UPDATE credentials SET user_blocked = true WHERE id = $1"), 1},
		{"backup eligibility changed", change(func(in *db.SignIn) { in.BackupEligible = true }), 1},
		{"no such credential", change(func(in *db.SignIn) { in.CredentialID = []byte("nobody's") }), 1},
		{"another user's credential", change(func(in *db.SignIn) { in.UserID = uuid.New() }), 1},
		{"another tenant's credential", change(func(in *db.SignIn) { in.CredentialID, in.UserID = stranger.credential, stranger.user }), 1},
		{"challenge spent before", func(t *testing.T, _ person, in *db.SignIn) {
			f.exec(t, "INSERT INTO spent_challenges (tenant_id, hash, slot, spender) VALUES ($1, $2, $3, $1)",
				acme.Tenant(), in.ChallengeHash[:], db.Slot(in.Expiry))
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who := []person{f.person(t, acme), f.person(t, acme), f.person(t, acme), f.person(t, globex)}
			ins := []db.SignIn{who[0].signIn(5), who[1].signIn(5), who[2].signIn(0), who[3].signIn(5)}
			tt.spoil(t, who[1], &ins[1])
			before := f.signCount(t, stranger)
			outcomes, errs := together(t, f, who, ins)
			for i := range ins {
				if errs[i] != nil || outcomes[i].Accepted != (i != 1) {
					t.Errorf("sign-in %d = %+v, %v, want accepted: %v", i, outcomes[i], errs[i], i != 1)
				}
				if i != 1 {
					f.expectAll(t, ins[i])
				}
			}
			if traces, spent := f.written(t, ins[1]); traces != 0 || spent != tt.wantSpent {
				t.Errorf("the refused one left %d rows and spent %d challenges, want 0 and %d", traces, spent, tt.wantSpent)
			}
			if after := f.signCount(t, stranger); after != before {
				t.Errorf("another tenant's sign count went from %d to %d", before, after)
			}
		})
	}
}

// What Postgres refuses to run at all: the batch is rolled back, and each of its rows
// tried alone.
func TestAnImpossibleSignInFailsAlone(t *testing.T) {
	f := newFixture(t)
	acme, globex := f.tenant(t), f.tenant(t)
	for _, tt := range []struct {
		name    string
		spoil   func(*db.SignIn, *person)
		accept  bool // text is made harmless before it is sent
		batches int64
	}{
		{name: "NUL in the user agent", spoil: func(_ *db.SignIn, p *person) {
			p.sc = p.sc.WithOrigin(scope.Origin{UserAgent: "nul\x00byte"})
		}, accept: true},
		{name: "invalid UTF-8 in the user agent", spoil: func(_ *db.SignIn, p *person) {
			p.sc = p.sc.WithOrigin(scope.Origin{UserAgent: "\xff\xfe"})
		}, accept: true},
		{name: "NUL in the facts", spoil: func(in *db.SignIn, _ *person) { in.Facts = []byte("{\x00}") }, accept: true},
		{name: "no partition for the challenge", spoil: func(in *db.SignIn, _ *person) { in.Expiry = in.Expiry.Add(-10000 * time.Hour) }},
		{name: "no partition for the event", spoil: func(in *db.SignIn, _ *person) { in.At = in.At.Add(-10000 * time.Hour) }},
		{name: "an assurance that does not exist", spoil: func(in *db.SignIn, _ *person) { in.AAL = 9 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who := []person{f.person(t, acme), f.person(t, acme), f.person(t, acme), f.person(t, globex)}
			ins := []db.SignIn{who[0].signIn(5), who[1].signIn(5), who[2].signIn(0), who[3].signIn(5)}
			tt.spoil(&ins[1], &who[1])
			outcomes, errs := together(t, f, who, ins)
			for i := range ins {
				want := i != 1 || tt.accept
				if (errs[i] == nil) != want || outcomes[i].Accepted != want {
					t.Errorf("sign-in %d = %+v, %v, want accepted: %v", i, outcomes[i], errs[i], want)
				}
				if want {
					f.expectAll(t, ins[i])
				} else if traces, spent := f.written(t, ins[i]); traces+spent != 0 {
					t.Errorf("what failed left %d rows and spent %d challenges", traces, spent)
				}
			}
			if errors.Is(errs[1], db.ErrUnavailable) {
				t.Errorf("a row that can never be written is answered as an outage: %v", errs[1])
			}
		})
	}
}

// Two sign-ins by one credential that wait together both succeed, in their order.
func TestTheSameCredentialTwice(t *testing.T) {
	f := newFixture(t)
	p := f.person(t, f.tenant(t))
	var who []person
	var ins []db.SignIn
	for i := range uint32(5) {
		who, ins = append(who, p), append(ins, p.signIn(i+1))
	}
	outcomes, errs := together(t, f, who, ins)
	for i := range ins {
		if errs[i] != nil || !outcomes[i].Accepted {
			t.Errorf("sign-in %d = %+v, %v", i, outcomes[i], errs[i])
		}
	}
	if n := f.signCount(t, p); n != 5 {
		t.Errorf("sign count = %d, want 5", n)
	}
}

// One challenge, 64 finishes at once, by 64 credentials and by one: one success.
// Without the spent row, or without joining on who spent it, more succeed.
func TestTheSameChallengeRaced(t *testing.T) {
	f := newFixture(t)
	store := f.running(t)
	second := f.open(t) // another server on the same database
	f.run(t, second)
	for _, people := range []int{1, 64} {
		t.Run(fmt.Sprintf("%d credentials", people), func(t *testing.T) {
			acme := f.tenant(t)
			who := make([]person, people)
			for i := range who {
				who[i] = f.person(t, acme)
			}
			for round := range 10 {
				challenge := sha256.Sum256(fmt.Append(nil, people, round, acme.Tenant()))
				expiry := time.Now().Add(time.Minute)
				accepted := make([]bool, 64)
				errs := make([]error, 64)
				var race sync.WaitGroup
				for i := range accepted {
					race.Go(func() {
						p := who[i%people]
						in := p.signIn(uint32(round*64 + i + 1))
						in.ChallengeHash, in.Expiry, in.AnySignCount = challenge, expiry, true
						var out db.SignInOutcome
						out, errs[i] = []*db.Store{store, second}[i%2].SignIn(t.Context(), acme, in)
						accepted[i] = out.Accepted
					})
				}
				race.Wait()
				winners := 0
				for i := range accepted {
					if errs[i] != nil {
						t.Errorf("finish %d: %v", i, errs[i])
					}
					if accepted[i] {
						winners++
					}
				}
				if winners != 1 {
					t.Errorf("round %d: %d of 64 finishes succeeded, want 1", round, winners)
				}
			}
			var sessions int
			if err := f.admin.QueryRow(t.Context(), "SELECT count(*) FROM sessions WHERE tenant_id = $1", acme.Tenant()).Scan(&sessions); err != nil || sessions != 10 {
				t.Errorf("%d sessions, %v, want 10", sessions, err)
			}
		})
	}
}

func TestAnySignCountReportsARollback(t *testing.T) {
	f := newFixture(t)
	store := f.running(t)
	for _, tt := range []struct {
		name          string
		stored        int64
		given         uint32
		wantRollback  bool
		wantSignCount int64
	}{
		{"grown", 3, 4, false, 4},
		{"never counted", 0, 0, false, 0},
		{"repeated", 4, 4, true, 4},
		{"lower: the higher one stays", 9, 4, true, 9},
		{"zero after others", 9, 0, true, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := f.person(t, f.tenant(t))
			f.exec(t, "UPDATE credentials SET sign_count = $2 WHERE id = $1", p.credential, tt.stored)
			in := p.signIn(tt.given)
			in.AnySignCount = true
			out, err := store.SignIn(t.Context(), p.sc, in)
			if err != nil || !out.Accepted || out.RolledBack != tt.wantRollback {
				t.Errorf("SignIn = %+v, %v, want accepted, rolled back: %v", out, err, tt.wantRollback)
			}
			if n := f.signCount(t, p); n != tt.wantSignCount || int64(out.SignCount) != n {
				t.Errorf("stored count = %d, answered %d, want %d", n, out.SignCount, tt.wantSignCount)
			}
		})
	}
	t.Run("suspended all the same", func(t *testing.T) {
		p := f.person(t, f.tenant(t))
		f.exec(t, "UPDATE credentials SET state = 'SUSPENDED' WHERE id = $1", p.credential)
		in := p.signIn(1)
		in.AnySignCount = true
		if out, err := store.SignIn(t.Context(), p.sc, in); err != nil || out.Accepted {
			t.Errorf("SignIn = %+v, %v, want refused", out, err)
		}
	})
}

// A quiet tenant's sign-in waits for the batch in flight and for its own, however
// many sign-ins of a noisy tenant wait. Counted in batches, not in time.
func TestANoisyTenantDoesNotDelayOthers(t *testing.T) {
	f := newFixture(t)
	store := f.running(t)
	noisy, quiet := f.tenant(t), f.person(t, f.tenant(t))
	ctx, stop := context.WithCancel(t.Context())
	var noise sync.WaitGroup
	defer noise.Wait()
	defer stop()
	for range 300 {
		p := f.person(t, noisy)
		noise.Go(func() {
			for n := uint32(1); ctx.Err() == nil; n++ {
				if out, err := store.SignIn(ctx, p.sc, p.signIn(n)); ctx.Err() == nil && (err != nil || !out.Accepted) {
					t.Errorf("noise: %+v, %v", out, err)
				}
			}
		})
	}
	waitFor(t, "queue of the noisy tenant", func() bool { return store.SignInStats().Waiting > 100 })
	late := 0
	for n := range uint32(50) {
		before := store.SignInStats().Batches
		if out, err := store.SignIn(t.Context(), quiet.sc, quiet.signIn(n+1)); err != nil || !out.Accepted {
			t.Fatalf("quiet: %+v, %v", out, err)
		}
		// Two writers: each may finish one batch and begin another until it is ours,
		// and go on while our goroutine is scheduled, which takes long now and then on a
		// machine that does something else as well.
		if store.SignInStats().Batches-before > 8 {
			late++
		}
	}
	if late > 5 {
		t.Errorf("%d of the quiet tenant's 50 sign-ins took more than 8 batches, with %d waiting", late, store.SignInStats().Waiting)
	}
}

// A sign-in whose request is gone before its turn leaves no trace.
func TestAWithdrawnSignInIsNotWritten(t *testing.T) {
	f := newFixture(t)
	store := f.open(t)
	p := f.person(t, f.tenant(t))
	in := p.signIn(1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := store.SignIn(ctx, p.sc, in)
		done <- err
	}()
	waitFor(t, "waiting sign-in", func() bool { return store.SignInStats().Waiting == 1 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("SignIn error = %v, want %v", err, context.Canceled)
	}
	f.run(t, store)
	if out, err := store.SignIn(t.Context(), p.sc, p.signIn(1)); err != nil || !out.Accepted {
		t.Fatalf("the next sign-in: %+v, %v", out, err)
	}
	if traces, spent := f.written(t, in); traces+spent != 0 {
		t.Errorf("it left %d rows and spent %d challenges", traces, spent)
	}
}

// What waits when the server stops is written and answered; what comes later is told
// to go elsewhere.
func TestStoppingDrains(t *testing.T) {
	f := newFixture(t)
	store := f.open(t)
	acme := f.tenant(t)
	var sent sync.WaitGroup
	for i := range 40 {
		p := f.person(t, acme)
		sent.Go(func() {
			if out, err := store.SignIn(t.Context(), p.sc, p.signIn(1)); err != nil || !out.Accepted {
				t.Errorf("waiting sign-in %d: %+v, %v", i, out, err)
			}
		})
	}
	waitFor(t, "40 waiting sign-ins", func() bool { return store.SignInStats().Waiting == 40 })
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := store.Run(ctx); err != nil {
		t.Fatal(err)
	}
	sent.Wait()
	p := f.person(t, acme)
	if _, err := store.SignIn(t.Context(), p.sc, p.signIn(1)); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("after the end: %v, want %v", err, db.ErrUnavailable)
	}
}

func TestSignInNeedsAScope(t *testing.T) {
	f := newFixture(t)
	p := f.person(t, f.tenant(t))
	if _, err := f.open(t).SignIn(t.Context(), scope.Scope{}, p.signIn(1)); !errors.Is(err, db.ErrScope) {
		t.Errorf("SignIn error = %v, want %v", err, db.ErrScope)
	}
}

// The writer's role can do what the statement does and no more.
func TestTheWriterSeesNoSecrets(t *testing.T) {
	f := newFixture(t)
	p := f.person(t, f.tenant(t))
	conn := f.store.As(t, db.RoleWriter)
	if _, err := conn.Exec(t.Context(), "SELECT set_config('app.tenant_id', $1, false)", p.sc.Tenant().String()); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT public_key FROM credentials",
		"SELECT nickname FROM credentials",
		"UPDATE credentials SET state = 'ACTIVE'",
		"UPDATE credentials SET user_blocked = false",
		"DELETE FROM credentials",
		"SELECT id FROM sessions",
		"UPDATE sessions SET expires_at = now()",
		"SELECT entry FROM audit_inbox",
		"SELECT payload FROM event_outbox",
		"SELECT facts FROM ceremonies",
		"SELECT hash FROM spent_challenges",
		"DELETE FROM spent_challenges",
		"SELECT id FROM users",
		"SELECT private_sealed FROM signing_keys",
	} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("bc_writer may: %s", sql)
		}
	}
	if _, err := conn.Exec(t.Context(), "SELECT id, sign_count FROM credentials"); err != nil {
		t.Errorf("bc_writer may not read what it decides by: %v", err)
	}
}
