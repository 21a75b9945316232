package mds_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/mds"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
)

var (
	model = uuid.MustParse("ee882879-721c-4913-9775-3dfcce97072a")
	day   = func(month, day int) time.Time { return time.Date(2026, time.Month(month), day, 0, 0, 0, 0, time.UTC) }
)

func TestParse(t *testing.T) {
	service, other := mdstest.New(t), mdstest.New(t)
	now := time.Now()
	trusted := mds.Options{Roots: service.Roots(), Host: mdstest.Host, At: now, MaxUnparsed: 0.1}
	blob := mdstest.BLOB{Number: 7, Entries: []mdstest.Entry{{AAGUID: model, Name: "Key"}}}
	good := service.Sign(t, blob)
	parts := bytes.Split(good, []byte("."))
	payload, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	if err != nil {
		t.Fatal(err)
	}
	header := func(alg string, more ...string) map[string]any {
		h := map[string]any{"alg": alg, "x5c": []string{service.Certificate()}}
		for _, m := range more {
			h[m] = []string{m}
		}
		return h
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, []byte(".")) }
	with := func(change func(*mds.Options)) mds.Options {
		o := trusted
		change(&o)
		return o
	}
	for _, tt := range []struct {
		name string
		blob []byte
		o    mds.Options
		want error
	}{
		{"as it came", good, trusted, nil},
		{"with a line break after it", append(bytes.Clone(good), '\n'), trusted, nil},
		{"under another root", good, with(func(o *mds.Options) { o.Roots = other.Roots() }), mds.ErrChain},
		{"under the FIDO Alliance's root", good, mds.Options{At: now}, mds.ErrChain},
		{"for another host", good, with(func(o *mds.Options) { o.Host = mds.Host }), mds.ErrChain},
		{"before its certificates", good, with(func(o *mds.Options) { o.At = now.AddDate(-11, 0, 0) }), mds.ErrChain},
		{"after its certificates", good, with(func(o *mds.Options) { o.At = now.AddDate(11, 0, 0) }), mds.ErrChain},
		{"signed by another key", join(parts[0], parts[1], bytes.Split(other.Sign(t, blob), []byte("."))[2]), trusted, mds.ErrSignature},
		{"another payload", join(parts[0], bytes.Split(service.Sign(t, mdstest.BLOB{Number: 8}), []byte("."))[1], parts[2]), trusted, mds.ErrSignature},
		{"without a signature", join(parts[0], parts[1], nil), trusted, mds.ErrSignature},
		{"of algorithm none", service.SignWith(t, header("none"), payload), trusted, mds.ErrSignature},
		{"of a MAC", service.SignWith(t, header("HS256"), payload), trusted, mds.ErrSignature},
		{"of an algorithm for another key", service.SignWith(t, header("RS256"), payload), trusted, mds.ErrSignature},
		{"with something critical", service.SignWith(t, header("ES256", "crit"), payload), trusted, mds.ErrMalformed},
		{"without certificates", service.SignWith(t, map[string]any{"alg": "ES256"}, payload), trusted, mds.ErrChain},
		{"with too many certificates", service.SignWith(t, map[string]any{"alg": "ES256", "x5c": strings.Split(strings.Repeat("x ", 9), " ")}, payload), trusted, mds.ErrChain},
		{"with a certificate that is none", service.SignWith(t, map[string]any{"alg": "ES256", "x5c": []string{"AAAA"}}, payload), trusted, mds.ErrChain},
		{"cut off", good[:len(good)/2], trusted, mds.ErrMalformed},
		{"cut off by a byte", good[:len(good)-1], trusted, mds.ErrMalformed},
		{"nothing", nil, trusted, mds.ErrMalformed},
		{"four parts", join(good, []byte("x")), trusted, mds.ErrMalformed},
		{"too long", bytes.Repeat([]byte("a."), mds.MaxBytes), trusted, mds.ErrMalformed},
		{"no JSON inside", service.SignPayload(t, []byte("{")), trusted, mds.ErrMalformed},
		{"no number", service.SignPayload(t, []byte(`{"nextUpdate":"2026-12-01","entries":[]}`)), trusted, mds.ErrMalformed},
		{"a number below zero", service.SignPayload(t, []byte(`{"no":-1,"nextUpdate":"2026-12-01","entries":[]}`)), trusted, mds.ErrMalformed},
		{"a date that is none", service.SignPayload(t, []byte(`{"no":1,"nextUpdate":"tomorrow","entries":[]}`)), trusted, mds.ErrMalformed},
		{"a broken entry of one", service.Sign(t, mdstest.BLOB{Number: 7, Broken: 1}), trusted, mds.ErrUnparsed},
		{"a broken entry of two", service.Sign(t, mdstest.BLOB{Number: 7, Entries: blob.Entries, Broken: 1}), trusted, mds.ErrUnparsed},
		{"a model twice", service.Sign(t, mdstest.BLOB{Number: 7, Entries: append(blob.Entries, blob.Entries...)}), trusted, mds.ErrUnparsed},
		{"overdue", service.Sign(t, mdstest.BLOB{Number: 7, NextUpdate: now.AddDate(-1, 0, 0)}), trusted, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := mds.Parse(tt.blob, tt.o)
			if !errors.Is(err, tt.want) {
				t.Fatalf("Parse = %v, want %v", err, tt.want)
			}
			if (s == nil) != (tt.want != nil) {
				t.Errorf("snapshot = %v", s)
			}
		})
	}
	if _, err := mds.Parse(good, mds.Options{Roots: service.Roots()}); err == nil {
		t.Error("without a time certificates are judged by none")
	}
}

