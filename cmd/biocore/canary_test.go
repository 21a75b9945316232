package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/tenancy/governance"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// Canaries: one text for each personal field that a caller can fill, which stands nowhere else.
const (
	canaryExternal = "canary-external-7c1e"
	canaryName     = "canary-name-4b2d@example.com"
	canaryDisplay  = "Canary Display Ninefold"
	canaryMail     = "canary-mail-5a90@privat.example"
	canaryPhone    = "+46701112233"
	canaryNickname = "canary nickname on a phone"
	canaryAgent    = "CanaryAgent/7.31 (left by a test)"
	canaryAddress  = "203.0.113.77"
	canaryWords    = "canary words about somebody" // an administrator's, who should not
)

// planted says of each personal and high-risk field that an erasure reaches which canary is put into it. unplanted says of
// all others why none can be. A new column is in one of both, or TestErasureLeavesNoCanary fails.
var (
	planted = map[string][]string{
		"users.profile_sealed":      {canaryExternal, canaryName, canaryDisplay},
		"contacts.sealed":           {canaryMail, canaryPhone},
		"credentials.nickname":      {canaryNickname},
		"sessions.address":          {canaryAddress},
		"sessions.user_agent":       {canaryAgent},
		"sessions.revoke_reason":    {canaryWords},
		"recoveries.reason":         {canaryWords},
		"audit_inbox.private":       {canaryAddress, canaryAgent, canaryWords},
		"audit_entries.private":     {canaryAddress, canaryAgent, canaryWords},
		"audit/private":             {canaryAddress, canaryAgent},
		"redis/registration":        {canaryDisplay},
		"redis/limit":               {canaryAddress},
		"object/evidence":           {canaryExternal},
		"object/export":             {canaryExternal, canaryMail},
		"object/audit-archive":      {canaryAddress, canaryAgent, canaryWords},
		"idempotency_keys.response": {canaryMail},
	}
	unplanted = map[string]string{
		"users.external_index": "a MAC", "users.terms": "MACs", "user_terms.term": "a MAC", "contacts.match_index": "a MAC", "flag_segment_members.targeting_index": "a MAC", "recovery_codes.hash": "a MAC",
		"recovery_attempts.subject": "a MAC", "idempotency_keys.body_hash": "a MAC", "import_marks.mark": "a hash", "console_sessions.cookie_hash": "a hash",
		"user_facts.last_sign_in_at": "a time", "credentials.last_used_at": "a time", "sessions.last_used_at": "a time", "console_sessions.proved_at": "a time", "console_sessions.last_seen_at": "a time",
		"evidence.record_key": "a key", "exports.archive_key": "a key", "subject_keys.salt": "by chance", "risk_profiles.profile": "kinds of browsers, countries and numbers", "redis/risk-profile": "as risk_profiles.profile", "redis/refused": "as redis/limit, of those who were refused",
		"invitations.email_sealed": "of whoever is invited into the console: it goes with the invitation",
	}
)

