package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/ceremony"
	"github.com/biocore-id/biocore/authcore/session"
	"github.com/biocore-id/biocore/cmd/biocore/load"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/dbtest"
	"github.com/biocore-id/biocore/db/embedded"
	"github.com/biocore-id/biocore/db/ephemeral"
	"github.com/biocore-id/biocore/db/jobs"
	"github.com/biocore-id/biocore/tenancy/apikey"
	"github.com/biocore-id/biocore/tenancy/keys/kms"
	"github.com/biocore-id/biocore/tenancy/scope"
	"github.com/biocore-id/biocore/tenancy/secret"
	"github.com/biocore-id/biocore/tenancy/system"
	"github.com/biocore-id/biocore/tenancy/tenant"
	"github.com/biocore-id/biocore/web/demo"
)

// SECURITY 30: what holds a secret can be printed by whoever knows no better: by every
// verb of fmt, in a log of either kind, as JSON, and as the value of a panic. The values
// are those of a server that works, or hold hunter. %p is left out: fmt asks nobody.
func TestNothingSecretPrints(t *testing.T) {
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	tel, err := startTelemetry(t.Context(), TelemetryConfig{LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	// Wired and not running: fmt reads without locks what a running one would write.
	w, err := newPlatform(t.Context(), cfg, tel)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	home := scope.New(scope.PlatformTenant, scope.Actor{Kind: scope.ActorSystem, ID: "test"})
	if err := w.keys.Ensure(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	ring, err := w.keys.Ring(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	made, err := w.apiKeys.Create(t.Context(), home, apikey.CreateRequest{Kind: apikey.Platform, Name: "print", Scopes: []string{apikey.ScopeAdminPlane}})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(cfg.KMSURL, "local:")
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	local, err := kms.OpenLocal(path)
	if err != nil {
		t.Fatal(err)
	}
	redis, err := embedded.StartRedis(t.Context(), embedded.RedisOptions{InProcess: true, Password: secret.New("hunter2inletters")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Stop(t.Context()) })
	client, err := ephemeral.Open("redis://:" + hunter + "@127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	bank, err := demo.New(demo.Options{APIURL: "http://localhost", SecretKey: "bk_test_" + hunter, PublishableKey: "pk_test_" + hunter})
	if err != nil {
		t.Fatal(err)
	}

	secrets := []string{hunter, "hunter2inletters", made.Plain.Reveal(), hex.EncodeToString(key), strings.Trim(fmt.Sprintf("%d", key), "[]"), string(key)}
	// The cipher holds the key as words, of which two side by side are no accident.
	for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		secrets = append(secrets, fmt.Sprintf("%d %d", order.Uint32(key), order.Uint32(key[4:])))
	}
	for _, text := range cfg.secrets() {
		u := text.Reveal()
		if u == "" { // not given: every text holds it
			continue
		}
		secrets = append(secrets, u)
		if user, _, ok := strings.Cut(u, "@"); ok {
			secrets = append(secrets, user[strings.LastIndex(user, ":")+1:]) // the password
		}
	}
	url := "postgres://u:" + hunter + "@h/x"
	holders := map[string]any{
		"the configuration": cfg, "its address": &cfg, "settings": &settings{Config: cfg},
		"the server": &server{platform: w}, "the platform": w, "the operator": w.operator, "a checkup": &checkup{cfg: cfg}, "a dev": &dev{},
		"the keys": w.keys, "a ring": ring, "a signer": ring.Signer(), "a local KMS": local, "the store": w.store, "Redis": w.redis, "another Redis": client, "the runner of jobs": w.runner,
		"API keys": w.apiKeys, "tenants": w.tenants, "a plain key": made.Plain, "a new key": made, "its new address": &made,
		"first keys":    tenant.FirstKeys{Secret: hunter, Publishable: hunter},
		"tokens":        session.Tokens{Access: hunter, Refresh: hunter},
		"a sign-in":     ceremony.Authenticated{Code: hunter, Tokens: &session.Tokens{Access: hunter}, StepUp: &ceremony.StepUpDemand{Token: hunter}},
		"a step-up":     ceremony.StepUpDemand{Token: hunter},
		"an invitation": ceremony.RegistrationToken{Token: hunter},
		"begun": []any{
			ceremony.BegunRegistration{ID: hunter}, ceremony.BegunAuthentication{ID: hunter},
			ceremony.BeginRegistrationRequest{Token: hunter}, ceremony.BeginAuthenticationRequest{StepUpToken: hunter},
			ceremony.FinishRegistrationRequest{ID: hunter}, ceremony.FinishAuthenticationRequest{ID: hunter},
		},
		"options of a store": db.Options{AppURL: url, WriterURL: url, ControlURL: url}, "options of jobs": jobs.Options{URL: url}, "options of the system": system.Options{JobsURL: url}, "the system": system.New(system.Options{JobsURL: url}), "a runner": jobs.NewRunner(jobs.Options{URL: url}),
		"a dev Redis": redis, "its options": embedded.RedisOptions{Password: secret.New(hunter)},
		"the demo": bank, "its wishes": demo.Options{SecretKey: hunter}, "a load": load.Options{PlatformKey: hunter},
	}
	for name, v := range holders {
		t.Run(name, func(t *testing.T) {
			for form, text := range printed(v) {
				for _, s := range secrets {
					if strings.Contains(text, s) {
						t.Fatalf("%s of a %T shows a secret: %.2000s", form, v, text)
					}
				}
			}
		})
	}
	// dev.json is where `biocore dev` leaves its keys: JSON alone holds them.
	state := devState{PlatformKey: hunter, DatabaseURL: url, Tenants: []devTenant{{SecretKey: hunter, PublishableKey: hunter}}}
	for form, text := range printed(state) {
		if strings.Contains(text, hunter) != (form == "JSON") {
			t.Errorf("%s of what dev leaves: %s", form, text)
		}
	}
}

// printed is v in every form in which it may get somewhere by mistake.
func printed(v any) map[string]string {
	out := map[string]string{}
	for verb := range strings.FieldsSeq("%v %+v %#v %s %q %x %X %d %t %c %U %b %o %e %y") {
		out[verb] = fmt.Sprintf(verb, v)
	}
	out["an error"] = fmt.Errorf("wrapped: %v", v).Error()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v, slog.Group("g", "v", v))
	slog.New(newLogHandler(slog.NewJSONHandler(&log, nil), nil)).Info("m", "v", v)
	out["slog"] = log.String()
	if raw, err := json.Marshal(v); err == nil { // of a func or a channel there is none
		out["JSON"] = string(raw)
	}
	return out
}
