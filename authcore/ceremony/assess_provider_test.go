package ceremony_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/risk"
	"github.com/biocore-id/biocore/tenancy/etag"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// A tenant's scoring service is asked about a sign-in, and told what the tenant lets it be told; what it says is a signal. When it fails
// the sign-in goes on, and says that it did.
func TestRiskAsksTheTenantsService(t *testing.T) {
	w := newWorld(t)
	settled := w.learns(t)
	var asked atomic.Pointer[string]
	var answer atomic.Pointer[string]
	good, bad := `{"score":900,"decision":"decline"}`, `no JSON`
	answer.Store(&good)
	service := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		text := r.Header.Get("Authorization") + " " + string(body)
		asked.Store(&text)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, *answer.Load())
	}))
	t.Cleanup(service.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.Certificate().Raw})
	config, err := json.Marshal(map[string]any{"kind": "FEEDZAI", "address": service.URL, "sendPlace": true, "caCertificates": string(ca), "timeoutMillis": 2000})
	if err != nil {
		t.Fatal(err)
	}

	acme := w.risky(t, `{"mode":"ENFORCE","rules":[{"id":"service","when":"providerScore >= 90","then":"STEP_UP"}]}`)
	globex := w.risky(t, `{"mode":"ENFORCE"}`)
	if _, err := w.risk.PutProvider(t.Context(), acme, risk.PutProviderRequest{Config: config, Credential: "the-credential"}); err != nil {
		t.Fatal(err)
	}
	a, b := phone(t), phone(t)
	enrolled := w.enroll(t, acme, a)
	w.enroll(t, globex, b)

	done := w.from(t, acme, a, berlin, firefox, nil)
	if f := done.Risk.Facts; f.Provider != "FEEDZAI" || f.ProviderScore != 90 || !codes(done)["PROVIDER"] || done.Reason != risk.ReasonRule {
		t.Errorf("scored 900 of 1000: %+v, %s", f, done.Reason)
	}
	question := *asked.Load()
	if !strings.Contains(question, "the-credential") || !strings.Contains(question, `"DE"`) {
		t.Errorf("asked %s", question)
	}
	for _, secret := range []string{uuid.UUID(enrolled.User.ID).String(), berlin, "Firefox"} {
		if strings.Contains(question, secret) {
			t.Errorf("told %q, which the tenant does not send: %s", secret, question)
		}
	}
	asked.Store(nil)
	if other := w.from(t, globex, b, berlin, firefox, nil); other.Risk.Facts.Provider != "" || asked.Load() != nil {
		t.Errorf("another tenant's sign-in was told to it: %+v", other.Risk.Facts)
	}
	settled()

	answer.Store(&bad)
	done = w.from(t, acme, a, berlin, firefox, nil)
	if f := done.Risk.Facts; f.ProviderFailed != "ANSWER" || f.ProviderScore != 0 || done.Session == nil {
		t.Errorf("an answer that is none: %+v, %s", f, done.Decision)
	}
	settled()
	if r, _ := w.recorded(t, acme); r.Facts.ProviderFailed != "ANSWER" {
		t.Errorf("recorded %+v", r.Facts)
	}
	// Its credential is sealed, opens after the data key has changed, and goes with the service.
	if n := w.one(t, "SELECT count(*) FROM risk_providers WHERE tenant_id = $1 AND position('the-credential'::bytea in credential) > 0", acme.Tenant()); n != 0 {
		t.Error("the credential is stored in the clear")
	}
	if n, err := risk.Reseal(t.Context(), w.store, w.keys, acme, 10); err != nil || n != 0 {
		t.Errorf("nothing to seal anew: %d, %v", n, err)
	}
	if _, err := w.keys.RotateDataKey(t.Context(), acme, "yearly"); err != nil {
		t.Fatal(err)
	}
	// A new key seals when every server has heard of it: let that time be over.
	if _, err := w.db.Superuser(t).Exec(t.Context(), "UPDATE data_keys SET created_at = created_at - interval '1 hour'"); err != nil {
		t.Fatal(err)
	}
	if n, err := risk.Reseal(t.Context(), w.store, keys.New(keys.Options{Store: w.store, KMS: w.kms}), acme, 10); err != nil || n != 1 {
		t.Errorf("sealed anew: %d, %v", n, err)
	}
	answer.Store(&good)
	again := w.replica(t)
	if done := again.from(t, acme, a, berlin, firefox, nil); done.Risk.Facts.ProviderScore != 90 {
		t.Errorf("another server, with the credential sealed anew: %+v", done.Risk.Facts)
	}
	if err := w.risk.RemoveProvider(t.Context(), acme, "over", ""); err != nil {
		t.Fatal(err)
	}
	if done := w.from(t, acme, a, berlin, firefox, nil); done.Risk.Facts.Provider != "" {
		t.Errorf("after it is removed: %+v", done.Risk.Facts)
	}
	settled()
}

// A configuration that two readers may read differently is refused: what a service is told of a person depends on it.
func TestRiskProviderOfTwoMeanings(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	const rest = `"kind":"FEEDZAI","address":"https://scores.example"`
	for _, config := range []string{`{"sendAddress":false,"SendAddress":true,` + rest + `}`, `{"sendAddress":null,` + rest + `}`, `{` + rest + `} {}`} {
		_, err := w.risk.PutProvider(t.Context(), acme, risk.PutProviderRequest{Config: []byte(config), Credential: "the-credential"})
		if !errors.Is(err, risk.ErrProvider) {
			t.Errorf("%s: %v", config, err)
		}
	}
	if _, err := w.risk.PutProvider(t.Context(), acme, risk.PutProviderRequest{Config: []byte(`{` + rest + `}`), Credential: "the-credential"}); err != nil {
		t.Error(err)
	}
}

// Who means a service that is gone sets up none, and who saw none overwrites none.
func TestRiskProviderOfAnotherMoment(t *testing.T) {
	w := newWorld(t)
	acme := w.tenant(t)
	put := func(tag string) (risk.Provider, error) {
		return w.risk.PutProvider(t.Context(), acme, risk.PutProviderRequest{Config: []byte(`{"kind":"FEEDZAI","address":"https://scores.example"}`), Credential: "the-credential", IfMatch: tag})
	}
	made, err := put(risk.NoProvider)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(risk.NoProvider); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("over one that was not seen: %v", err)
	}
	if err := w.risk.RemoveProvider(t.Context(), acme, "over", made.ETag); err != nil {
		t.Fatal(err)
	}
	if _, err := put(made.ETag); !errors.Is(err, etag.ErrMismatch) {
		t.Errorf("over one that is gone: %v", err)
	}
	if _, err := put(""); err != nil {
		t.Error(err)
	}
}