// A person is erased by the API, and nothing that they left behind is found: in no table, in clear or opened with the tenant's keys, in no
// object, in no value of Redis, in no line of the log; and at the sinks of log streams no more than the certificate names. Leaving out the deletion of sessions, or EraseSubject, turns it red.
func TestErasureLeavesNoCanary(t *testing.T) {
	fields, err := governance.Fields()
	if err != nil {
		t.Fatal(err)
	}
	for i := range fields {
		f := &fields[i]
		reached := f.Erased != governance.None && f.Erased != governance.Kept && (f.Class == governance.Personal || f.Class == governance.HighRisk)
		if has := planted[f.Path()] != nil || unplanted[f.Path()] != ""; reached != has {
			t.Errorf("%s: an erasure reaches it: %t, and it has a canary or a reason for none: %t", f.Path(), reached, has)
		}
	}

	log := new(notes)
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard, LogLevel: slog.LevelDebug})
	if err != nil {
		t.Fatal(err)
	}
	tel.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	store, objects := dbtest.Fresh(t), t.TempDir()
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.ObjectStorageURL, cfg.TrustedHops, cfg.FetchNetworks = "file://"+objects, 1, "127.0.0.0/8"
	w := startWorldTelling(t, store, cfg, tel)
	c := w.tenant(t, "acme")
	sinks := newSinks(t, w, c)
	w.plant(t, c, canaries)
	sinks.await(t, w, c)
	w.archiveLog(t, store, c)
	erasure := w.must(t, "DELETE", "/v1/users/"+c.user, c.secret, nil).text("erasureId")

	planted := hidden{"the external id": canaryExternal, "the name": canaryName, "the display name": canaryDisplay, "the e-mail address": canaryMail, "the phone number": canaryPhone,
		"the nickname": canaryNickname, "the user agent": canaryAgent, "the address": canaryAddress, "an administrator's words": canaryWords}
	eventually(t, "the log has all entries, and no record waits for object storage", func() bool {
		var waiting int
		if err := store.Superuser(t).QueryRow(t.Context(), "SELECT (SELECT count(*) FROM audit_inbox) + (SELECT count(*) FROM evidence WHERE user_id IS NOT NULL)").Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
	for i := range fields {
		if f := &fields[i]; f.Name == "user_id" && f.Erased == governance.Deleted {
			var left int
			if err := store.Superuser(t).QueryRow(t.Context(), "SELECT count(*) FROM "+f.Table+" WHERE user_id = $1", c.user).Scan(&left); err != nil || left != 0 {
				t.Errorf("%s has %d rows of the user, %v", f.Table, left, err)
			}
		}
	}
	planted.in(t, "a table", dump(t, store))
	eventually(t, "limits count no visitor any more, whom they name for two windows", func() bool { return !strings.Contains(w.redisDump(t), ":limit:visitor:") })
	planted.in(t, "Redis", w.redisDump(t))
	inLog := maps.Clone(planted)
	delete(inLog, "the address") // at its most talkative, the log has callers' addresses: the data map says so
	inLog.in(t, "the log", log.String())
	bucket, err := os.OpenRoot(objects)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bucket.Close() }()
	if err := fs.WalkDir(bucket.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := bucket.ReadFile(path)
		planted.in(t, "an object", path+" "+string(body))
		return err
	}); err != nil {
		t.Error(err)
	}

	// What the tenant's keys open: an archive of everything, and the audit log. Administrators' words stay (ADR 0052).
	delete(planted, "an administrator's words")
	planted.in(t, "an export", w.unzipped(t, c))
	planted.in(t, "the audit log", w.must(t, "GET", "/admin/v1/auditEvents?pageSize=200", c.secret, nil).raw)
	planted.in(t, "the list of users", w.must(t, "GET", "/v1/users", c.secret, nil).raw)
	var jws string
	eventually(t, "the certificate", func() bool {
		a := w.call(t, "GET", "/admin/v1/erasures/"+erasure+"/certificate", c.secret, nil)
		jws = a.text("certificate")
		return a.status == http.StatusOK
	})
	for _, part := range strings.Split(jws, ".")[:2] {
		planted.in(t, "the certificate", string(decodeBase64(t, part)))
	}
	sinks.judge(t, store, c, decodeBase64(t, strings.Split(jws, ".")[1]))
	if a := w.call(t, "GET", "/v1/users/"+c.user, c.secret, nil); a.status != http.StatusNotFound {
		t.Errorf("the user: %s", a)
	}
}

// traces are what one person leaves: a text of its own in each personal field that a caller can fill.
type traces struct{ external, name, display, mail, phone, nickname, agent, address, words string }

func (x traces) all() []string {
	return []string{x.external, x.name, x.display, x.mail, x.phone, x.nickname, x.agent, x.address, x.words}
}

var canaries = traces{canaryExternal, canaryName, canaryDisplay, canaryMail, canaryPhone, canaryNickname, canaryAgent, canaryAddress, canaryWords}

