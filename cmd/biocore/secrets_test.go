package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// hidden is what may stand nowhere, by what it is. Secrets are for their holders;
// personal data is for those whom the tenant's key lets read it.
type hidden map[string]string

// forms are the ways in which a value may stand in a log or a dump: as text, as the
// bytes of that text, and as the bytes that the text encodes.
func forms(value string) []string {
	out := []string{value, hex.EncodeToString([]byte(value))}
	if b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(value, "rt_")); err == nil && len(b) >= 16 {
		out = append(out, hex.EncodeToString(b), base64.StdEncoding.EncodeToString(b))
		if strings.HasPrefix(value, "rt_") {
			out = append(out, hex.EncodeToString(b[len(b)-32:])) // what makes it one: its MAC
		}
	}
	if parts := strings.Split(value, "_"); len(parts) == 4 && len(parts[3]) == 49 { // an API key: also its secret alone
		alone := parts[3][:43]
		swapped := strings.Map(func(r rune) rune { // our digits are 0-9A-Za-z, math/big's 0-9a-zA-Z
			switch {
			case r >= 'a' && r <= 'z':
				return r - 'a' + 'A'
			case r >= 'A' && r <= 'Z':
				return r - 'A' + 'a'
			}
			return r
		}, alone)
		if n, ok := new(big.Int).SetString(swapped, 62); ok {
			out = append(out, hex.EncodeToString(n.FillBytes(make([]byte, 32))))
		}
		out = append(out, alone)
	}
	if parts := strings.Split(value, "."); len(parts) == 3 && strings.HasPrefix(value, "eyJ") { // a JWT: also its signature alone
		out = append(out, forms(parts[2])...)
	}
	return out
}

// in reports what of h stands in a text, and where.
func (h hidden) in(t testing.TB, where, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for what, value := range h {
		for _, form := range forms(value) {
			if i := strings.Index(lower, strings.ToLower(form)); i >= 0 {
				t.Errorf("%s holds %s: …%s…", where, what, text[max(0, i-160):min(len(text), i+40)])
				break
			}
		}
	}
}

// notes is a log that is read while it is written.
type notes struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.buf.String()
}

// SECURITY 9 and 30: after all that can happen to a tenant, good and bad, with the
// stores failing in between, neither a secret nor a name is found in the log (at its
// most talkative, and without the redaction that it has besides), in traces, in
// metrics, in any table, or in Redis.
//
// Known and not looked for: IP addresses and user agents (sessions, audit entries:
// a person must recognise a session as theirs), nicknames (credentials: the same),
// user handles and credential IDs (they are public to every page that asks), an API
// key's first characters (so that its owner recognises it).
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	quiet(t)
	traces := new(collector)
	sink := httptest.NewServer(traces)
	t.Cleanup(sink.Close) // after the last export
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)
	tel := start(t, TelemetryConfig{TraceRatio: 1, LogOutput: io.Discard, LogLevel: slog.LevelDebug})
	log := new(notes)
	tel.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))

	store, postgres := dbtest.OwnPostgres(t)
	redisServer := dbtest.OwnRedis(t)
	cfg := testConfig(t, store, redisServer.URL())
	w := startWorldTelling(t, store, cfg, tel)
	h := hidden{"the platform's key": w.platformKey}
	c := w.tenant(t, "acme")
	h["a server's key"], h["a browser's key"] = c.secret, c.publishable

	// The stores' passwords and the KMS's key are of no request, but nearer than any to
	// what says why a store fails.
	for what, text := range cfg.secrets() {
		if text.Reveal() == "" { // not given: every text holds it
			continue
		}
		u, err := url.Parse(text.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		h["the password in "+what], _ = u.User.Password()
	}
	key, err := os.ReadFile(strings.TrimPrefix(cfg.KMSURL, "local:"))
	if err != nil {
		t.Fatal(err)
	}
	h["the KMS key"] = base64.RawURLEncoding.EncodeToString(key)

	w.live(t, c, h)
	w.fail(t, c, h)
	w.profile(t, h)
	h.in(t, "Postgres's log", postgres.Log(t))
	h.in(t, "Redis", w.redisDump(t))

	redisServer.Stop(t)
	if a := w.call(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user}); a.status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %s", a)
	}
	postgres.Crash(t)
	if a := w.call(t, "GET", "/v1/users/"+c.user, c.secret, nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("without Postgres: %s", a)
	}
	ready := w.operations(t, "/readyz")
	if !strings.Contains(ready, "postgres") || strings.Contains(ready, `"postgres":"ok"`) {
		t.Errorf("readiness does not tell that Postgres is gone: %s", ready)
	}
	h.in(t, "readiness", ready)
	commandsShow(t, cfg, h)
	postgres.Start(t)
	// What every PKCS #8 form of a P-256 key begins with.
	h["a private key"] = base64.RawURLEncoding.EncodeToString(decodeHex(t, "308187020100301306072a8648ce3d020106082a8648ce3d030107"))
	h["a private key in PEM"] = "PRIVATE KEY-----"

	commandsShow(t, cfg, h)
	h.in(t, "Postgres's log, after its crash", postgres.Log(t))
	h.in(t, "a table", dump(t, store))
	metrics := w.scrapeOps(t)
	h.in(t, "the metrics", metrics)
	hidden{"a tenant's id": c.id, "a user's id": c.user, "a tenant's slug": "acme"}.in(t, "the metrics", metrics) // labels are bounded
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	traces.mu.Lock()
	defer traces.mu.Unlock()
	if len(traces.traces) == 0 {
		t.Error("nothing was traced")
	}
	for _, export := range traces.traces {
		h.in(t, "a trace", prototext.Format(export))
	}
	logged := log.String()
	h.in(t, "the log", logged)
	if !strings.Contains(logged, "dependency unavailable") || !strings.Contains(logged, `"path":"/v1/registrations:finish"`) {
		t.Errorf("the log does not tell of this run:\n%s", logged)
	}
}

