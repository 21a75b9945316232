package scoring_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/fetch/fetchtest"
	"github.com/biocore-id/biocore/tenancy/scoring"
)

const secret = "a-key-of-the-tenant"

var facts = scoring.Facts{
	Event: scoring.SignIn, Reference: "0199f3a4-5b6c-7d8e-9f01-23456789abcd", Subject: "Zm9vYmFyYmF6cXV1eDEyMw", SessionID: "s-1", Address: netip.MustParseAddr("::ffff:81.2.69.1"),
	Country: "GB", ASN: 20712, UserAgent: "Mozilla/5.0\r\nX: y", At: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
}

// asked is what a server was asked.
type asked struct {
	Path, Authorization, ContentType string
	Body                             map[string]any
}

// server is one of a kind: it keeps what it is asked, and answers as it is told.
type server struct {
	net    *fetchtest.Internet
	mu     sync.Mutex
	asked  []asked
	answer http.HandlerFunc
}

var paths = []string{"/api/session-query", "/api/attribute-query", "/v1/payments"}

func serve(t *testing.T, host string) *server {
	t.Helper()
	s := &server{net: fetchtest.New(t)}
	for _, path := range paths {
		s.net.Page(host, path, func(w http.ResponseWriter, r *http.Request) {
			one := asked{Path: r.Method + " " + r.URL.String(), Authorization: r.Header.Get("Authorization"), ContentType: r.Header.Get("Content-Type")}
			body, _ := io.ReadAll(r.Body)
			_ = json.Unmarshal(body, &one.Body)
			s.mu.Lock()
			s.asked = append(s.asked, one)
			answer := s.answer
			s.mu.Unlock()
			answer(w, r)
		})
	}
	return s
}

func (s *server) will(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.asked = answer, nil
}