// plant gives the tenant a user who leaves traces everywhere, and shows that they are there.
func (w *world) plant(t *testing.T, c *customer, x traces) {
	t.Helper()
	w.setRisk(t, c, `{"mode":"SHADOW"}`) // Redis counts who comes from where
	// The user's browser calls with the publishable key; from where the tenant's own server calls tells of no user.
	from := []string{"User-Agent", x.agent, "X-Forwarded-For", x.address}
	token := w.must(t, "POST", "/v1/registrationTokens", c.secret, map[string]any{"user": map[string]any{"externalId": x.external, "name": x.name, "displayName": x.display}}).text("token")
	begun := w.must(t, "POST", "/v1/registrations:begin", c.publishable, map[string]any{"registrationToken": token}, from...)
	response, err := c.authenticator.Create(marshal(t, begun.at("options")), origin)
	if err != nil {
		t.Fatal(err)
	}
	done := w.must(t, "POST", "/v1/registrations:finish", c.publishable, map[string]any{"registrationId": begun.text("registrationId"), "credential": json.RawMessage(marshal(t, response))}, from...)
	c.user, c.credential = done.text("user", "id"), done.text("credential", "id")
	w.must(t, "PATCH", "/v1/users/"+c.user, c.secret, map[string]any{"email": x.mail, "phone": x.phone}, "Idempotency-Key", "contacts-of-"+c.user)
	w.must(t, "PATCH", "/v1/credentials/"+c.credential, c.secret, map[string]any{"nickname": x.nickname})
	for range 2 {
		body := w.assert(t, c, c.publishable, map[string]any{}, authenticatortest.Deviation{})
		code := w.must(t, "POST", "/v1/authentications:finish", c.publishable, body, from...).text("code")
		c.session = w.must(t, "POST", "/v1/authentications:exchange", c.secret, map[string]any{"code": code}).text("session", "id")
	}
	w.must(t, "POST", "/v1/sessions/"+c.session+":revoke", c.secret, map[string]any{"reason": x.words})
	w.must(t, "POST", "/admin/v1/users/"+c.user+"/enrollmentLinks", c.secret, map[string]any{"reason": x.words})
	w.must(t, "POST", "/v1/users/"+c.user+"/recoveryCodes", c.secret, map[string]any{})
	w.must(t, "POST", "/v1/registrations:begin", c.secret, map[string]any{"userId": c.user}) // in Redis
	w.must(t, "POST", "/v1/risk:evaluate", c.secret, map[string]any{"userId": c.user, "action": "transfer", "ip": x.address, "userAgent": x.agent})
	w.must(t, "POST", "/admin/v1/segments/"+w.segment(t, c)+":addMembers", c.secret, map[string]any{"targetingKeys": []any{c.user}})
	w.call(t, "GET", "/v1/users:lookup?externalId="+x.external, c.publishable, nil, from...) // refused

	before := w.unzipped(t, c)
	for _, text := range x.all() {
		if !strings.Contains(before, text) {
			t.Errorf("%q was planted nowhere", text)
		}
	}
}

// archiveLog archives what a tenant's log has by now.
func (w *world) archiveLog(t *testing.T, store *dbtest.Store, c *customer) {
	t.Helper()
	super := store.Superuser(t)
	eventually(t, "the log has all entries", func() bool {
		var waiting int
		if err := super.QueryRow(t.Context(), "SELECT count(*) FROM audit_inbox WHERE tenant_id = $1", c.id).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		return waiting == 0
	})
	sc, before := scope.New(uuid.MustParse(c.id), scope.Actor{Kind: scope.ActorSystem, ID: "test"}), w.store.Now()
	eventually(t, "an archive", func() bool {
		// A checkpoint is kept once a minute: the next one is.
		if _, err := super.Exec(t.Context(), "UPDATE audit_logs SET kept_at = kept_at - interval '1 hour' WHERE tenant_id = $1", c.id); err != nil {
			t.Fatal(err)
		}
		w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": uuid.NewString(), "name": "somebody"})
		did, err := w.archived.Archive(t.Context(), sc, before)
		if err != nil {
			t.Fatal(err)
		}
		return did
	})
	var file bytes.Buffer
	if err := w.archived.Read(t.Context(), sc, 0, &file); err != nil || !strings.Contains(file.String(), c.user) || !strings.Contains(file.String(), `"sealed":`) {
		t.Errorf("the archive: %v, has nothing of the user, or nothing that is sealed", err)
	}
}

// unzipped is everything of a tenant that its keys open, as one text.
func (w *world) unzipped(t *testing.T, c *customer) string {
	t.Helper()
	path := w.export(t, c)
	if done := w.exported(t, c, path); done.text("state") != "DONE" {
		t.Fatalf("export: %s", done)
	}
	body, _ := w.file(t, path, c.secret)
	return unpacked(t, body)
}

// unpacked is all that is in a zip, as one text.
func unpacked(t *testing.T, body []byte) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("\n" + f.Name + "\n" + strings.ReplaceAll(string(text), `\"`, `"`))
	}
	return out.String()
}
