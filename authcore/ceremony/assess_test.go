package ceremony_test

import (
	"context"
	"net/netip"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Addresses of documentation (RFC 5737), and where they are in these tests.
const (
	berlin  = "192.0.2.1"
	munich  = "192.0.2.2"
	tokyo   = "198.51.100.1"
	torExit = "203.0.113.1"
)

func locate(a netip.Addr) risk.Place {
	return map[string]risk.Place{
		berlin: {Country: "DE", ASN: 64496}, munich: {Country: "DE", ASN: 64497}, tokyo: {Country: "JP", ASN: 64511},
		torExit: {Country: "DE", ASN: 64496, Networks: []string{"tor"}},
	}[a.String()]
}

func distance(from, to string) int {
	if from+to == "DEJP" || from+to == "JPDE" {
		return 8000
	}
	return 0
}

// loopback is where scoring services of tests are.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"

// risky is a tenant with risk rules.
func (w *world) risky(t testing.TB, rules string) scope.Scope {
	t.Helper()
	sc := w.tenant(t)
	w.rule(t, sc, rules)
	return sc
}

func (s *server) rule(t testing.TB, sc scope.Scope, rules string) {
	t.Helper()
	if _, err := s.risk.PutRules(t.Context(), sc, risk.PutRulesRequest{Document: []byte(rules)}); err != nil {
		t.Fatal(err)
	}
}

// learns runs what writes behind sign-ins, and returns what waits until all of it is written.
func (s *server) learns(t testing.TB) (settled func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.risk.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	var taught int64
	return func() {
		t.Helper()
		taught++
		waitFor(t, "lesson", func() bool { return s.risk.Stats().Learnt >= taught })
	}
}

// from finishes a discoverable sign-in whose client was at an address.
func (s *server) from(t testing.TB, sc scope.Scope, a *authenticatortest.Authenticator, address, userAgent string, stepUp *ceremony.StepUpDemand) ceremony.Authenticated {
	t.Helper()
	var req ceremony.BeginAuthenticationRequest
	if stepUp != nil {
		req.StepUpToken = stepUp.Token
	}
	begun := s.beginWith(t, sc, req)
	done, err := s.FinishAuthentication(t.Context(), sc, ceremony.FinishAuthenticationRequest{
		ID: begun.ID, Response: get(t, a, begun, authenticatortest.Deviation{}), Client: &ceremony.Client{Address: netip.MustParseAddr(address), UserAgent: userAgent},
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func codes(done ceremony.Authenticated) map[string]bool {
	out := map[string]bool{}
	if done.Risk != nil {
		for _, s := range done.Risk.Decision.Signals {
			out[s.Code] = true
		}
	}
	return out
}

// recorded is what the newest ceremony's row tells of risk.
func (w *world) recorded(t testing.TB, sc scope.Scope) (risk.Recorded, bool) {
	t.Helper()
	var facts string
	if err := w.db.Superuser(t).QueryRow(t.Context(), "SELECT facts FROM ceremonies WHERE tenant_id = $1 ORDER BY at DESC, id DESC LIMIT 1", sc.Tenant()).Scan(&facts); err != nil {
		t.Fatal(err)
	}
	r, ok, err := risk.ParseRecorded([]byte(facts))
	if err != nil {
		t.Fatalf("%s: %v", facts, err)
	}
	return r, ok
}

func TestRiskOff(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	a := phone(t)
	w.enroll(t, acme, a)
	if done := w.from(t, acme, a, berlin, firefox, nil); done.Risk != nil {
		t.Errorf("assessed: %+v", done.Risk)
	}
	if _, ok := w.recorded(t, acme); ok {
		t.Error("recorded")
	}
}

// In shadow mode all is recorded and nothing done; what a user did before is what the next sign-in is compared with.
func TestRiskInShadow(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"SHADOW","denyScore":50,"stepUpScore":20}`)
	a := phone(t)
	enrolled := w.enroll(t, acme, a)
	if _, known, err := w.risk.Habits(t.Context(), acme, uuid.UUID(enrolled.User.ID)); known || err != nil {
		t.Errorf("habits of nobody: %t, %v", known, err)
	}

	first := w.from(t, acme, a, berlin, firefox, nil)
	settled()
	if got := codes(first); len(got) > 0 {
		t.Errorf("the first sign-in: %v", got)
	}
	if r, ok := w.recorded(t, acme); !ok || r.Ruleset != 1 || r.Facts.Country != "DE" || r.Facts.ASN != 64496 || r.Facts.Known {
		t.Errorf("recorded %+v, %t", r, ok)
	}
	again := w.from(t, acme, a, berlin, firefox, nil)
	settled()
	if got := codes(again); !reflect.DeepEqual(got, map[string]bool{"NEW_AUTHENTICATOR": true}) {
		t.Errorf("the second from there: %v", got)
	}
	if got := codes(w.from(t, acme, a, munich, firefox, nil)); !got["NEW_NETWORK"] || got["NEW_COUNTRY"] || got["NEW_DEVICE"] {
		t.Errorf("from another network: %v", got)
	}
	settled()
	far := w.from(t, acme, a, tokyo, "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/141.0 Safari/537.36", nil)
	settled()
	if got := codes(far); !got["NEW_COUNTRY"] || !got["NEW_DEVICE"] || !got["NEW_NETWORK"] || !got["IMPOSSIBLE_TRAVEL"] {
		t.Errorf("from far away: %v", got)
	}
	if d := far.Risk.Decision; far.Decision != ceremony.Allow || d.Outcome != risk.Allow || d.Would != risk.Deny || far.Session == nil {
		t.Errorf("in shadow mode: %+v, %+v", far, d)
	}
	r, _ := w.recorded(t, acme)
	if r.Score != far.Risk.Decision.Score || r.Would != risk.Deny || r.WouldReason != risk.ReasonScore || r.Facts.DistanceKm != 8000 {
		t.Errorf("recorded %+v", r)
	}

	// It is told for people as well, within the tenant.
	h, known, err := w.risk.Habits(t.Context(), acme, uuid.UUID(enrolled.User.ID))
	if err != nil || !known || h.SignIns != 4 || len(h.Devices) != 2 || !reflect.DeepEqual(h.Countries, []string{"DE", "JP"}) || len(h.Networks) != 3 || len(h.Hours) == 0 || time.Since(h.LastAt) > time.Hour {
		t.Errorf("habits = %+v, %t, %v", h, known, err)
	}

	// Another user of the same tenant, and the same person at another tenant, are known nothing of.
	b := phone(t)
	w.enroll(t, acme, b)
	if got := codes(w.from(t, acme, b, tokyo, firefox, nil)); len(got) > 0 {
		t.Errorf("somebody else's first: %v", got)
	}
	settled()
	globex := w.risky(t, `{"mode":"SHADOW"}`)
	w.enroll(t, globex, a)
	if _, known, err := w.risk.Habits(t.Context(), globex, uuid.UUID(enrolled.User.ID)); known || err != nil {
		t.Errorf("habits of another tenant's: %t, %v", known, err)
	}
	if got := codes(w.from(t, globex, a, tokyo, firefox, nil)); len(got) > 0 {
		t.Errorf("another tenant's first: %v", got)
	}
	settled()
}

// A step-up that risk asks for is done once, and what was refused is not learnt from.
func TestRiskEnforced(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"ENFORCE","rules":[{"id":"no-tor","when":"'tor' in networks","then":"DENY","hard":true},{"id":"abroad","when":"newCountry","then":"STEP_UP"}]}`)
	a := phone(t)
	w.enroll(t, acme, a)
	w.from(t, acme, a, berlin, firefox, nil)
	settled()

	refused := w.from(t, acme, a, torExit, firefox, nil)
	if refused.Decision != ceremony.Deny || refused.Reason != risk.ReasonRule || refused.Session != nil {
		t.Errorf("from a Tor exit: %+v", refused)
	}
	if r, _ := w.recorded(t, acme); r.Outcome != risk.Deny || r.Rule != "no-tor" {
		t.Errorf("recorded %+v", r)
	}
	abroad := w.from(t, acme, a, tokyo, firefox, nil)
	if abroad.Decision != ceremony.StepUp || abroad.Reason != risk.ReasonRule || abroad.StepUp == nil {
		t.Fatalf("from abroad: %+v", abroad)
	}
	if done := w.from(t, acme, a, tokyo, firefox, abroad.StepUp); done.Decision != ceremony.Allow || done.Session == nil {
		t.Fatalf("stepped up: %+v", done)
	}
	settled()
	if done := w.from(t, acme, a, tokyo, firefox, nil); done.Decision != ceremony.Allow {
		t.Errorf("from where the user has been: %+v", done)
	}
	settled()
	for reason, want := range map[string]int{"RISK_RULE": 2, "": 4} { // one of a registration
		if n := w.one(t, "SELECT count(*) FROM ceremonies WHERE tenant_id = $1 AND reason = $2", acme.Tenant(), reason); n != want {
			t.Errorf("%d ceremonies with the reason %q, want %d", n, reason, want)
		}
	}
	// A server takes over new rules within a second.
	replica := w.replica(t)
	w.rule(t, acme, `{"mode":"OFF"}`)
	waitFor(t, "risk off", func() bool { return replica.from(t, acme, a, torExit, firefox, nil).Decision == ceremony.Allow })
}

// Signatures that do not verify count for the next attempt, of whoever's passkey it is.
func TestRiskOfFailures(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"SHADOW"}`)
	a := phone(t)
	w.enroll(t, acme, a)
	for range 5 {
		begun := w.begin(t, acme)
		_, err := w.FinishAuthentication(t.Context(), acme, ceremony.FinishAuthenticationRequest{
			ID: begun.ID, Response: get(t, a, begun, authenticatortest.Deviation{WrongKey: true}), Client: &ceremony.Client{Address: netip.MustParseAddr(berlin)},
		})
		if err == nil {
			t.Fatal("accepted")
		}
		settled()
	}
	done := w.from(t, acme, a, tokyo, firefox, nil)
	if f := done.Risk.Facts; f.UserFailures != 5 || f.AddressFailures != 0 || !codes(done)["USER_FAILURES"] {
		t.Errorf("%+v", f)
	}
	settled()
	b := phone(t)
	w.enroll(t, acme, b)
	if f := w.from(t, acme, b, berlin, firefox, nil).Risk.Facts; f.AddressFailures != 5 || f.UserFailures != 0 {
		t.Errorf("somebody else from there: %+v", f)
	}
	settled()
}

// What a busy minute is, the week before tells; one day of an attack is not usual.
func TestRiskOfABusyTenant(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme, other := w.risky(t, `{"mode":"SHADOW"}`), w.risky(t, `{"mode":"SHADOW"}`)
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	peak := func(day int64) string { return "tenant-peak:all:" + strconv.FormatInt(day, 10) }
	const days = 24 * time.Hour
	day := func() int64 { return time.Now().UnixNano() / int64(days) }
	today := day()
	for past, attempts := range []string{"8", "3", "7", "9000", "5", "7"} { // today's does not count, and the most of the others neither
		if err := redis.Put(t.Context(), acme, "risk-count", peak(today-int64(past)), []byte(attempts), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	a, b := phone(t), phone(t)
	w.enroll(t, acme, a)
	w.enroll(t, other, b)
	for range 3 {
		f := w.from(t, acme, a, berlin, firefox, nil).Risk.Facts
		if want := 7 + int(day()-today); f.TenantPeak != 7 && f.TenantPeak != want || f.TenantAttempts < 1 || f.TenantAttempts > 3 { // after midnight there is another today
			t.Errorf("%+v", f)
		}
	}
	if f := w.from(t, other, b, berlin, firefox, nil).Risk.Facts; f.TenantPeak != 0 || f.TenantAttempts != 1 {
		t.Errorf("another tenant: %+v", f)
	}
	settled()
	busiest := ""
	for _, of := range []int64{today, day()} {
		if text, ok, err := redis.Get(t.Context(), other, "risk-count", peak(of)); err != nil {
			t.Fatal(err)
		} else if ok {
			busiest = string(text)
		}
	}
	if busiest != "1" {
		t.Errorf("the busiest minute of the other tenant's today had %q attempts, want 1", busiest)
	}
}

// A profile outlives Redis: Postgres has it. Without Redis the sign-in goes on with what is local, and says so.
func TestRiskWithoutRedis(t *testing.T) {
	redis := dbtest.OwnRedis(t)
	w := newWorldOn(t, dbtest.New(t), redis.URL())
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"ENFORCE","stepUpScore":1,"denyScore":1,"weights":{"NEW_AUTHENTICATOR":0,"USER_VELOCITY":100}}`)
	a := phone(t)
	w.enroll(t, acme, a)
	w.from(t, acme, a, berlin, firefox, nil)
	settled()

	redis.Stop(t)
	var last ceremony.Authenticated
	for range 8 {
		last = w.from(t, acme, a, tokyo, firefox, nil)
		if f := last.Risk.Facts; last.Decision == ceremony.Deny || !f.Degraded || f.Known {
			t.Fatalf("without Redis: %s, %+v", last.Decision, f)
		}
	}
	if f := last.Risk.Facts; f.UserAttempts != 9 || last.Decision != ceremony.StepUp {
		t.Errorf("what this server counted: %s, %+v", last.Decision, f)
	}
	redis.Start(t) // with nothing in it
	waitFor(t, "Redis again", func() bool { return !w.from(t, acme, a, berlin, firefox, nil).Risk.Facts.Degraded })
	if f := w.from(t, acme, a, tokyo, firefox, nil).Risk.Facts; !f.Known || !f.NewCountry || f.PreviousCountry != "DE" {
		t.Errorf("by what Postgres kept: %+v", f)
	}
}