func TestSnapshot(t *testing.T) {
	service := mdstest.New(t)
	icon := mdstest.Icon(t)
	identifier := bytes.Repeat([]byte{7}, 20)
	s := service.Snapshot(t, mdstest.BLOB{Number: 7, NextUpdate: day(12, 1), Broken: 2, Entries: []mdstest.Entry{
		{AAGUID: model, Name: " Key ", Icon: icon, Types: []string{"basic_full", "attca"}, Reports: []mdstest.Report{{Status: mds.Revoked, Effective: day(5, 1)}}},
		{Name: "U2F key", KeyIdentifiers: [][]byte{identifier}},
	}})
	e, ok := s.Lookup(model)
	if !ok || e.Name != "Key" || !bytes.Equal(e.Icon, icon) || len(e.AttestationTypes) != 2 || len(e.Statement) == 0 || len(e.Reports) != 1 {
		t.Errorf("the model: %+v, %v", e, ok)
	}
	if u2f, ok := s.LookupKey(identifier); !ok || u2f.Name != "U2F key" {
		t.Errorf("the U2F model: %+v, %v", u2f, ok)
	}
	for name, unknown := range map[string]func() (*mds.Entry, bool){
		"another":    func() (*mds.Entry, bool) { return s.Lookup(uuid.New()) },
		"the zero":   func() (*mds.Entry, bool) { return s.Lookup(uuid.Nil) },
		"no key":     func() (*mds.Entry, bool) { return s.LookupKey(nil) },
		"other keys": func() (*mds.Entry, bool) { return s.LookupKey(identifier[:19]) },
	} {
		if e, ok := unknown(); ok {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if s.Number != 7 || s.Unparsed != 2 || s.Len() != 2 || s.Stale(day(12, 1)) || !s.Stale(day(12, 2)) {
		t.Errorf("number %d, %d unparsed, %d models, stale on the day %v and after %v", s.Number, s.Unparsed, s.Len(), s.Stale(day(12, 1)), s.Stale(day(12, 2)))
	}
}

func TestStatuses(t *testing.T) {
	certificate := []byte{1}
	for _, tt := range []struct {
		name    string
		reports []mds.StatusReport
		at      time.Time
		certified,
		against string
	}{
		{"nothing is said", nil, day(6, 1), "", ""},
		{"certified", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L1", Effective: day(5, 1)}}, day(5, 1), "FIDO_CERTIFIED_L1", ""},
		{"not yet", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L1", Effective: day(5, 2)}}, day(5, 1), "", ""},
		{"since ever", []mds.StatusReport{{Status: "FIDO_CERTIFIED"}}, day(5, 1), "FIDO_CERTIFIED", ""},
		{"the highest counts", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L2", Effective: day(1, 1)}, {Status: "FIDO_CERTIFIED_L1", Effective: day(2, 1)}}, day(5, 1), "FIDO_CERTIFIED_L2", ""},
		{"withdrawn", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L2", Effective: day(1, 1)}, {Status: "NOT_FIDO_CERTIFIED", Effective: day(2, 1)}}, day(5, 1), "", ""},
		{"revoked", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L2", Effective: day(1, 1)}, {Status: "REVOKED", Effective: day(2, 1)}}, day(5, 1), "", "REVOKED"},
		{"before it was revoked", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L2", Effective: day(1, 1)}, {Status: "REVOKED", Effective: day(2, 1)}}, day(1, 31), "FIDO_CERTIFIED_L2", ""},
		{"certified again", []mds.StatusReport{{Status: "FIDO_CERTIFIED_L2", Effective: day(1, 1)}, {Status: "NOT_FIDO_CERTIFIED", Effective: day(2, 1)}, {Status: "FIDO_CERTIFIED_L1", Effective: day(3, 1)}}, day(5, 1), "FIDO_CERTIFIED_L1", ""},
		{"compromised, with an update", []mds.StatusReport{{Status: "USER_KEY_REMOTE_COMPROMISE", Effective: day(1, 1)}, {Status: "UPDATE_AVAILABLE", Effective: day(2, 1)}}, day(5, 1), "", "USER_KEY_REMOTE_COMPROMISE"},
		{"one batch is compromised", []mds.StatusReport{{Status: "ATTESTATION_KEY_COMPROMISE", Effective: day(1, 1), Certificate: certificate}}, day(5, 1), "", ""},
		{"all that there is", []mds.StatusReport{{Status: "USER_VERIFICATION_BYPASS"}, {Status: "ATTESTATION_KEY_COMPROMISE"}, {Status: "USER_KEY_PHYSICAL_COMPROMISE"}, {Status: "USER_VERIFICATION_BYPASS"}}, day(5, 1), "", "USER_VERIFICATION_BYPASS ATTESTATION_KEY_COMPROMISE USER_KEY_PHYSICAL_COMPROMISE"},
		{"something new", []mds.StatusReport{{Status: "SELF_ASSERTION_SUBMITTED"}, {Status: "FIDO_CERTIFIED_L9"}}, day(5, 1), "", ""},
	} {
		e := mds.Entry{Reports: tt.reports}
		if got := e.Certification(tt.at); got != tt.certified {
			t.Errorf("%s: certification %q, want %q", tt.name, got, tt.certified)
		}
		if got := strings.Join(e.Against(tt.at), " "); got != tt.against {
			t.Errorf("%s: against it %q, want %q", tt.name, got, tt.against)
		}
	}
}

func TestChanges(t *testing.T) {
	service := mdstest.New(t)
	second := uuid.New()
	blob := func(number int, reports ...mdstest.Report) *mds.Snapshot {
		return service.Snapshot(t, mdstest.BLOB{Number: number, Entries: []mdstest.Entry{{AAGUID: model, Name: "Key", Reports: reports}, {AAGUID: second}}})
	}
	before, after := blob(1), blob(2, mdstest.Report{Status: mds.Revoked, Effective: day(5, 1)})
	want := []mds.Change{{AAGUID: model, Name: "Key", After: []string{mds.Revoked}}}
	if diff := cmp.Diff(want, mds.Changes(before, after, day(6, 1))); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, mds.Changes(nil, after, day(6, 1))); diff != "" {
		t.Errorf("Changes from nothing (-want +got):\n%s", diff)
	}
	if got := mds.Changes(after, after, day(6, 1)); got != nil {
		t.Errorf("no change: %+v", got)
	}
	if got := mds.Changes(after, before, day(6, 1)); len(got) != 1 || got[0].After != nil {
		t.Errorf("taken back: %+v", got)
	}
}

// Whatever bytes come: no panic, and nothing unsigned is read.
func FuzzParse(f *testing.F) {
	service := mdstest.New(f)
	o := mds.Options{Roots: service.Roots(), Host: mdstest.Host, At: time.Now(), MaxUnparsed: 1}
	f.Add(service.Sign(f, mdstest.BLOB{Number: 1, Entries: []mdstest.Entry{{AAGUID: model}}}), []byte(`{"no":1,"nextUpdate":"2026-12-01","entries":[{"aaguid":1}]}`))
	f.Add([]byte("a.b.c"), []byte(`{"no":1,"nextUpdate":"2026-12-01","entries":[{"metadataStatement":{"attestationRootCertificates":["AAAA"],"icon":"data:image/png;base64,AA"}}]}`))
	f.Fuzz(func(t *testing.T, blob, payload []byte) {
		if s, err := mds.Parse(blob, o); (s == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", s, err)
		}
		// What is signed is read by the same rules.
		if s, err := mds.Parse(service.SignPayload(t, payload), o); err == nil {
			for e := range s.Entries() {
				_, _ = e.Certification(o.At), e.Against(o.At)
			}
		}
	})
}