func (s *server) questions() []asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// client asks the server at host. Long is what an answer may take: tests of answers have as much as there may be.
func (s *server) client(t *testing.T, host string, kind scoring.Kind, change func(o *scoring.Options)) *scoring.Client {
	t.Helper()
	net := s.net.Options()
	o := scoring.Options{
		Config:     scoring.Config{Kind: kind, Address: "https://" + host + ":" + port(net.Port), TimeoutMillis: 2000},
		Credential: secret, Allowed: net.Allowed, Resolver: net.Resolver, Roots: net.Roots,
	}
	if kind == scoring.ThreatMetrix {
		o.Config.Organization = "4en6ll2s"
	}
	if change != nil {
		change(&o)
	}
	c, err := scoring.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func port(n uint16) string { b, _ := json.Marshal(n); return string(b) }

func everything(o *scoring.Options) {
	o.Config.SendSubject, o.Config.SendAddress, o.Config.SendPlace, o.Config.SendUserAgent = true, true, true, true
}

func page(text string) http.HandlerFunc { return fetchtest.As("application/json", text) }

const (
	tmxGood = `{"request_result":"success","request_id":"82874fad-8dc7-42c7-931b-876202f505a2","review_status":"pass","policy_score":"-25","reason_code":["new_device","proxy\n used"],"account_email":"x@y.example"}`
	fzGood  = `{"explanation":{"id":"pay-1","score":640,"likelyFraud":true,"explanation":[{"description":"Many users at one address","risk":2.1,"details":[{"value":"81.2.69.1"}]},{"description":""}]}}`
)

// The wire of each kind: method, path, headers and every member of the body, with all that may be sent, and with nothing that is a
// person's.
func TestWire(t *testing.T) {
	s := serve(t, "risk.example")
	for _, tt := range []struct {
		name   string
		kind   scoring.Kind
		facts  func(f scoring.Facts) scoring.Facts
		change func(o *scoring.Options)
		answer string
		want   asked
		score  scoring.Score
	}{
		{
			name: "ThreatMetrix", kind: scoring.ThreatMetrix, answer: tmxGood,
			change: func(o *scoring.Options) { everything(o); o.Config.Policy = "login-2" },
			want: asked{Path: "POST /api/session-query", ContentType: "application/json", Body: map[string]any{
				"org_id": "4en6ll2s", "api_key": secret, "output_format": "json", "service_type": "session-policy", "event_type": "LOGIN", "policy": "login-2", "session_id": "s-1",
				"transaction_id": facts.Reference, "account_login": facts.Subject, "input_ip_address": "81.2.69.1", "local_attrib_1": "GB", "local_attrib_2": "AS20712", "local_attrib_3": "Mozilla/5.0 X: y",
			}},
			score: scoring.Score{Risk: 25, Reasons: []string{"new_device", "proxy used"}, Reference: "82874fad-8dc7-42c7-931b-876202f505a2"},
		},
		{
			name: "ThreatMetrix, told nothing of the person, whom no script has seen", kind: scoring.ThreatMetrix, answer: tmxGood,
			facts: func(f scoring.Facts) scoring.Facts { f.SessionID, f.Event = "", scoring.Registration; return f },
			want: asked{Path: "POST /api/attribute-query", ContentType: "application/json", Body: map[string]any{
				"org_id": "4en6ll2s", "api_key": secret, "output_format": "json", "service_type": "session-policy", "event_type": "ACCOUNT_CREATION", "transaction_id": facts.Reference,
			}},
			score: scoring.Score{Risk: 25, Reasons: []string{"new_device", "proxy used"}, Reference: "82874fad-8dc7-42c7-931b-876202f505a2"},
		},
		{
			name: "Feedzai", kind: scoring.Feedzai, answer: fzGood, change: everything,
			want: asked{Path: "POST /v1/payments", ContentType: "application/json", Authorization: "Bearer " + secret, Body: map[string]any{
				"id": facts.Reference, "user_id": facts.Subject, "amount": 0.0, "ip": "81.2.69.1", "transaction_type": "login", "timestamp": 1796040000000.0,
				"user_defined": map[string]any{"session_id": "s-1", "ip_country": "GB", "ip_asn": 20712.0, "user_agent": "Mozilla/5.0 X: y"},
			}},
			score: scoring.Score{Risk: 64, Reasons: []string{"likelyFraud", "Many users at one address"}, Reference: "pay-1"},
		},
		{
			name: "Feedzai, told nothing of the person", kind: scoring.Feedzai, answer: `{"id":"pay-1","score":"8"}`,
			change: func(o *scoring.Options) { o.Config.MaxScore = 10 },
			facts:  func(f scoring.Facts) scoring.Facts { f.SessionID, f.Event = "", scoring.Registration; return f },
			want: asked{Path: "POST /v1/payments", ContentType: "application/json", Authorization: "Bearer " + secret, Body: map[string]any{
				"id": facts.Reference, "amount": 0.0, "transaction_type": "account_creation", "timestamp": 1796040000000.0, "user_defined": map[string]any{},
			}},
			score: scoring.Score{Risk: 80, Reference: "pay-1"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.will(page(tt.answer))
			f := facts
			if tt.facts != nil {
				f = tt.facts(f)
			}
			score, err := s.client(t, "risk.example", tt.kind, tt.change).Score(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(score, tt.score); d != "" {
				t.Errorf("score:\n%s", d)
			}
			if d := cmp.Diff(s.questions(), []asked{tt.want}); d != "" {
				t.Errorf("what was sent:\n%s", d)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	s := serve(t, "risk.example")
	tmx := func(status, score string) string {
		return `{"request_result":"success","review_status":"` + status + `","policy_score":` + score + `}`
	}
	for _, tt := range []struct {
		name, answer string
		kind         scoring.Kind
		risk         int // -1: no score
	}{
		{"a bad score", tmx("pass", "-80"), scoring.ThreatMetrix, 80},
		{"a good score", tmx("pass", "60"), scoring.ThreatMetrix, 0},
		{"the policy says review", tmx("review", "10"), scoring.ThreatMetrix, 60},
		{"the policy says challenge", tmx("challenge", "-70"), scoring.ThreatMetrix, 70},
		{"the policy says reject", tmx("reject", "0"), scoring.ThreatMetrix, 90},
		{"a status of none known", tmx("perhaps", "0"), scoring.ThreatMetrix, -1},
		{"a score that is too large", tmx("pass", "-101"), scoring.ThreatMetrix, -1},
		{"a score that is no number", tmx("pass", `"low"`), scoring.ThreatMetrix, -1},
		{"a score that is not a number", tmx("pass", `"NaN"`), scoring.ThreatMetrix, -1},
		{"no score", `{"request_result":"success","review_status":"pass"}`, scoring.ThreatMetrix, -1},
		{"no success", `{"request_result":"fail_access","review_status":"pass","policy_score":0}`, scoring.ThreatMetrix, -1},
		{"another's form", fzGood, scoring.ThreatMetrix, -1},
		{"a form in place of JSON", "request_result=success&review_status=pass", scoring.ThreatMetrix, -1},
		{"an array", "[]", scoring.ThreatMetrix, -1},
		{"nothing", "", scoring.ThreatMetrix, -1},
		{"the worst", `{"score":1000}`, scoring.Feedzai, 100},
		{"over the worst", `{"score":1001}`, scoring.Feedzai, -1},
		{"below nothing", `{"score":-1}`, scoring.Feedzai, -1},
		{"no score of Feedzai", `{"explanation":{}}`, scoring.Feedzai, -1},
		{"an explanation that is none", `{"score":1,"explanation":7}`, scoring.Feedzai, -1},
		{"two answers", `{"score":1}{"score":2}`, scoring.Feedzai, -1},
		{"a page", "<html>", scoring.Feedzai, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.will(page(tt.answer))
			score, err := s.client(t, "risk.example", tt.kind, nil).Score(t.Context(), facts)
			failure, _ := errors.AsType[*scoring.ScoreError](err)
			switch {
			case tt.risk >= 0 && (err != nil || score.Risk != tt.risk):
				t.Errorf("Score = %+v, %v; want %d", score, err, tt.risk)
			case tt.risk < 0 && (failure == nil || failure.Reason != scoring.Malformed):
				t.Errorf("Score = %+v, %v; want a failure", score, err)
			}
		})
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = strings.Repeat("é", 200)
	}
	reasons, _ := json.Marshal(many)
	s.will(page(`{"request_result":"success","review_status":"pass","policy_score":0,"request_id":"` + strings.Repeat("x", 500) + `","reason_code":` + string(reasons) + `}`))
	score, err := s.client(t, "risk.example", scoring.ThreatMetrix, nil).Score(t.Context(), facts)
	if err != nil || len(score.Reasons) != 16 || score.Reasons[0] != strings.Repeat("é", 80) || len(score.Reference) != 64 {
		t.Errorf("an answer that says much: %d reasons, a reference of %d, %v", len(score.Reasons), len(score.Reference), err)
	}
}

// Each way to misbehave has its reason, ends in time, and says nothing of what was sent or where.
func TestMisbehaving(t *testing.T) {
	for _, kind := range scoring.Kinds() {
		s := serve(t, "risk.example")
		s.net.Page("untrusted.example", paths[0], page(tmxGood))
		s.net.Host("nat64.example", "64:ff9b::127.0.0.1")
		s.net.Host("metadata.example", "169.254.169.254")
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		hang := func(r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-release:
			}
		}
		short := func(o *scoring.Options) { o.Config.TimeoutMillis = 50 }
		followed := false
		s.net.Page("inner.example", "/", func(http.ResponseWriter, *http.Request) { followed = true })
		for _, tt := range []struct {
			name   string
			host   string
			answer http.HandlerFunc
			change func(o *scoring.Options)
			want   scoring.Reason
		}{
			{"slow", "risk.example", func(_ http.ResponseWriter, r *http.Request) { hang(r) }, short, scoring.TimedOut},
			{"endless", "risk.example", func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := w.Write(make([]byte, 64<<10)); err != nil {
						return
					}
				}
			}, nil, scoring.Malformed},
			{"a drop at a time", "risk.example", func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "{")
				_ = http.NewResponseController(w).Flush()
				hang(r)
			}, short, scoring.TimedOut},
			{"hangs up", "risk.example", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, scoring.Unreachable},
			{"an error of its own", "risk.example", func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "at 10.0.0.1: "+secret, http.StatusInternalServerError)
			}, nil, scoring.Unexpected},
			{"busy", "risk.example", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, nil, scoring.Unexpected},
			{"nothing to say", "risk.example", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, nil, scoring.Unexpected},
			{"a credential that it does not take", "risk.example", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, nil, scoring.Refused},
			{"forbidden", "risk.example", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, nil, scoring.Refused},
			{"sends elsewhere", "risk.example", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://inner.example/", http.StatusTemporaryRedirect)
			}, nil, scoring.Unexpected},
			{"another's certificate", "untrusted.example", nil, nil, scoring.Untrusted},
			{"a certificate of whom the tenant does not name", "risk.example", page(tmxGood), func(o *scoring.Options) { o.Config.CACertificates = fetchtest.New(t).CA() }, scoring.Untrusted},
			{"no such name", "nobody.example", nil, nil, scoring.Unreachable},
			{"a name that leads inside", "risk.example", page(tmxGood), func(o *scoring.Options) { o.Allowed = nil }, scoring.Forbidden},
			{"a name of the cloud's metadata", "metadata.example", nil, nil, scoring.Forbidden},
			{"an inner address in disguise", "nat64.example", nil, nil, scoring.Forbidden},
		} {
			t.Run(string(kind)+"/"+tt.name, func(t *testing.T) {
				s.will(tt.answer)
				c := s.client(t, tt.host, kind, tt.change)
				_, err := c.Score(t.Context(), facts)
				failure, ok := errors.AsType[*scoring.ScoreError](err)
				if !ok || failure.Reason != tt.want {
					t.Fatalf("Score = %v (%+v), want %s", err, failure, tt.want)
				}
				for _, never := range []string{secret, "10.0.0.1", "127.0.0.1", "risk.example", facts.Subject} {
					if strings.Contains(err.Error(), never) {
						t.Errorf("the error holds %q: %v", never, err)
					}
				}
				if failure.Reason == scoring.Forbidden && len(s.questions()) > 0 {
					t.Error("an inner server was asked")
				}
			})
		}
		if followed {
			t.Error("a redirect was followed")
		}
	}
}

