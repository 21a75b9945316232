package console_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/blastradius"
	"github.com/biocore-id/biocore/tenancy/member"
)

func TestAuthenticatorPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	theirs, foreign := s.tenant(t)
	model := uuid.MustParse("99999999-2222-4333-8444-555555555555")
	s.store.User(t, acme, 2)
	s.store.User(t, theirs, 3)
	s.exec(t, "UPDATE credentials SET aaguid = $1", model)
	s.reports = []blastradius.Report{{AAGUID: model, Name: "Broken key", Statuses: []string{"USER_KEY_REMOTE_COMPROMISE"}}}
	security, auditor, support := s.person(t, "Sec", acme, member.Security), s.person(t, "Aud", acme, member.Auditor), s.person(t, "Sup", acme, member.Support)
	page := "/console/t/" + slug + "/authenticators"
	body := security.get(t, page).body
	if !strings.Contains(body, model.String()) || !strings.Contains(body, "1 model in use reported") || !strings.Contains(body, "User key remote compromise") {
		t.Error("the list lacks the reported model")
	}
	if body := security.get(t, page+"/all").body; !strings.Contains(body, "biocore mds sync") {
		t.Error("without metadata there is no next step")
	}
	one := page + "/" + model.String()
	detail := security.get(t, one)
	if detail.StatusCode != http.StatusOK || !strings.Contains(detail.body, "2, 0 of them used in 30 days") {
		t.Errorf("the model's page = %d", detail.StatusCode)
	}
	_, name, _ := strings.Cut(detail.body, "Type ")
	name, _, _ = strings.Cut(name, " to confirm")
	if res := security.form(t, one+"/dispose", "disposition", "SUSPEND", "confirm", "no", "reason", "recalled"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `value="recalled"`) || !strings.Contains(res.body, `value="SUSPEND" selected`) {
		t.Errorf("without the name = %d", res.StatusCode)
	}
	if res := security.form(t, one+"/dispose", "disposition", "DESTROY", "confirm", name, "reason", "recalled"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a made-up disposition = %d", res.StatusCode)
	}
	if res := security.form(t, one+"/dispose", "disposition", "SUSPEND", "confirm", name, "reason", "recalled"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("dispose = %d", res.StatusCode)
	}
	if n := s.store.AuditCount(t, acme, "authenticator.dispose"); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
	if body := security.get(t, one).body; !strings.Contains(body, "Under way") || !strings.Contains(body, "recalled") {
		t.Error("the order is not told of")
	}
	if res := security.form(t, one+"/policy"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, `<mark class="ts">`) && !strings.Contains(res.body, model.String()) || !strings.Contains(res.body, "and activate") {
		t.Errorf("a draft that denies it = %d", res.StatusCode)
	}
	for _, res := range []answer{auditor.form(t, one+"/dispose", "disposition", "FLAG", "reason", "x"), support.get(t, page), auditor.form(t, page+"/roots", "name", "x")} {
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("a role that may not = %d, want 403", res.StatusCode)
		}
	}
	if body := auditor.get(t, one).body; strings.Contains(body, "Confirm with passkey") {
		t.Error("an auditor sees buttons")
	}
	for _, path := range []string{page + "/none", page + "/" + uuid.Nil.String(), "/console/t/" + foreign + "/authenticators"} {
		if res := security.get(t, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, res.StatusCode)
		}
	}
	s.grow(t)
	if res := security.form(t, one+"/dispose", "disposition", "NONE", "confirm", name, "reason", "over"); res.StatusCode != http.StatusForbidden {
		t.Errorf("stale = %d, want 403", res.StatusCode)
	}
}

func TestRootPages(t *testing.T) {
	s := newSite(t)
	acme, slug := s.tenant(t)
	_, foreign := s.tenant(t)
	owner := s.person(t, "Oda", acme, member.Owner)
	page := "/console/t/" + slug + "/authenticators/roots"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fleet <b>root</b>"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, raw []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
	}
	if res := owner.form(t, page, "reason", "new fleet", "name", "Fleet", "certificate", "nonsense"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "nonsense") || !strings.Contains(res.body, `value="Fleet"`) {
		t.Errorf("nonsense = %d", res.StatusCode)
	}
	secret := text("PRIVATE KEY", private)
	if res := owner.form(t, page, "reason", "new fleet", "name", "Fleet", "certificate", secret); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, "private key") || strings.Contains(res.body, secret[30:60]) {
		t.Errorf("a private key = %d", res.StatusCode)
	}
	if res := owner.form(t, page, "reason", "new fleet", "name", "Fleet", "certificate", text("CERTIFICATE", der), "aaguids", "x"); res.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a model that is none = %d", res.StatusCode)
	}
	if res := owner.form(t, page, "reason", "new fleet", "name", "+Fleet", "certificate", text("CERTIFICATE", der)); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("add = %d", res.StatusCode)
	}
	body := owner.get(t, page).body
	if !strings.Contains(body, "Fleet") || strings.Contains(body, "<b>root</b>") || !strings.Contains(body, "any model") {
		t.Error("the list lacks the root, or takes its name for markup")
	}
	found := regexp.MustCompile(`/authenticators/roots/([0-9a-f-]{36})/remove`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("the list does not offer to remove it")
	}
	id := found[1]
	file := owner.listed(t, page+"/export?format=csv")
	if len(file) != 1 || file[0]["id"] != id || file[0]["name"] != "'+Fleet" || file[0]["subject"] != `CN=Fleet \<b\>root\</b\>` || len(file[0]["sha256"]) != 64 || file[0]["createdBy"] != "Oda" {
		t.Errorf("as CSV: %v", file)
	}
	other := s.person(t, "Eve", scopeOf(t, s, foreign), member.Owner)
	if res := other.form(t, "/console/t/"+foreign+"/authenticators/roots/"+id+"/remove", "reason", "x"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant removes it = %d, want 404", res.StatusCode)
	}
	if file := other.listed(t, "/console/t/"+foreign+"/authenticators/roots/export"); len(file) != 0 {
		t.Errorf("another tenant's export = %v", file)
	}
	if res := other.get(t, "/console/t/"+foreign+"/authenticators/roots/"+id+"/remove"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another tenant asks to = %d, want 404", res.StatusCode)
	}
	again := owner.form(t, page, "name", "Fleet", "certificate", text("CERTIFICATE", der))
	if again.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(again.body, `id="root-reason-error"`) {
		t.Errorf("add without a reason = %d", again.StatusCode)
	}
	if res := owner.get(t, page+"/"+id+"/remove"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "Trust it no more") {
		t.Errorf("the page of the removal = %d", res.StatusCode)
	}
	if res := owner.form(t, page+"/"+id+"/remove"); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(res.body, `id="act-reason-error"`) {
		t.Errorf("remove without a reason = %d", res.StatusCode)
	}
	if res := owner.form(t, page+"/"+id+"/remove", "reason", "fleet is gone"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("remove = %d", res.StatusCode)
	}
	if n, m := s.store.AuditCount(t, acme, "attestationroot.create"), s.store.AuditCount(t, acme, "attestationroot.delete"); n != 1 || m != 1 {
		t.Errorf("%d and %d entries, want 1 and 1", n, m)
	}
}
