// Package sse writes server-sent events (WHATWG HTML §9.2): the one place that knows how a
// connection is kept open past the server's timeouts, how a reader is told why a stream has
// ended, and how it is found out that nobody reads any more. What is told it does not know.
package sse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/biocore-id/biocore/tenancy/fault"
)

const (
	// beatEvery is how long a stream is silent before it says that it is there, unless it is told
	// otherwise: proxies cut what is silent for half a minute.
	beatEvery = 15 * time.Second
	// askEvery is how often it is asked whether the reader still may. What was taken away is
	// known to every server within a second.
	askEvery = 2 * time.Second
	// writeWithin is how long a write may take: then nobody reads.
	writeWithin = 10 * time.Second
	// retryAfter is what a browser waits before it comes back, unless it is told otherwise.
	retryAfter = 2 * time.Second
)

// Message is one event. Data must not be empty.
type Message struct {
	ID   string // of where a stream goes on; empty leaves it where it was
	Name string
	Data []byte // JSON: without line breaks
}

// Stream is what is told, to whom.
type Stream struct {
	// Next waits for messages and returns after two seconds at most, with none if there are
	// none. Its error ends the stream.
	Next func(ctx context.Context) ([]Message, error)
	// May reports whether the reader still may read: its error ends the stream.
	May func(ctx context.Context) error
	Log *slog.Logger
	// BeatEvery is how long it is silent before it says that it is there; 0: 15 seconds.
	BeatEvery time.Duration
}

// end is the last event of a stream that has not been cut off.
type end struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Serve answers r with s, until s or the reader ends. Why it ended is the event "end", with a
// reason as errors have it.
func Serve(w http.ResponseWriter, r *http.Request, s Stream) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events until a page is full
	if r.Method == http.MethodHead {
		return
	}
	out := writer{w: w, control: http.NewResponseController(w)}
	// The deadline of the request's body would end the context of a reader that only listens.
	_ = out.control.SetReadDeadline(time.Time{}) // where there is none, there is nothing to lift
	out.buf.WriteString("retry: " + strconv.FormatInt(retryAfter.Milliseconds(), 10) + "\n\n")
	if out.flush() != nil {
		return
	}
	err := s.run(r.Context(), &out)
	if err == nil || r.Context().Err() != nil {
		return // nobody is there to be told
	}
	last := end{Reason: "INTERNAL", Message: "internal error"}
	if f, ok := fault.As(err); ok {
		last = end{f.Reason, f.Message}
	} else {
		s.Log.ErrorContext(r.Context(), "request failed", "err", err)
	}
	text, err := json.Marshal(last)
	if err != nil {
		return // two strings are JSON
	}
	out.add(Message{Name: "end", Data: text})
	_ = out.flush() // it was the last
}

// run tells until the stream ends: nil when the reader has gone.
func (s *Stream) run(ctx context.Context, out *writer) error {
	beat := cmp.Or(s.BeatEvery, beatEvery)
	asked, told := time.Now(), time.Now()
	for {
		messages, err := s.Next(ctx)
		if err != nil {
			return err
		}
		if time.Since(asked) >= askEvery { // before what has come is told
			if err := s.May(ctx); err != nil {
				return err
			}
			asked = time.Now()
		}
		for _, m := range messages {
			out.add(m)
		}
		if len(messages) == 0 && time.Since(told) >= beat {
			out.buf.WriteString(":\n\n")
		}
		if out.buf.Len() == 0 {
			continue
		}
		if out.flush() != nil {
			return nil //nolint:nilerr // the reader has gone: nobody is there to be told
		}
		told = time.Now()
	}
}

// writer writes what was added in one piece, and waits for it so long and no longer.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

func (o *writer) add(m Message) {
	if m.ID != "" {
		o.buf.WriteString("id: " + m.ID + "\n")
	}
	o.buf.WriteString("event: " + m.Name + "\ndata: ")
	o.buf.Write(m.Data)
	o.buf.WriteString("\n\n")
}

func (o *writer) flush() error {
	// It also lifts the deadline that the server sets for whole answers.
	if err := o.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := o.w.Write(o.buf.Bytes())
	o.buf.Reset()
	if err != nil {
		return err
	}
	return o.control.Flush()
}
