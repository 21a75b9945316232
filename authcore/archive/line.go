package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/evidence"
	"github.com/biocore-id/biocore/authcore/user"
	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/audit/trail"
	"github.com/biocore-id/biocore/tenancy/keys"
)

// line is a row as it leaves: JSON on one line, its members in the order of the columns.
// Bytes are base64url without padding, times RFC 3339 in UTC, ids as the API prints them.
func (t *table) line(columns []column, values []any, more []byte) ([]byte, error) {
	out := make([]byte, 0, 512+len(more))
	for i, c := range columns {
		out = append(out, c.member...)
		var err error
		if out, err = appendValue(out, values[i], c.form); err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t.name, c.name, err)
		}
	}
	out[0] = '{'
	return append(append(out, more...), '}', '\n'), nil
}

func appendValue(dst []byte, value any, as form) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...), nil
	case string:
		if as == jsonText || as == jsonB {
			return appendJSON(dst, v)
		}
		return appendText(dst, v)
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int16:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case [16]byte:
		return quote(dst, uuid.UUID(v).String()), nil
	case []byte:
		return append(base64.RawURLEncoding.AppendEncode(append(dst, '"'), v), '"'), nil
	case time.Time:
		if as == day {
			return quote(dst, v.Format(time.DateOnly)), nil
		}
		return quote(dst, v.UTC().Format(time.RFC3339Nano)), nil
	case netip.Prefix:
		if as == address {
			return quote(dst, v.Addr().String()), nil
		}
		return quote(dst, v.String()), nil
	case []any:
		dst = append(dst, '[')
		for i, one := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendValue(dst, one, as); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	}
	return nil, fmt.Errorf("a %T", value)
}

// quote is for text that needs no escape.
func quote(dst []byte, text string) []byte { return append(append(append(dst, '"'), text...), '"') }

// appendText escapes what could end a line or a script as well as what JSON demands.
func appendText(dst []byte, text string) ([]byte, error) {
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encode text: %w", err)
	}
	return append(dst, quoted...), nil
}

// appendJSON keeps JSON as it is written, but for white space, so that it stays on one
// line. What is none is told as text.
func appendJSON(dst []byte, text string) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	if json.Compact(b, []byte(text)) != nil {
		return appendText(dst, text)
	}
	return b.Bytes(), nil
}

// extra is what is added to a row.
type extra struct {
	members  []byte // `,"name":"value"`
	unopened bool   // something of it was sealed, and does not open
	missing  bool   // something of it was in object storage, and is not there
}

// opener opens what is sealed of a page: an extra for each row. Its values are those of
// reading.
type opener func(ctx context.Context, w *writing, tx *db.TenantTx, columns int, page [][]any) ([]extra, error)

// openProfiles adds the names of users.
func openProfiles(_ context.Context, w *writing, _ *db.TenantTx, columns int, page [][]any) ([]extra, error) {
	extras := make([]extra, len(page))
	for i, values := range page {
		id, ok := values[0].([16]byte)
		sealed, ok2 := values[columns].([]byte)
		if !ok || !ok2 {
			return nil, errColumns
		}
		p, err := user.OpenProfile(w.ring, user.ID(id), sealed)
		if errors.Is(err, keys.ErrSealed) {
			extras[i] = extra{members: []byte(`,"externalId":null,"name":null,"displayName":null`), unopened: true}
			continue
		} else if err != nil {
			return nil, err
		}
		out := []byte(`,"externalId":`)
		if out, err = appendText(out, p.ExternalID); err != nil {
			return nil, err
		}
		if out, err = appendText(append(out, `,"name":`...), p.Name); err != nil {
			return nil, err
		}
		if out, err = appendText(append(out, `,"displayName":`...), p.DisplayName); err != nil {
			return nil, err
		}
		extras[i].members = out
	}
	return extras, nil
}

// errColumns says that the list and the schema do not fit together.
var errColumns = errors.New("a column is not of the type that it was")

