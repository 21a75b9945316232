package kms

import (
	"fmt"
	"io"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Nothing that holds a key or a token prints it: under a wrong verb fmt follows
// pointers, down to the words of a cipher's key.

// Format implements fmt.Formatter.
func (*Local) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*vault) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*vaultToken) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*amazon) Format(f fmt.State, _ rune) { hide(f) }

// Format implements fmt.Formatter.
func (*google) Format(f fmt.State, _ rune) { hide(f) }

func hide(f fmt.State) { _, _ = io.WriteString(f, secret.Shown) }
