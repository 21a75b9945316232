package bundle

import (
	"encoding/json"
	"fmt"
	"io"
)

// Writer writes a bundle.
type Writer struct {
	out *json.Encoder
}

// NewWriter writes the header and returns what takes the entries, in their order.
// Format is Format if the header says none.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	if h.Format == "" {
		h.Format = Format
	}
	if err := out.Encode(h); err != nil {
		return nil, fmt.Errorf("write bundle: %w", err)
	}
	return &Writer{out: out}, nil
}

// Write adds an entry.
func (w *Writer) Write(l Line) error {
	if err := w.out.Encode(l); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}
