package siem_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/biocore-id/biocore/tenancy/siem"
)

// receiver is a sink that checks the wire form of what it gets, keeps what it got, and may be flaky. It
// reads nothing by code of the package under test.
type receiver struct {
	t    *testing.T
	kind siem.Kind

	mu     sync.Mutex
	chance *rand.Rand // nil: it does not fail
	seen   []int64    // numbers, in the order of their arrival, repeats too
	events []map[string]any
	ids    map[string]bool // of Elasticsearch: what is there
	acks   map[string]int  // of Splunk: how often it is to be asked for, by number
	nextID int64
}

func newReceiver(t *testing.T, w *works, kind siem.Kind) (*receiver, siem.CreateRequest) {
	t.Helper()
	r := &receiver{t: t, kind: kind, ids: map[string]bool{}, acks: map[string]int{}}
	req := siem.CreateRequest{Config: siem.Config{Name: string(kind), Kind: kind, Format: siem.JSON}}
	switch kind {
	case siem.HTTPS:
		w.net.Page("siem.example", "/in", r.https)
		req.Address, req.Credential = w.url("siem.example", "/in"), secret
	case siem.Splunk:
		w.net.Page("splunk.example", "/services/collector/event", r.collect)
		w.net.Page("splunk.example", "/services/collector/ack", r.acked)
		req.Address, req.Credential, req.Acknowledge, req.Index = w.url("splunk.example", ""), "11111111-2222-3333-4444-555555555555", true, "audit"
	case siem.Elasticsearch:
		w.net.Page("elastic.example", "/logs-biocore.audit-default/_bulk", r.bulk)
		req.Address, req.Credential, req.Index = w.url("elastic.example", ""), "VnVhQ2ZHY0JDZGJrUW0=", "logs-biocore.audit-default"
	case siem.Syslog:
		req.Address = r.listen(w)
	}
	return r, req
}

// flaky has it fail now and then, as chance says.
func (r *receiver) flaky(seed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chance = rand.New(rand.NewPCG(seed, 1))
}

// steady has it fail no more.
func (r *receiver) steady() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.chance = nil
}

// mishaps.
const (
	fine = iota
	refuses
	cutsBefore // it has read, and kept nothing
	cutsAfter  // it has kept all, and does not say so
)

func (r *receiver) mishap() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.chance == nil {
		return fine
	}
	return max(0, r.chance.IntN(6)-2)
}

func (r *receiver) got() []int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]int64{}, r.seen...)
}

// keep keeps events in their order.
func (r *receiver) keep(events ...json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, raw := range events {
		var e map[string]any
		if err := json.Unmarshal(raw, &e); err != nil {
			r.t.Errorf("%s: an event is no JSON: %v: %s", r.kind, err, raw)
			return
		}
		r.events = append(r.events, e)
		if seq, ok := e["seq"].(float64); ok {
			r.seen = append(r.seen, int64(seq))
		}
	}
}

// body reads a request, and checks what all that go by HTTP have.
func (r *receiver) body(req *http.Request, contentType string, zipped bool) []byte {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return nil // broken off
	}
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != contentType || (req.Header.Get("Content-Encoding") == "gzip") != zipped {
		r.t.Errorf("%s: %s with %v", r.kind, req.Method, req.Header)
	}
	if !zipped {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		r.t.Errorf("%s: no gzip: %v", r.kind, err)
		return nil
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		r.t.Errorf("%s: %v", r.kind, err)
	}
	return plain
}

// fails does as a mishap says, and reports whether the request ends with it.
func fails(w http.ResponseWriter, what int) bool {
	switch what {
	case refuses:
		w.WriteHeader(http.StatusServiceUnavailable)
	case cutsBefore, cutsAfter:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// https is a receiver of Standard Webhooks: it verifies by the text of that specification.
func (r *receiver) https(w http.ResponseWriter, req *http.Request) {
	what := r.mishap()
	raw := r.body(req, "application/json", false)
	id, at := req.Header.Get("Webhook-Id"), req.Header.Get("Webhook-Timestamp")
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + at + "." + string(raw)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); req.Header.Get("Webhook-Signature") != want || id == "" || req.Header.Get("Idempotency-Key") != id {
		r.t.Errorf("signature = %q, want %q; id %q, key %q", req.Header.Get("Webhook-Signature"), want, id, req.Header.Get("Idempotency-Key"))
	}
	var batch struct {
		LogStreamID, TenantID, Format string
		Events                        []json.RawMessage
	}
	if err := json.Unmarshal(raw, &batch); err != nil || batch.LogStreamID == "" || batch.TenantID == "" || len(batch.Events) == 0 {
		r.t.Errorf("batch = %s, %v", raw, err)
	}
	if what < cutsAfter && fails(w, what) {
		return
	}
	r.keep(batch.Events...)
	fails(w, what)
}

// collect is Splunk's /services/collector/event: what it has taken is indexed after some questions.
func (r *receiver) collect(w http.ResponseWriter, req *http.Request) {
	what := r.mishap()
	raw := r.body(req, "application/json", true)
	if req.Header.Get("Authorization") != "Splunk 11111111-2222-3333-4444-555555555555" || len(req.Header.Get("X-Splunk-Request-Channel")) != 36 {
		r.t.Errorf("Splunk: %v", req.Header)
	}
	var events []json.RawMessage
	for d := json.NewDecoder(bytes.NewReader(raw)); ; {
		var e struct {
			Time                            json.Number
			Host, Source, SourceType, Index string
			Event                           json.RawMessage
		}
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			r.t.Errorf("Splunk: %v", err)
			return
		}
		if _, err := e.Time.Float64(); err != nil || e.Host != "id.bank.example" || e.Source != "biocore" || e.SourceType != "biocore:audit:JSON" || e.Index != "audit" {
			r.t.Errorf("Splunk: %+v, %v", e, err)
		}
		events = append(events, e.Event)
	}
	if what < cutsAfter && fails(w, what) {
		return
	}
	r.mu.Lock()
	r.nextID++
	id := r.nextID
	r.acks[strconv.FormatInt(id, 10)] = 2
	r.mu.Unlock()
	r.keep(events...)
	if !fails(w, what) {
		_, _ = fmt.Fprintf(w, `{"text":"Success","code":0,"ackId":%d}`, id)
	}
}

