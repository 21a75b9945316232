package siem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/siem"
)

// An entry whose text holds what a rule is about goes with a mark in its place, or not at all, by every
// protocol; the cursor goes on, and what was kept back is counted and listed by number and kind. Taking the rules
// out of render, or the notes out of advance, turns this red.
func TestOutboundRules(t *testing.T) {
	w := newWorks(t)
	for _, kind := range siem.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			r, req := newReceiver(t, w, kind)
			req.RedactKinds, req.BlockKinds = []string{"EMAIL", "IBAN"}, []string{"CARD"}
			s := w.create(t, req)
			if !slices.Equal(s.RedactKinds, req.RedactKinds) || !slices.Equal(s.BlockKinds, req.BlockKinds) {
				t.Fatalf("Create = %+v", s)
			}
			blocked := w.size(t)
			w.write(t,
				audit.Entry{Action: "user.block", Reason: "paid by 4111 1111 1111 1111"},
				audit.Entry{Action: "user.unblock", Reason: "wrote to\nana@example.com \"twice\"", Detail: detail(attrText("<DE89370400440532013000> & 86095742719"))},
				audit.Entry{Action: "user.block", Reason: "nothing to hide"},
			)
			w.deliver(t, s.ID)
			text := fmt.Sprint(r.events)
			for _, hidden := range []string{"ana@example.com", "4111", "DE8937"} {
				if strings.Contains(text, hidden) {
					t.Errorf("%q was sent:\n%s", hidden, text)
				}
			}
			for _, want := range []string{"nothing to hide", "[redacted:EMAIL] ", "[redacted:IBAN]", "EMAIL IBAN", "86095742719"} {
				if !strings.Contains(text, want) {
					t.Errorf("%q was not sent:\n%s", want, text)
				}
			}
			now := w.get(t, s.ID)
			if now.NextSeq != w.size(t) || now.Blocked != 1 || now.Rejected != 0 || now.Sent != now.NextSeq-s.NextSeq-1 {
				t.Errorf("stream = %+v", now)
			}
			rejects, err := w.Rejects(t.Context(), w.acme, s.ID, 10)
			if err != nil || len(rejects) != 1 || rejects[0].Seq < blocked || rejects[0].Reason != "not sent: this stream blocks CARD" {
				t.Errorf("Rejects = %+v, %v", rejects, err)
			}
		})
	}
}

// The rules are about what is written, however a format nests it.
func TestOutboundRulesInEveryFormat(t *testing.T) {
	w := newWorks(t)
	for _, format := range siem.Formats() {
		var got []string
		w.net.Page("siem.example", "/in", func(_ http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			if !json.Valid(body) {
				t.Errorf("%s: no JSON: %s", format, body)
			}
			got = append(got, string(body))
		})
		req := w.https(string(format))
		req.Format, req.RedactKinds, req.BlockKinds = format, []string{"IBAN"}, []string{"CARD"}
		s := w.create(t, req)
		w.write(t,
			audit.Entry{Action: "user.block", Detail: detail(attrText("a\n4111111111111111"))},
			audit.Entry{Action: "user.unblock", Detail: detail(attrText("<DE89370400440532013000>\n\"x\""))},
		)
		w.deliver(t, s.ID)
		text := strings.Join(got, "")
		if strings.Contains(text, "4111") || strings.Contains(text, "DE89") || strings.Contains(text, "user.block") || !strings.Contains(text, "[redacted:IBAN]") || w.get(t, s.ID).Blocked != 1 {
			t.Errorf("%s: %s", format, text)
		}
	}
}

// A rule is for one kind, and for kinds that there are; a stream without rules sends what there is.
func TestOutboundRulesAreChecked(t *testing.T) {
	w := newWorks(t)
	for name, change := range map[string]func(*siem.CreateRequest){
		"unknown": func(r *siem.CreateRequest) { r.RedactKinds = []string{"PHONE"} },
		"twice":   func(r *siem.CreateRequest) { r.BlockKinds = []string{"CARD", "CARD"} },
		"both":    func(r *siem.CreateRequest) { r.RedactKinds, r.BlockKinds = []string{"CARD"}, []string{"CARD"} },
	} {
		req := w.https(name)
		change(&req)
		if _, err := w.Create(t.Context(), w.acme, req); !errors.Is(err, siem.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, req := newReceiver(t, w, siem.HTTPS)
	s := w.create(t, req)
	w.write(t, audit.Entry{Action: "user.block", Reason: "ana@example.com"})
	w.deliver(t, s.ID)
	if text := fmt.Sprint(r.events); !strings.Contains(text, "ana@example.com") {
		t.Errorf("without rules: %s", text)
	}
	before, block := w.get(t, s.ID), siem.KindNames()
	changed, err := w.Update(t.Context(), w.acme.WithActor(actor), siem.UpdateRequest{ID: s.ID, BlockKinds: &block})
	if err != nil || changed.ETag == before.ETag || !slices.Equal(changed.BlockKinds, block) {
		t.Errorf("Update = %+v, %v", changed, err)
	}
	// The name of who tests is a text, too.
	w.net.Page("siem.example", "/in", func(http.ResponseWriter, *http.Request) { t.Error("a blocked test event was sent") })
	who := actor
	who.Name = "ana@example.com"
	if tested, err := w.Test(t.Context(), w.acme.WithActor(who), s.ID, ""); err != nil || tested.Delivered || !strings.Contains(tested.Error, "blocks EMAIL") {
		t.Errorf("Test = %+v, %v", tested, err)
	}
}