// live is a good life: h learns what it brought about.
func (w *world) live(t *testing.T, c *customer, h hidden) {
	t.Helper()
	const external, mail, shown = "employee-4711-kowalski", "grazyna.kowalski@customer.example", "Grażyna Kowalska-Nowak"
	h["an external id"], h["a name"], h["a display name"] = external, mail, shown
	person := map[string]any{"externalId": external, "name": mail, "displayName": shown}
	// A newcomer is kept in Redis until the registration is finished.
	begun, made := w.create(t, c, map[string]any{"user": person}, authenticatortest.Deviation{})
	h["a registration's challenge"] = begun.text("options", "challenge")
	h.in(t, "Redis, of a registration under way,", w.redisDump(t))
	done := w.finishRegistration(t, c, c.secret, begun, made)
	c.user, c.credential = done.text("user", "id"), done.text("credential", "id")

	for i, key := range []string{c.secret, c.publishable} {
		body := w.assert(t, c, key, map[string]any{"externalId": external, "purpose": "payroll"}, authenticatortest.Deviation{})
		h[fmt.Sprintf("sign-in %d", i)], _ = body["authenticationId"].(string)
		a := w.must(t, "POST", "/v1/authentications:finish", key, body)
		if i == 1 {
			h["a code"] = a.text("code")
			a = w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": h["a code"]})
		}
		h[fmt.Sprintf("access token %d", i)], h[fmt.Sprintf("refresh token %d", i)] = a.text("session", "accessToken"), a.text("session", "refreshToken")
	}
	refreshed := w.must(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": h["refresh token 0"]})
	h["access token 2"], h["refresh token 2"] = refreshed.text("session", "accessToken"), refreshed.text("session", "refreshToken")
	w.must(t, "POST", "/v1/sessions:verify", c.secret, map[string]any{"accessToken": h["access token 2"]})

	const other, otherName = "employee-4712-lindqvist", "sven.lindqvist@customer.example"
	h["another external id"], h["another name"] = other, otherName
	h["a registration token"] = w.must(t, "POST", "/v1/registrationTokens", c.secret,
		map[string]any{"user": map[string]any{"externalId": other, "name": otherName}}, "Idempotency-Key", "a").text("token")
	w.must(t, "POST", "/v1/registrations:begin", c.publishable, map[string]any{"registrationToken": h["a registration token"]})
	const address, newAddress, number = "s.lindqvist@privat.example", "sven@nytt.example", "+46701234567"
	h["an e-mail address"], h["a new e-mail address"], h["a phone number"] = address, newAddress, number
	created := w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": other, "name": otherName, "email": address, "phone": number}, "Idempotency-Key", "b")
	w.must(t, "PATCH", "/v1/users/"+created.text("id"), c.secret, map[string]any{"displayName": shown, "email": newAddress}, "Idempotency-Key", "c")
	w.must(t, "GET", "/v1/users?filter="+url.QueryEscape(`email = "`+newAddress+`" AND phone = "`+number+`"`), c.secret, nil)
	w.must(t, "GET", "/v1/users:contactSummary", c.secret, nil)
	w.must(t, "GET", "/v1/users:lookup?externalId="+other, c.secret, nil)
	w.must(t, "GET", "/v1/users?filter="+url.QueryEscape(`externalId = "`+other+`"`), c.secret, nil)
	w.must(t, "POST", "/v1/users/"+created.text("id")+":block", c.secret, map[string]any{"reason": "fraud"}, "Idempotency-Key", "d")
	h["a new key"] = w.must(t, "POST", "/admin/v1/apiKeys", c.secret,
		map[string]any{"kind": "SECRET", "name": "ci", "scopes": []string{"users:read"}}, "Idempotency-Key", "e").text("key")
}

// fail is what goes wrong: whatever the caller holds is in a request that is refused.
func (w *world) fail(t *testing.T, c *customer, h hidden) {
	t.Helper()
	for what, value := range h {
		w.call(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": value})
		w.call(t, "POST", "/v1/sessions:refresh", c.secret, map[string]any{"refreshToken": value})
		w.call(t, "POST", "/v1/authentications:finish", c.secret, map[string]any{"authenticationId": value, "credential": emptyAssertion})
		w.call(t, "POST", "/v1/registrations:finish", c.secret, map[string]any{"registrationId": value, "credential": emptyRegistration})
		w.call(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": value, "name": value})
		w.call(t, "POST", "/v1/users", c.secret, `{"externalId":"`+value+`"`)
		w.call(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"email": value, "phone": value})
		w.call(t, "GET", "/v1/users?pageToken="+url.QueryEscape(value)+"&filter="+url.QueryEscape(value), c.secret, nil)
		if what != "the platform's key" && what != "a server's key" {
			w.call(t, "GET", "/v1/users", value, nil)
			w.call(t, "GET", "/v1/users", value[:len(value)-1]+"x", nil)
		}
	}
}

// dump is every row of every table, as the superuser reads them.
func dump(t testing.TB, store *dbtest.Store) string {
	t.Helper()
	conn := store.Superuser(t)
	rows, err := conn.Query(t.Context(), `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) < 15 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	var out strings.Builder
	for _, table := range tables {
		var text string
		if err := conn.QueryRow(t.Context(), "SELECT coalesce(string_agg(x::text, E'\n'), '') FROM "+table+" x").Scan(&text); err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n\n" + table + "\n" + text)
	}
	return out.String()
}

// redisDump is every key of Redis with its value.
func (w *world) redisDump(t testing.TB) string {
	t.Helper()
	options, err := redis.ParseURL(w.cfg.RedisURL.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, key := range keys {
		value, err := client.Get(t.Context(), key).Result()
		if err != nil && !strings.Contains(err.Error(), "WRONGTYPE") && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		out.WriteString(key + " " + value + " " + hex.EncodeToString([]byte(value)) + "\n")
	}
	return out.String()
}

// scrapeOps reads /metrics of the operations port.
func (w *world) scrapeOps(t testing.TB) string {
	t.Helper()
	return w.operations(t, "/metrics")
}

// operations is an answer of the operations port, unpacked.
func (w *world) operations(t testing.TB, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.opsPort.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		t.Fatalf("%s: %d, %v", path, res.StatusCode, err)
	}
	if packed, err := gzip.NewReader(bytes.NewReader(body)); err == nil { // a profile
		if body, err = io.ReadAll(packed); err != nil {
			t.Fatal(err)
		}
	}
	return string(body)
}

// profile looks through all that the operations port tells of a server at work: stacks
// with their arguments, where memory was taken, what ran when.
func (w *world) profile(t testing.TB, h hidden) {
	t.Helper()
	for _, path := range []string{
		"goroutine?debug=1", "goroutine?debug=2", "goroutine", "heap?debug=1", "heap", "allocs?debug=1", "allocs", "block?debug=1", "mutex?debug=1",
		"threadcreate?debug=1", "profile?seconds=1", "trace?seconds=1", "symbol", "",
	} {
		text := w.operations(t, "/debug/pprof/"+path)
		if path == "goroutine?debug=2" && !strings.Contains(text, "net/http") {
			t.Errorf("the stacks do not tell of a server:\n%s", text)
		}
		h.in(t, "the profile "+path, text)
	}
}

// commandsShow looks through what the operator's commands print.
func commandsShow(t *testing.T, cfg Config, h hidden) {
	t.Helper()
	s := newShell(t, cfg)
	for _, args := range [][]string{{"doctor"}, {"doctor", "--json"}, {"secret", "check"}, {"secret", "check", "--json"}, {"tenant", "list", "--json"}, {"help"}, {"doctor", "--help"}} {
		out, complaint, _ := s.run(t, args...)
		if out+complaint == "" {
			t.Errorf("biocore %s says nothing", strings.Join(args, " "))
		}
		h.in(t, "biocore "+strings.Join(args, " "), out+complaint)
	}
}

func decodeHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