// Nothing of a user who is erased is left, in Postgres or in Redis, and what comes late makes no row.
func TestRiskOfTheErased(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"SHADOW"}`)
	a := phone(t)
	enrolled := w.enroll(t, acme, a)
	w.from(t, acme, a, berlin, firefox, nil)
	settled()
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	id := enrolled.User.ID
	look := func() (rows int, known bool) {
		_, known, err := redis.Get(t.Context(), acme, "risk-profile", id.String())
		if err != nil {
			t.Fatal(err)
		}
		return w.one(t, "SELECT count(*) FROM risk_profiles WHERE tenant_id = $1 AND user_id = $2", acme.Tenant(), uuid.UUID(id)), known
	}
	if rows, known := look(); rows != 1 || !known {
		t.Fatalf("%d rows, in Redis %t", rows, known)
	}
	if _, err := w.users.Delete(t.Context(), acme, user.DeleteRequest{ID: id}); err != nil {
		t.Fatal(err)
	}
	if rows, known := look(); rows != 0 || known {
		t.Errorf("after the erasure: %d rows, in Redis %t", rows, known)
	}
}

// What a sign-in teaches may be written when its user is gone already: with nothing new in it that is Redis's alone, which nobody
// empties a second time.
func TestRiskLearntAfterErasure(t *testing.T) {
	w := newWorld(t)
	acme := w.risky(t, `{"mode":"SHADOW"}`)
	a := phone(t)
	enrolled := w.enroll(t, acme, a)
	redis, err := ephemeral.Open(w.redis)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	over, end := context.WithCancel(t.Context())
	end()
	writeAll := func() { // Run that is over writes what waits
		t.Helper()
		if err := w.risk.Run(over); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() bool {
		t.Helper()
		_, known, err := redis.Get(t.Context(), acme, "risk-profile", enrolled.User.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		return known
	}
	w.from(t, acme, a, berlin, firefox, nil)
	writeAll()
	w.from(t, acme, a, berlin, firefox, nil) // nothing new
	writeAll()
	if !kept() {
		t.Fatal("nothing is in Redis")
	}
	if err := redis.Delete(t.Context(), acme, "risk-profile", enrolled.User.ID.String()); err != nil {
		t.Fatal(err)
	}
	w.from(t, acme, a, berlin, firefox, nil) // read from Postgres
	writeAll()
	if !kept() {
		t.Error("what was read from Postgres is not in Redis again")
	}
	w.from(t, acme, a, berlin, firefox, nil)
	if _, err := w.users.Delete(t.Context(), acme, user.DeleteRequest{ID: enrolled.User.ID}); err != nil {
		t.Fatal(err)
	}
	writeAll()
	if kept() {
		t.Error("the profile of somebody who was erased is in Redis again")
	}
}

// A profile that cannot be read is one that is not known: it keeps nobody from signing in, and the next sign-in makes another.
func TestRiskOfADamagedProfile(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	acme := w.risky(t, `{"mode":"ENFORCE"}`)
	a := phone(t)
	enrolled := w.enroll(t, acme, a)
	w.from(t, acme, a, berlin, firefox, nil)
	settled()
	if _, err := w.db.Superuser(t).Exec(t.Context(), `UPDATE risk_profiles SET profile = '{"hours":[1]}' WHERE user_id = $1`, uuid.UUID(enrolled.User.ID)); err != nil {
		t.Fatal(err)
	}
	w.risk.Forget(t.Context(), acme, uuid.UUID(enrolled.User.ID))
	if done := w.from(t, acme, a, tokyo, firefox, nil); done.Decision != ceremony.Allow || done.Risk.Facts.Known {
		t.Errorf("with a damaged profile: %+v", done)
	}
	settled()
	if f := w.from(t, acme, a, berlin, firefox, nil).Risk.Facts; !f.Known || f.PreviousCountry != "JP" {
		t.Errorf("afterwards: %+v", f)
	}
}

// A tenant whose sign-ins fail by the thousand leaves room for what others' teach.
func TestRiskLessonsOfOthers(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.risky(t, `{"mode":"SHADOW"}`), w.risky(t, `{"mode":"SHADOW"}`)
	from := netip.MustParseAddr(berlin)
	for range 5000 {
		w.risk.Failed(t.Context(), acme, uuid.Nil, from)
	}
	w.risk.Failed(t.Context(), globex, uuid.Nil, from)
	over, end := context.WithCancel(t.Context())
	end()
	if err := w.risk.Run(over); err != nil {
		t.Fatal(err)
	}
	if st := w.risk.Stats(); st.Learnt+st.Dropped != 5001 || st.Dropped == 0 {
		t.Errorf("%+v", st)
	}
	a := phone(t)
	w.enroll(t, globex, a)
	if f := w.from(t, globex, a, berlin, firefox, nil).Risk.Facts; f.AddressFailures != 1 {
		t.Errorf("%d failures, want 1", f.AddressFailures)
	}
}

// A server that ends writes what waits, and does not wait for a Postgres that answers nobody.
func TestRiskEndsThoughPostgresHangs(t *testing.T) {
	w := newWorld(t)
	acme := w.risky(t, `{"mode":"SHADOW"}`)
	a := phone(t)
	w.enroll(t, acme, a)
	w.from(t, acme, a, berlin, firefox, nil)
	const rest = 1000
	for range rest {
		w.risk.Failed(t.Context(), acme, uuid.Nil, netip.MustParseAddr(berlin))
	}
	tx, err := w.db.Superuser(t).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE risk_profiles IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := w.risk.Run(over); err != nil {
		t.Fatal(err)
	}
	// The first took the time that there is for all of them; without that bound it alone is lost.
	if st := w.risk.Stats(); st.Learnt+st.Dropped != 1+rest || st.Dropped == 1 {
		t.Errorf("%+v", st)
	}
}
