// Package listing is what the API's lists have in common: page sizes, page tokens
// and filters.
//
// Lists are read by keyset: a page token holds where the page before ended, sealed
// with the tenant and bound to the query, so that nobody can point it elsewhere.
// Filters are a subset of AIP-160; see Parse.
package listing

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/fault"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// ErrPageToken refuses a token that was changed, or is another list's, filter's or
// tenant's.
var ErrPageToken = fault.New(fault.Invalid, "PAGE_TOKEN_INVALID",
	"the page token does not belong to this list and filter: begin at the first page")

// ErrOrderBy refuses an order that the list cannot be read in. Its message says which it can.
var ErrOrderBy = fault.New(fault.Invalid, "ORDER_BY_INVALID", "the list cannot be read in this order")

// Bounds of a page, in items.
const (
	DefaultPageSize = 50
	MaxPageSize     = 200
)

// Request asks for one page. The zero Request asks for the first page of all.
type Request struct {
	PageSize  int    // 0 means DefaultPageSize; more than MaxPageSize means that
	PageToken string // NextToken of the page before, under the same filter; empty for the first
	Filter    string // see Parse; empty for all
	OrderBy   string // a field, or a field and "desc"; empty for the list's own order
}

// Limit returns how many items the page may hold: 1 to MaxPageSize.
func (r Request) Limit() int {
	if r.PageSize <= 0 {
		return DefaultPageSize
	}
	return min(r.PageSize, MaxPageSize)
}

// Page is one page of a list.
type Page[T any] struct {
	Items     []T
	NextToken string // empty on the last page
}

// Query is what a page token belongs to, besides its tenant. The page size is not
// part of it: a client may change it between pages.
type Query struct {
	List   string // a constant of the listing package: its noun in the plural
	Parent string // the id of the resource whose items are listed; empty for the tenant
	Filter string // as the client wrote it
	Order  string // as the client wrote it; empty for the list's own
}

const pageToken keys.Purpose = "page token"

// hashBytes of the query's SHA-256 bind a token to it. The token is authenticated
// as a whole, so a collision would have to be found by choosing filters: 2^64 of them.
const hashBytes = 16

func (q Query) hash() [hashBytes]byte {
	buf := make([]byte, 0, 128)
	parts := []string{q.List, q.Parent, q.Filter}
	if q.Order != "" { // apart, so that tokens of lists without an order stay good
		parts = append(parts, q.Order)
	}
	for _, s := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(s))) //nolint:gosec // requests are at most 64 KiB
		buf = append(buf, s...)
	}
	sum := sha256.Sum256(buf)
	return [hashBytes]byte(sum[:hashBytes])
}

// Seal returns the token of the page of q that begins after cursor, in base64url.
func Seal(ring *keys.Ring, q Query, cursor []byte) string {
	h := q.hash()
	return base64.RawURLEncoding.EncodeToString(ring.SealToken(pageToken, nil, append(h[:], cursor...)))
}

// Open returns the cursor in a token of q: nil for the empty token of the first
// page, ErrPageToken for one that Seal did not make for this tenant and query.
func Open(ring *keys.Ring, q Query, token string) ([]byte, error) {
	if token == "" {
		return nil, nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, ErrPageToken
	}
	plain, err := ring.OpenToken(pageToken, sealed)
	if err != nil {
		return nil, ErrPageToken.WithCause(err)
	}
	h := q.hash()
	if len(plain) < hashBytes || subtle.ConstantTimeCompare(plain[:hashBytes], h[:]) != 1 {
		return nil, ErrPageToken
	}
	return plain[hashBytes:], nil
}

// Order is how a list is read: by one of its fields, upwards or downwards.
type Order struct {
	Field string
	Down  bool
}

// ParseOrder reads an order as clients write it (AIP-132): a field, followed by "desc" or
// "asc" or nothing. Empty is the first of allowed, downwards. ErrOrderBy.
func ParseOrder(by string, allowed ...string) (Order, error) {
	words := strings.Fields(by)
	if len(words) == 0 {
		return Order{Field: allowed[0], Down: true}, nil
	}
	o := Order{Field: words[0], Down: len(words) == 2 && words[1] == "desc"}
	if !slices.Contains(allowed, o.Field) || len(words) > 2 || len(words) == 2 && words[1] != "desc" && words[1] != "asc" {
		return Order{}, ErrOrderBy.WithMessage("orderBy: expected one of " + strings.Join(allowed, ", ") + ", and desc or asc after it")
	}
	return o, nil
}
