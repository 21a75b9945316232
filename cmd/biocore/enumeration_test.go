package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/authcore/authenticatortest"
	"github.com/biocore-id/biocore/db/dbtest"
)

// guess answers a sign-in as somebody does who has no passkey of the person: with the
// first credential that is listed, or one that is given, and a signature by chance.
func (w *world) guess(t testing.TB, c *customer, begin map[string]any, listed string) (body map[string]any) {
	t.Helper()
	begun := w.must(t, "POST", "/v1/authentications:begin", c.publishable, begin)
	if listed == "" {
		listed = firstListed(t, begun)
	}
	options := map[string]any{"challenge": begun.at("options", "challenge"), "rpId": begun.at("options", "rpId")}
	signed, err := c.authenticator.GetWith(marshal(t, options), origin, authenticatortest.Deviation{
		WrongKey: true, CredentialID: decode(t, listed), UserHandle: []byte("a handle by chance, of the right length for most people we know."),
		SignCount: func(uint32) uint32 { return 7 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"authenticationId": begun.text("authenticationId"), "credential": json.RawMessage(marshal(t, signed))}
}

func firstListed(t testing.TB, begun answer) string {
	t.Helper()
	list, _ := begun.at("options", "allowCredentials").([]any)
	if len(list) == 0 {
		t.Fatalf("nothing is listed: %s", begun)
	}
	first, _ := list[0].(map[string]any)
	id, _ := first["id"].(string)
	return id
}

// people are whom an outsider may ask about: a customer, somebody without a passkey,
// and names that nobody has.
func people(t *testing.T, w *world, c *customer) map[string]map[string]any {
	t.Helper()
	w.enroll(t, c, "alice")
	bare := w.must(t, "POST", "/v1/users", c.secret, map[string]any{"externalId": "without", "name": "without"})
	return map[string]map[string]any{
		"a customer":                      {"externalId": "alice"},
		"a customer by id":                {"userId": c.user},
		"somebody without a passkey":      {"externalId": "without"},
		"somebody without a passkey's id": {"userId": bare.text("id")},
		"nobody":                          {"externalId": "mallory"},
		"nobody's id":                     {"userId": "0193a7d2-5b1e-7000-8000-000000000000"},
		"what is no id":                   {"userId": "x"},
	}
}

var base64urls = regexp.MustCompile(`"[A-Za-z0-9_-]{20,}"`)

// SECURITY 10: whether somebody is a customer cannot be learned by beginning a sign-in
// nor by failing one.
func TestNobodyLearnsWhoIsACustomer(t *testing.T) {
	w := newBusyWorld(t) // more calls than one visitor may
	c := w.tenant(t, "acme")
	who := people(t, w, c)
	type seen struct {
		Status int
		Header []string
		Body   string
	}
	look := func(a answer) seen {
		s := seen{Status: a.status, Body: base64urls.ReplaceAllString(a.raw, `"…"`)}
		for name := range a.header {
			s.Header = append(s.Header, name)
		}
		slices.Sort(s.Header)
		return s
	}
	finishes := map[string]seen{}
	for name, begin := range who {
		one, two := w.must(t, "POST", "/v1/authentications:begin", c.publishable, begin), w.must(t, "POST", "/v1/authentications:begin", c.publishable, begin)
		if firstListed(t, one) != firstListed(t, two) {
			t.Errorf("%s: the list changes by itself", name)
		}
		if got, want := fmt.Sprint(members(one.body)), fmt.Sprint(members(w.must(t, "POST", "/v1/authentications:begin", c.publishable, who["a customer"]).body)); got != want {
			t.Errorf("%s: the answer has the members %s, a customer's %s", name, got, want)
		}
		if n := len(one.text("authenticationId")); n != len(two.text("authenticationId")) || n != len(w.must(t, "POST", "/v1/authentications:begin", c.publishable, who["a customer"]).text("authenticationId")) {
			t.Errorf("%s: the id has %d characters", name, n)
		}
		finishes[name] = look(w.call(t, "POST", "/v1/authentications:finish", c.publishable, w.guess(t, c, begin, "")))
		// The id that was listed, in a sign-in that was begun for nobody in particular.
		finishes[name+", discoverable"] = look(w.call(t, "POST", "/v1/authentications:finish", c.publishable, w.guess(t, c, map[string]any{}, firstListed(t, one))))
		// And in one that was begun for somebody else.
		finishes[name+", for another"] = look(w.call(t, "POST", "/v1/authentications:finish", c.publishable, w.guess(t, c, map[string]any{"externalId": "trudy"}, firstListed(t, one))))
	}
	for name, got := range finishes {
		_, how, _ := strings.Cut(name, ", ")
		want := finishes["a customer"]
		if how != "" {
			want = finishes["a customer, "+how]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is told from a customer (-customer):\n%s", name, diff)
		}
	}
	if got := finishes["nobody"]; got.Status != http.StatusBadRequest || !strings.Contains(got.Body, "SIGNATURE_INVALID") {
		t.Errorf("a guess is answered %+v", got)
	}
}

// members are the names in an answer, which lists lists by their first element: people
// have one credential or several.
func members(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, m := range v {
			if k == "transports" {
				m = "…" // real ones differ, too
			}
			out[k] = members(m)
		}
		return out
	case []any:
		if len(v) == 0 {
			return "none"
		}
		return []any{members(v[0])}
	}
	return fmt.Sprintf("%T", v)
}

// The times do not tell it either. The measure is the chance that a call about a
// customer takes longer than one about nobody: a half if they are alike, one or zero
// if one look is enough. A signature that is not verified for nobody, or one round
// trip to Postgres more on one side, makes it leave the bounds.
func TestTimeTellsNobodyWhoIsACustomer(t *testing.T) {
	w := newBusyWorld(t)
	c := w.tenant(t, "acme")
	who := people(t, w, c)
	pairs := [][2]string{{"a customer", "nobody"}, {"a customer", "somebody without a passkey"}, {"a customer by id", "nobody's id"}}
	chance := map[string]float64{}
	for _, pair := range pairs {
		var begins, finishes [2][]time.Duration
		for i := range 120 {
			for j := range 2 {
				side := (i + j) % 2 // in turns: what else the machine does meets both
				began := time.Now()
				w.must(t, "POST", "/v1/authentications:begin", c.secret, who[pair[side]])
				begins[side] = append(begins[side], time.Since(began))
				body := w.guess(t, c, who[pair[side]], "")
				began = time.Now()
				a := w.call(t, "POST", "/v1/authentications:finish", c.secret, body)
				finishes[side] = append(finishes[side], time.Since(began))
				if a.reason() != "SIGNATURE_INVALID" {
					t.Fatal(a)
				}
			}
		}
		for name, times := range map[string][2][]time.Duration{"begin": begins, "finish": finishes} {
			p := longer(times[0], times[1])
			t.Logf("%s: %s against %s: %.2f", name, pair[0], pair[1], p)
			chance[name] += p / float64(len(pairs))
		}
	}
	for name, p := range chance {
		if p < 0.12 || p > 0.88 {
			t.Errorf("%s takes longer for a customer with a chance of %.2f", name, p)
		}
	}
}

// newBusyWorld is newWorld for tests that call more often than a key may.
func newBusyWorld(t testing.TB) *world {
	t.Helper()
	store := dbtest.Fresh(t)
	cfg := testConfig(t, store, dbtest.Redis(t))
	cfg.NoLimits = true
	return startWorld(t, store, cfg)
}

// longer is the share of pairs whose first is longer (the statistic of Mann and
// Whitney), of the faster half of each: the slower half tells how busy the machine is.
func longer(a, b []time.Duration) float64 {
	a, b = slices.Sorted(slices.Values(a))[:len(a)/2], slices.Sorted(slices.Values(b))[:len(b)/2]
	n := 0
	for _, x := range a {
		for _, y := range b {
			if x > y {
				n++
			}
		}
	}
	return float64(n) / float64(len(a)*len(b))
}
