package keys

import (
	"fmt"
	"io"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Nothing that holds a key prints it, by any verb: fmt would show the fields, whoever
// may read them. slog and JSON see exported fields alone, of which none is a secret.

// Format implements fmt.Formatter.
func (*Service) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*Ring) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*Signer) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*Minted) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (dataKey) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*version) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*unwrapper) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (unwrapped) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*xaes) Format(f fmt.State, _ rune) { hide(f) }

func hide(f fmt.State) { _, _ = io.WriteString(f, secret.Shown) }
