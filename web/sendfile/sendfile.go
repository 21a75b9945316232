// Package sendfile answers large files: the one place that knows how their length and
// hash are said, and that a slow reader is given time for each part and not for the whole.
package sendfile

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// stall is how long a client may take for one part.
const stall = time.Minute

// File is what is sent. Name holds letters, digits, '-' and '.' alone.
type File struct {
	Name   string
	Type   string // media type
	Size   int64  // bytes that Write writes
	SHA256 string // of them, 64 hexadecimal digits
	Write  func(context.Context, io.Writer) error
}

// Send answers f: its length, its SHA-256 (RFC 9530) and then, but for HEAD, its bytes. After
// an error the caller breaks the connection off, so that the client sees it.
func Send(w http.ResponseWriter, r *http.Request, f File) error {
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil {
		return fmt.Errorf("read SHA-256: %w", err)
	}
	head := w.Header()
	head.Set("Content-Type", f.Type)
	head.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	head.Set("Content-Length", strconv.FormatInt(f.Size, 10))
	head.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	head.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	return f.Write(r.Context(), &patient{ResponseController: http.NewResponseController(w), w: w})
}

// Stream answers a file of a length that nobody knows before it is written. Its head goes out with the first byte, so
// that what hinders the first is answered otherwise: begun reports whether it has. An error after that is for
// the caller as one of Send's. f.Size and f.SHA256 are not read.
func Stream(w http.ResponseWriter, r *http.Request, f File) (begun bool, err error) {
	out := &late{begin: func() {
		head := w.Header()
		head.Set("Content-Type", f.Type)
		head.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
		head.Set("Cache-Control", "no-store")
	}, w: &patient{ResponseController: http.NewResponseController(w), w: w}}
	if r.Method == http.MethodHead {
		out.begin()
		return true, nil
	}
	err = f.Write(r.Context(), out)
	return out.begun, err
}

// late begins when the first byte comes.
type late struct {
	begin func()
	begun bool
	w     io.Writer
}

func (l *late) Write(b []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.begin()
	}
	return l.w.Write(b)
}

// patient gives each part its own time.
type patient struct {
	*http.ResponseController

	w io.Writer
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.w.Write(b)
}