// A service that is down is left alone, and found again by one question at a time. Counts tell it.
func TestBreakerOfClient(t *testing.T) {
	s := serve(t, "risk.example")
	now := facts.At
	counts := new(scoring.Counts)
	c := s.client(t, "risk.example", scoring.Feedzai, func(o *scoring.Options) { o.Now, o.Counts = func() time.Time { return now }, counts })
	s.will(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	want := func(when string, reason scoring.Reason, state scoring.State) {
		t.Helper()
		_, err := c.Score(t.Context(), facts)
		failure, _ := errors.AsType[*scoring.ScoreError](err)
		if (failure == nil) != (reason == "") || failure != nil && failure.Reason != reason || c.Status().State != state {
			t.Errorf("%s: %v, %s; want %q, %s", when, err, c.Status().State, reason, state)
		}
	}
	for range 4 {
		want("at first", scoring.Unexpected, scoring.Closed)
	}
	want("the fifth", scoring.Unexpected, scoring.Opened)
	want("open", scoring.Open, scoring.Opened)
	if n := len(s.questions()); n != 5 {
		t.Errorf("it was asked %d times", n)
	}
	if s := c.Status(); !s.Since.Equal(now) || !s.Probe.Equal(now.Add(5*time.Second)) || !s.Failed.Equal(now) || s.Reason != scoring.Unexpected || s.Text == "" || !s.Answered.IsZero() || !s.Known.Equal(facts.At) {
		t.Errorf("status while it is open = %+v", s)
	}
	now = now.Add(5 * time.Second)
	want("the probe", scoring.Unexpected, scoring.Opened)
	now = now.Add(5 * time.Second)
	want("after the first pause again", scoring.Open, scoring.Opened)
	now = now.Add(5 * time.Second)
	s.will(page(fzGood))
	want("it is back", "", scoring.Closed)
	want("and stays", "", scoring.Closed)
	if s := c.Status(); !s.Since.Equal(now) || !s.Probe.IsZero() || !s.Answered.Equal(now) || !s.Failed.Equal(now.Add(-10*time.Second)) {
		t.Errorf("status when it is back = %+v", s)
	}
	got := counts.Read()[1]
	if got.Kind != scoring.Feedzai || got.Scored != 2 || got.Failures[scoring.Unexpected] != 6 || got.Failures[scoring.Open] != 2 || got.Asked != 8 || got.Left != 0 {
		t.Errorf("counts = %+v", got)
	}
}

// Who goes away takes nothing of the service's good name with them.
func TestAskerGoesAway(t *testing.T) {
	s := serve(t, "risk.example")
	counts := new(scoring.Counts)
	c := s.client(t, "risk.example", scoring.Feedzai, func(o *scoring.Options) { o.Counts = counts })
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		s.will(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		if _, err := c.Score(ctx, facts); !errors.Is(err, context.Canceled) {
			t.Fatalf("Score = %v", err)
		}
	}
	if got := counts.Read()[1]; c.Status().State != scoring.Closed || got.Left != 10 {
		t.Errorf("%s, %+v", c.Status().State, got)
	}
}

// No more than so many ask at once.
func TestBusy(t *testing.T) {
	s := serve(t, "risk.example")
	c := s.client(t, "risk.example", scoring.Feedzai, nil)
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	s.will(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		page(fzGood)(w, r)
	})
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { _, _ = c.Score(context.WithoutCancel(t.Context()), facts) })
	}
	for range 64 {
		<-arrived
	}
	_, err := c.Score(t.Context(), facts)
	if failure, _ := errors.AsType[*scoring.ScoreError](err); failure == nil || failure.Reason != scoring.Busy {
		t.Errorf("the 65th: %v", err)
	}
	close(release)
	wg.Wait()
}
