package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/biocore-id/biocore/db/dbtest"
)

// sinks are three that receive a tenant's audit log: one gets everything, as a stream sends it that nobody has settled; one gets what
// is left when all is redacted that may tell of persons; and one refuses each event, with its own words about it.
type sinks struct {
	mu       sync.Mutex
	received map[string]map[int64]string // by path: events by number
	ids      map[string]string           // of the streams, by path
}

// identifying are the members that tell of persons.
var identifying = []string{"actor.name", "address", "userAgent", "reason"}

func newSinks(t *testing.T, w *world, c *customer) *sinks {
	t.Helper()
	s := &sinks{received: map[string]map[int64]string{"/plain": {}, "/redacted": {}}, ids: map[string]string{}}
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(r.URL.Path, "/_bulk") {
			refuse(t, rw, body)
			return
		}
		var batch struct{ Events []json.RawMessage }
		if err := json.Unmarshal(body, &batch); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, event := range batch.Events {
			var e struct{ Seq int64 }
			if err := json.Unmarshal(event, &e); err != nil {
				t.Error(err)
			}
			s.received[r.URL.Path][e.Seq] = string(event)
		}
	}))
	t.Cleanup(server.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for path, more := range map[string]map[string]any{
		"/plain": {}, "/redacted": {"redact": identifying}, "/refusing": {"kind": "ELASTICSEARCH", "index": "logs", "credential": "elastic:of a test"},
	} {
		body := map[string]any{
			"name": path, "kind": "HTTPS", "format": "JSON", "address": server.URL + path, "credential": aLogStream["credential"], "caCertificates": authority, "fromStart": true, "reason": "a test",
		}
		maps.Copy(body, more)
		s.ids[path] = w.must(t, "POST", "/admin/v1/logStreams", c.secret, body).text("id")
	}
	return s
}

// refuse answers as Elasticsearch does of documents that its mapping does not take: with a preview of what was in them.
func refuse(t *testing.T, rw http.ResponseWriter, body []byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	var items []string
	for lines.Scan() {
		var action struct {
			Create struct {
				ID string `json:"_id"`
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &action); err != nil || !lines.Scan() {
			t.Error(err)
			return
		}
		words, _ := json.Marshal("failed to parse field [address] of type [long]. Preview of field's value: '" + lines.Text() + "' [" + canaryAddress + "]")
		items = append(items, fmt.Sprintf(`{"create":{"_id":%q,"status":400,"error":{"type":"document_parsing_exception","reason":%s}}}`, action.Create.ID, words))
	}
	_, _ = fmt.Fprintf(rw, `{"errors":true,"items":[%s]}`, strings.Join(items, ","))
}

// await waits until each has been sent something of the person.
func (s *sinks) await(t *testing.T, w *world, c *customer) {
	t.Helper()
	eventually(t, "the sinks have what was planted", func() bool {
		s.mu.Lock()
		got := strings.Contains(fmt.Sprint(s.received["/plain"]), canaryAddress) && strings.Contains(fmt.Sprint(s.received["/redacted"]), c.user)
		s.mu.Unlock()
		return got && strings.Contains(w.must(t, "GET", "/admin/v1/logStreams/"+s.ids["/refusing"]+"/rejects", c.secret, nil).raw, "document_parsing_exception: address")
	})
}

// delivered is what a certificate says of a stream.
type delivered struct {
	LogStreamID     string
	Before, Entries int64
	Redacts         []string
}

// judge holds what sinks have to what the certificate says of them. What is told of the person is in entries that it counts, of the
// streams that it names, and of none that redacts it; of a stream that delivered nothing it says nothing about what it delivered.
func (s *sinks) judge(t *testing.T, store *dbtest.Store, c *customer, certificate []byte) {
	t.Helper()
	var says struct{ Delivered []delivered }
	if err := json.Unmarshal(certificate, &says); err != nil {
		t.Fatal(err)
	}
	rows, err := store.Superuser(t).Query(t.Context(), "SELECT seq FROM audit_entries WHERE tenant_id = $1 AND strpos(entry, $2) > 0 ORDER BY seq", c.id, c.user)
	if err != nil {
		t.Fatal(err)
	}
	var names []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			t.Fatal(err)
		}
		names = append(names, seq)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	told := 0
	for path, events := range s.received {
		i := slices.IndexFunc(says.Delivered, func(d delivered) bool { return d.LogStreamID == s.ids[path] })
		if i < 0 {
			t.Errorf("the certificate does not name the stream to %s: %+v", path, says.Delivered)
			continue
		}
		d := says.Delivered[i]
		want := int64(0)
		for _, seq := range names {
			if seq < d.Before {
				want++
			}
		}
		if d.Entries != want || want < 8 {
			t.Errorf("of %s it counts %d entries, want %d", path, d.Entries, want)
		}
		for seq, event := range events {
			for what, text := range map[string]string{"the address": canaryAddress, "the user agent": canaryAgent, "the display name": canaryDisplay, "the external id": canaryExternal, "the phone number": canaryPhone, "the e-mail address": canaryMail} {
				if !strings.Contains(event, text) {
					continue
				}
				if told++; path != "/plain" || len(d.Redacts) != 0 || seq < d.Before && !slices.Contains(names, seq) {
					t.Errorf("%s has %s in entry %d, of which the certificate does not tell: %s", path, what, seq, event)
				}
			}
		}
		if path == "/redacted" && !slices.Equal(d.Redacts, identifying) {
			t.Errorf("of %s it says that %v is redacted", path, d.Redacts)
		}
	}
	if told < 4 {
		t.Errorf("the sinks were told %d times of the person: the test is blind", told)
	}
}