// openContacts adds the values of contacts.
func openContacts(ctx context.Context, w *writing, tx *db.TenantTx, _ int, page [][]any) ([]extra, error) {
	ids := make([]user.ID, 0, len(page))
	for _, values := range page {
		id, ok := values[0].([16]byte)
		if !ok {
			return nil, errColumns
		}
		if n := len(ids); n == 0 || ids[n-1] != user.ID(id) { // a user's stand together
			ids = append(ids, user.ID(id))
		}
	}
	of, err := user.ContactsOf(ctx, tx, w.ring, ids)
	if err != nil {
		return nil, err
	}
	extras := make([]extra, len(page))
	for i, values := range page {
		id, _ := values[0].([16]byte)
		kind, _ := values[1].(string)
		value := of[user.ID(id)].Of(user.ContactKind(kind))
		if value == "" {
			extras[i] = extra{members: []byte(`,"value":null`), unopened: true}
			continue
		}
		if extras[i].members, err = appendText([]byte(`,"value":`), value); err != nil {
			return nil, err
		}
	}
	return extras, nil
}

// openEvidence adds the records, as text: byte for byte what sha256 is of.
func openEvidence(ctx context.Context, w *writing, _ *db.TenantTx, columns int, page [][]any) ([]extra, error) {
	extras := make([]extra, len(page))
	for i, values := range page {
		id, ok := values[0].([16]byte)
		sum, ok2 := values[evidenceSum].([]byte)
		recordKey, ok3 := values[columns].([]byte)
		body, _ := values[columns+1].([]byte) // nil: object storage has it
		if !ok || !ok2 || !ok3 {
			return nil, errColumns
		}
		record, err := w.service.evidence.Open(ctx, w.scope, w.ring, id, recordKey, body)
		switch {
		case errors.Is(err, evidence.ErrMissing):
			extras[i] = extra{members: []byte(`,"record":null`), missing: true}
			continue
		case errors.Is(err, keys.ErrSealed):
			extras[i] = extra{members: []byte(`,"record":null`), unopened: true}
			continue
		case err != nil:
			return nil, err
		}
		if got := sha256.Sum256(record); !bytes.Equal(got[:], sum) {
			extras[i] = extra{members: []byte(`,"record":null`), unopened: true}
			continue
		}
		if extras[i].members, err = appendText([]byte(`,"record":`), string(record)); err != nil {
			return nil, err
		}
		if err := w.noteIfDue(ctx); err != nil { // object storage may take its time
			return nil, err
		}
	}
	return extras, nil
}

// evidenceSum is where sha256 stands among the columns of evidence.
const evidenceSum = 12

// openAudit adds what is private of audit entries, of the log and of those that wait: each as text, byte for
// byte what the entry has the hash of, or null where it is erased.
func openAudit(ctx context.Context, w *writing, tx *db.TenantTx, columns int, page [][]any) ([]extra, error) {
	rows := make([]tenantq.FindAuditEntriesRow, len(page))
	for i, values := range page {
		if seq, ok := values[0].(int64); ok {
			rows[i].Seq, values = &seq, values[1:]
		}
		id, ok := values[0].([16]byte)
		entry, ok2 := values[1].(string)
		private, ok3 := page[i][columns].([]byte)
		if !ok || !ok2 || !ok3 {
			return nil, errColumns
		}
		rows[i].ID, rows[i].Entry, rows[i].Private = id, entry, private
	}
	opened, err := trail.OpenPrivate(ctx, tx, w.ring, rows)
	if err != nil {
		return nil, err
	}
	extras := make([]extra, len(page))
	for i, parts := range opened {
		out := append(make([]byte, 0, 256), `,"private":[`...)
		for j, p := range parts {
			if j > 0 {
				out = append(out, ',')
			}
			if w.person != uuid.Nil && p.Subject != uuid.Nil && p.Subject != w.person {
				out = append(out, "null"...) // of whoever else had to do with it
				continue
			}
			switch p.State {
			case trail.PrivateKept:
				if out, err = appendText(out, p.Text); err != nil {
					return nil, err
				}
			case trail.PrivateDamaged:
				extras[i].unopened = true
				out = append(out, "null"...)
			case trail.PrivateErased:
				out = append(out, "null"...)
			}
		}
		out = append(out, ']')
		extras[i].members = out
	}
	return extras, nil
}
