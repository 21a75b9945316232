package keys

import (
	"encoding/hex"
	"testing"

	"github.com/biocore-id/biocore/db/tenantq"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func asRow(p tenantq.InsertSigningKeyParams, state string) tenantq.ListSigningKeysRow {
	return tenantq.ListSigningKeysRow{
		Kid: p.Kid, Algorithm: p.Algorithm, State: state, PublicKey: p.PublicKey,
		PrivateSealed: p.PrivateSealed, Location: p.Location, CreatedAt: p.CreatedAt,
	}
}

func addKeys(t testing.TB, r *Ring, rows ...tenantq.ListSigningKeysRow) {
	t.Helper()
	if err := r.addSigningKeys(rows, nil); err != nil {
		t.Fatal(err)
	}
}