// acked is Splunk's /services/collector/ack.
func (r *receiver) acked(w http.ResponseWriter, req *http.Request) {
	what := r.mishap()
	raw := r.body(req, "application/json", false)
	if req.URL.Query().Get("channel") != req.Header.Get("X-Splunk-Request-Channel") {
		r.t.Errorf("Splunk: channel %q, %v", req.URL.RawQuery, req.Header)
	}
	var asked struct{ Acks []int64 }
	if err := json.Unmarshal(raw, &asked); err != nil || len(asked.Acks) != 1 {
		r.t.Errorf("Splunk: asked %s", raw)
		return
	}
	if fails(w, what) {
		return
	}
	id := strconv.FormatInt(asked.Acks[0], 10)
	r.mu.Lock()
	r.acks[id]--
	done := r.acks[id] == 0
	r.mu.Unlock()
	_, _ = fmt.Fprintf(w, `{"acks":{"%s":%t}}`, id, done)
}

// bulk is _bulk: some of a batch may be refused for now, and the rest is there all the same.
func (r *receiver) bulk(w http.ResponseWriter, req *http.Request) {
	what := r.mishap()
	raw := r.body(req, "application/x-ndjson", true)
	if req.Header.Get("Authorization") != "ApiKey VnVhQ2ZHY0JDZGJrUW0=" {
		r.t.Errorf("Elasticsearch: %v", req.Header)
	}
	if what == refuses || what == cutsBefore {
		fails(w, what)
		return
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	if len(lines)%2 != 0 || !strings.HasSuffix(string(raw), "\n") {
		r.t.Errorf("Elasticsearch: %d lines", len(lines))
	}
	var items []string
	for i := 0; i+1 < len(lines); i += 2 {
		var op struct {
			Create struct {
				ID string `json:"_id"`
			}
		}
		var doc struct {
			ID        string
			Timestamp string `json:"@timestamp"`
		}
		if json.Unmarshal([]byte(lines[i]), &op) != nil || json.Unmarshal([]byte(lines[i+1]), &doc) != nil || op.Create.ID == "" || op.Create.ID != doc.ID || doc.Timestamp == "" {
			r.t.Errorf("Elasticsearch: %s\n%s", lines[i], lines[i+1])
		}
		status := http.StatusCreated
		r.mu.Lock()
		switch {
		case r.ids[doc.ID]:
			status = http.StatusConflict
		case what == cutsAfter && i >= len(lines)/2 && i > 0:
			status = http.StatusTooManyRequests
		default:
			r.ids[doc.ID] = true
		}
		r.mu.Unlock()
		if status == http.StatusCreated {
			r.keep(json.RawMessage(lines[i+1]))
		}
		items = append(items, fmt.Sprintf(`{"create":{"_id":"%s","status":%d}}`, doc.ID, status))
	}
	_, _ = fmt.Fprintf(w, `{"took":1,"errors":%t,"items":[%s]}`, what == cutsAfter, strings.Join(items, ","))
}

// listen is a syslog server over TLS.
func (r *receiver) listen(w *works) string {
	r.t.Helper()
	plain, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	l := tls.NewListener(plain, w.net.TLS())
	w.net.Host("syslog.example", "127.0.0.1")
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { r.syslog(conn) })
		}
	})
	r.t.Cleanup(func() {
		_ = l.Close()
		group.Wait()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "syslog.example:" + port
}

// syslogLine is RFC 5424's grammar, as far as we use it.
var syslogLine = regexp.MustCompile(`^<(110|108|107)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z id\.bank\.example biocore - [!-~]{1,32} \[biocore@32473( [a-z]+="(?:[^"\\\]]|\\["\\\]])*")+\] (\{[ -~]*\})$`)

// syslog reads one connection: messages with their octet counts, until close_notify.
func (r *receiver) syslog(conn net.Conn) {
	what := r.mishap()
	defer func() { _ = conn.Close() }() // with close_notify
	if what == refuses {
		return
	}
	in := bufio.NewReader(conn)
	var events []json.RawMessage
	for n := 0; ; n++ {
		count, err := in.ReadString(' ')
		if err != nil {
			if err != io.EOF || count != "" { //nolint:errorlint // ReadString's own
				return // broken off
			}
			break
		}
		if what == cutsBefore && n == 1 {
			return // the rest is unread
		}
		size, err := strconv.Atoi(strings.TrimSuffix(count, " "))
		if err != nil || size < 1 || count[0] == '0' {
			r.t.Errorf("octet count %q", count)
			return
		}
		line := make([]byte, size)
		if _, err := io.ReadFull(in, line); err != nil {
			return
		}
		m := syslogLine.FindSubmatch(line)
		if m == nil {
			r.t.Errorf("not RFC 5424: %s", line)
			return
		}
		events = append(events, m[3])
	}
	r.keep(events...)
	if what == cutsAfter {
		if raw, ok := conn.(*tls.Conn); ok {
			if tcp, ok := raw.NetConn().(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset, and no close_notify
				_ = tcp.Close()
			}
		}
	}
}
