package cold_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/db"
	"github.com/biocore-id/biocore/tenancy/audit/bundle"
	"github.com/biocore-id/biocore/tenancy/audit/cold"
)

// Whoever writes rows and objects as they like, hashes and all, has none of it handed out for an archive: not another piece, not
// another tenant's, not one in which an entry is another, and not one that leaves entries out. Without the log's key in what verifies, it turns red.
func TestForged(t *testing.T) {
	w := newWorld(t, "")
	acme, globex := w.tenant(t), w.tenant(t)
	before := w.clock().Add(200 * day)
	for range 2 {
		w.grow(t, acme, 45)
		if did, err := w.server().Archive(t.Context(), acme, before); err != nil || !did {
			t.Fatal(did, err)
		}
	}
	w.grow(t, globex, 45)
	if did, err := w.server().Archive(t.Context(), globex, before); err != nil || !did {
		t.Fatal(did, err)
	}
	list, err := w.server().List(t.Context(), acme, 0, 10)
	if err != nil || len(list) < 2 {
		t.Fatal(list, err)
	}
	slices.Reverse(list)
	var first, second, foreign bytes.Buffer
	if err := errors.Join(w.server().Read(t.Context(), acme, 0, &first), w.server().Read(t.Context(), acme, list[1].From, &second), w.server().Read(t.Context(), globex, 0, &foreign)); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(first.String(), "\n")
	person := uuid.MustParse(strings.SplitN(lines[3], `\"id\":\"`, 2)[1][:36])
	fewer := strings.Replace(lines[0], `"to":`, `"to":1`, 1) + lines[1]
	for name, text := range map[string]string{
		"the next piece":      second.String(),
		"another tenant's":    foreign.String(),
		"another entry":       strings.Replace(first.String(), `\"success\"`, `\"denied\"`, 1),
		"entries swapped":     strings.Replace(strings.Replace(first.String(), lines[2], "\x00", 1), lines[3], lines[2], 1),
		"an entry less":       strings.Replace(first.String(), lines[2], "", 1),
		"fewer, says the top": fewer,
		"nothing":             "\n",
	} {
		sum := sha256.Sum256([]byte(text))
		id := uuid.New()
		if err := w.objects.Put(t.Context(), acme, cold.Kind, id, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.super.Exec(t.Context(), "UPDATE audit_archives SET objects = ARRAY[$2::uuid], versions = ARRAY[''], bytes = $3, sha256 = $4, names = NULL WHERE tenant_id = $1 AND from_seq = 0",
			acme.Tenant(), id, len(text), sum[:]); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := w.server().Read(t.Context(), acme, 0, &out); !errors.Is(err, cold.ErrDamaged) || out.Len() > 0 {
			t.Errorf("%s: Read = %v, %d bytes, want ErrDamaged and none", name, err, out.Len())
		}
		if err := w.ReadTenant(t.Context(), acme, func(tx *db.TenantTx) error {
			found, err := cold.NamingIn(t.Context(), tx, person, 1<<40)
			if err != nil {
				return err
			}
			unread, err := w.server().Mentions(t.Context(), acme, found[:1], person, 1<<40, func([]bundle.Line) error {
				t.Errorf("%s: entries are taken out of it", name)
				return nil
			})
			if len(unread) != 1 {
				t.Errorf("%s: it is not said to be unread", name)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}
