package sse_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/web/sse"
)

var errOver = fault.New(fault.Forbidden, "OVER", "it is over")

// serve runs s on a server whose own deadlines are short, and returns what it tells, line by line.
func serve(t *testing.T, s sse.Stream) (http.Header, *bufio.Scanner) {
	t.Helper()
	s.Log = slog.New(slog.DiscardHandler)
	if s.May == nil {
		s.May = func(context.Context) error { return nil }
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { sse.Serve(w, r, s) }))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res.Header, bufio.NewScanner(res.Body)
}

// The server's timeouts do not end a stream: without the deadlines of Serve it is cut off
// after a tenth of a second.
func TestAStreamOutlivesTheServersTimeouts(t *testing.T) {
	began, n := time.Now(), 0
	header, lines := serve(t, sse.Stream{Next: func(ctx context.Context) ([]sse.Message, error) {
		if n++; n > 5 {
			return nil, errOver
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
			return []sse.Message{{ID: "7", Name: "thing", Data: []byte(`{"n":1}`)}}, nil
		}
	}})
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	want := "retry: 2000\n\n" + strings.Repeat("id: 7\nevent: thing\ndata: {\"n\":1}\n\n", 5) + "event: end\ndata: {\"reason\":\"OVER\",\"message\":\"it is over\"}\n"
	if text := strings.Join(got, "\n"); lines.Err() != nil || text != want || time.Since(began) < 500*time.Millisecond {
		t.Errorf("after %v: %q, %v\nwant %q", time.Since(began), text, lines.Err(), want)
	}
	if header.Get("Content-Type") != "text/event-stream" || header.Get("X-Accel-Buffering") != "no" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers = %v", header)
	}
}

// A stream with nothing to tell says now and then that it is there, in a comment, which no reader
// takes for an event; not each time that there was nothing, and not beside what it tells.
func TestASilentStreamBeats(t *testing.T) {
	const every = 50 * time.Millisecond
	began := time.Now()
	_, lines := serve(t, sse.Stream{BeatEvery: every, Next: func(ctx context.Context) ([]sse.Message, error) {
		switch since := time.Since(began); {
		case since > 10*every:
			return nil, errOver
		case since > 8*every:
			return []sse.Message{{Name: "thing", Data: []byte("1")}}, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(every / 10):
			return nil, nil
		}
	}})
	beats, told := 0, false
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == ":" && told:
			t.Error("it beats although it tells")
		case line == ":":
			beats++
		case line == "event: thing":
			told = true
		}
	}
	if beats == 0 || beats > int(time.Since(began)/every) || !told {
		t.Errorf("%d beats in %v, told = %t", beats, time.Since(began), told)
	}
}

// Who may not read any more is told nothing more, and why.
func TestAStreamEndsWhenItsReaderMayNot(t *testing.T) {
	secret := []sse.Message{{Name: "thing", Data: []byte(`"secret"`)}}
	began := time.Now()
	_, lines := serve(t, sse.Stream{
		Next: func(context.Context) ([]sse.Message, error) {
			if time.Since(began) < 2100*time.Millisecond {
				return nil, nil
			}
			return secret, nil
		},
		May: func(context.Context) error { return errOver },
	})
	text := ""
	for lines.Scan() {
		text += lines.Text() + "\n"
	}
	if !strings.Contains(text, `"reason":"OVER"`) || strings.Contains(text, "secret") {
		t.Errorf("told %q", text)
	}
}

// What is no refusal is told as nothing.
func TestAnErrorIsNotTold(t *testing.T) {
	_, lines := serve(t, sse.Stream{Next: func(context.Context) ([]sse.Message, error) { return nil, errors.New("password hunter2") }})
	text := ""
	for lines.Scan() {
		text += lines.Text() + "\n"
	}
	if !strings.Contains(text, `{"reason":"INTERNAL","message":"internal error"}`) || strings.Contains(text, "hunter2") {
		t.Errorf("told %q", text)
	}
}

// A HEAD is answered and ends.
func TestHead(t *testing.T) {
	w := httptest.NewRecorder()
	sse.Serve(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", http.NoBody), sse.Stream{})
	if body, err := io.ReadAll(w.Result().Body); err != nil || len(body) > 0 || w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD = %q, %v, %v", body, err, w.Header())
	}
}
