package sendfile_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/biocore-id/biocore/web/sendfile"
)

const text = "all that a tenant has"

func file() sendfile.File {
	return sendfile.File{
		Name: "acme.zip", Type: "application/zip", Size: int64(len(text)),
		SHA256: "1b3b2e2cdb0a4ad1c2a8cf2c3a4a2c6c4f5a9b8b3c1a0ef4f4d7e2b5c3d2a1f0",
		Write:  func(_ context.Context, w io.Writer) error { _, err := io.WriteString(w, text); return err },
	}
}

func TestSend(t *testing.T) {
	for method, body := range map[string]string{http.MethodGet: text, http.MethodHead: ""} {
		t.Run(method, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := sendfile.Send(w, httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody), file()); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"Content-Type": "application/zip", "Content-Disposition": `attachment; filename="acme.zip"`, "Content-Length": "21", "Cache-Control": "no-store",
				"Repr-Digest": "sha-256=:GzsuLNsKStHCqM8sOkosbE9am4s8Gg709NfitcPSofA=:",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			if got := w.Body.String(); got != body {
				t.Errorf("body = %q, want %q", got, body)
			}
		})
	}
}

func TestSendFails(t *testing.T) {
	broken := errors.New("the storage is away")
	f := file()
	f.Write = func(context.Context, io.Writer) error { return broken }
	if err := sendfile.Send(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), f); !errors.Is(err, broken) {
		t.Errorf("Send = %v, want %v", err, broken)
	}
	f.SHA256 = "none"
	w := httptest.NewRecorder()
	if err := sendfile.Send(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody), f); err == nil || len(w.Header()) != 0 {
		t.Errorf("Send without a hash = %v, headers %v", err, w.Header())
	}
}

func TestStream(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	f := file()
	f.Size, f.SHA256 = 0, ""
	if begun, err := sendfile.Stream(w, r, f); !begun || err != nil || w.Body.String() != text {
		t.Errorf("Stream = %t, %v, %q", begun, err, w.Body)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/zip" || h.Get("Content-Disposition") != `attachment; filename="acme.zip"` || h.Get("Cache-Control") != "no-store" || h.Get("Content-Length") != "" {
		t.Errorf("head = %v", h)
	}
	w = httptest.NewRecorder()
	if begun, err := sendfile.Stream(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", http.NoBody), f); !begun || err != nil || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "application/zip" {
		t.Errorf("Stream of HEAD = %t, %v, %q, %v", begun, err, w.Body, w.Header())
	}

	broken := errors.New("the storage is away")
	for name, written := range map[string]string{"before the first byte": "", "after it": "all"} {
		f.Write = func(_ context.Context, w io.Writer) error {
			if written != "" {
				if _, err := io.WriteString(w, written); err != nil {
					return err
				}
			}
			return broken
		}
		w := httptest.NewRecorder()
		if begun, err := sendfile.Stream(w, r, f); begun != (written != "") || !errors.Is(err, broken) || begun == (len(w.Header()) == 0) {
			t.Errorf("%s: Stream = %t, %v, head %v", name, begun, err, w.Header())
		}
	}
}
