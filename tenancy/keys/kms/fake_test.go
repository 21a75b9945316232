package kms

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// fakeServer is the part of a fake that every provider's has: a server on this
// machine that can fall silent, go away and come back on the same port.
type fakeServer struct {
	handler http.Handler
	addr    string

	mu      sync.Mutex
	server  *httptest.Server
	silent  chan struct{} // closed when the test ends; nil while it answers
	clock   time.Duration // ahead of time.Now
	asked   []string      // method and path of each request
	answers []fakeAnswer  // given instead of the real ones, one each

	// instead answers a request in the place of the real service; nil leaves it to that.
	// lose says whether the answer of the real service is lost. Either may be nil.
	instead func(r *http.Request) *fakeAnswer
	lose    func(r *http.Request) bool
}

type fakeAnswer struct {
	status int
	body   string
}

func (f *fakeServer) start(t *testing.T, handler http.Handler) {
	t.Helper()
	f.handler = handler
	f.listen(t, "127.0.0.1:0")
	f.addr = f.server.Listener.Addr().String()
	t.Cleanup(func() { f.stop(t) })
}

func (f *fakeServer) listen(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(f)
	_ = server.Listener.Close()
	server.Listener = l
	server.Start()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server = server
}

func (f *fakeServer) stop(*testing.T) {
	f.mu.Lock()
	server := f.server
	f.server = nil
	f.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

func (f *fakeServer) again(t *testing.T) { f.listen(t, f.addr) }

// stall has the server answer nothing until the test ends.
func (f *fakeServer) stall(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	silent := make(chan struct{})
	f.silent = silent
	t.Cleanup(func() { close(silent) })
}

func (f *fakeServer) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Add(f.clock)
}

func (f *fakeServer) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock += d
}

// answerWith has the next requests answered so, in turn.
func (f *fakeServer) answerWith(answers ...fakeAnswer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers = answers
}

// takeAsked returns what was asked since it was last called.
func (f *fakeServer) takeAsked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	silent := f.silent
	var canned *fakeAnswer
	if len(f.answers) > 0 {
		canned, f.answers = &f.answers[0], f.answers[1:]
	}
	if canned == nil && f.instead != nil {
		canned = f.instead(r)
	}
	lose := f.lose
	f.mu.Unlock()
	switch {
	case silent != nil:
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	case canned != nil:
		w.Header().Set("Location", "http://"+f.addr+"/elsewhere") // for a redirect
		w.WriteHeader(canned.status)
		_, _ = w.Write([]byte(canned.body))
	case lose != nil && lose(r):
		f.handler.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // the connection ends without an answer
	default:
		f.handler.ServeHTTP(w, r)
	}
}

// readStrictly decodes a request's body; a field that the real service does not know
// is a mistake of ours.
func readStrictly(r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return r.Header.Get("Content-Type") == "application/json" && d.Decode(into) == nil && !d.More()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}
