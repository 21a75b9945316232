package authenticator_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/biocore-id/biocore/authcore/authenticator"
	"github.com/biocore-id/biocore/authcore/mds/mdstest"
)

var (
	icloud  = uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd")
	certify = uuid.MustParse("11111111-2222-3333-4444-555555555555")
)

// The table comes before the metadata, and the metadata before what can be told of any.
func TestDescribe(t *testing.T) {
	metadata := mdstest.New(t).Snapshot(t, mdstest.BLOB{Number: 1, Entries: []mdstest.Entry{
		{AAGUID: certify, Name: "Example key", Icon: mdstest.Icon(t)}, {AAGUID: icloud, Name: "something else"},
	}})
	usb := authenticator.Traits{Transports: []string{"nfc", "usb"}}
	for _, tt := range []struct {
		name   string
		aaguid uuid.UUID
		bare   bool // without metadata
		traits authenticator.Traits
		want   string
	}{
		{name: "in the table", aaguid: icloud, want: "iCloud Keychain"},
		{name: "in the table, without metadata", aaguid: icloud, bare: true, want: "iCloud Keychain"},
		{name: "in the metadata", aaguid: certify, traits: usb, want: "Example key"},
		{name: "in the metadata that is not there", aaguid: certify, traits: usb, bare: true, want: "Security key"},
		{name: "the zero AAGUID", traits: usb, want: "Security key"},
		{name: "synced", traits: authenticator.Traits{Transports: []string{"internal", "hybrid"}, BackupEligible: true}, want: "Passkey provider"},
		{name: "built in", traits: authenticator.Traits{Transports: []string{"internal"}}, want: "Built-in authenticator"},
		{name: "a phone", traits: authenticator.Traits{Transports: []string{"hybrid"}}, want: "Phone or tablet"},
		{name: "nothing is known", want: "Authenticator"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			known := metadata
			if tt.bare {
				known = nil
			}
			if got := authenticator.Describe(tt.aaguid, known, tt.traits); got != tt.want {
				t.Errorf("Describe = %q, want %q", got, tt.want)
			}
		})
	}
	if got := authenticator.Icon(certify, metadata); !bytes.Equal(got, mdstest.Icon(t)) {
		t.Errorf("Icon = %d bytes, want those of the metadata", len(got))
	}
	if authenticator.Icon(icloud, metadata) != nil || authenticator.Icon(certify, nil) != nil || authenticator.Icon(uuid.Nil, metadata) != nil {
		t.Error("an icon came from nowhere")
	}
}

// The table's names are what a nickname may be, and unlike each other where models are.
func TestName(t *testing.T) {
	for aaguid, want := range map[string]string{
		"d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
		"2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5 Series with NFC",
		"00000000-0000-0000-0000-000000000000": "", // "no AAGUID"
		"11111111-2222-3333-4444-555555555555": "",
	} {
		if got := authenticator.Name(uuid.MustParse(aaguid), nil); got != want {
			t.Errorf("Name(%s) = %q, want %q", aaguid, got, want)
		}
	}
}

// What a model is like is known by the table, and else by nothing or the metadata.
func TestKindOf(t *testing.T) {
	for aaguid, want := range map[string]authenticator.Kind{
		"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": authenticator.Synced,
		"08987058-cadc-4b81-b6e1-30de50dcbe96": authenticator.BuiltIn,
		"2fc0579f-8113-47ea-b116-bb5a8db9202a": authenticator.SecurityKey,
		"11111111-2222-3333-4444-555555555555": 0,
	} {
		if got := authenticator.KindOf(uuid.MustParse(aaguid), nil); got != want {
			t.Errorf("KindOf(%s) = %d, want %d", aaguid, got, want)
		}
	}
}

// A user interface shows the nickname and, below it, this.
func ExampleDescribe() {
	known := authenticator.Describe(uuid.MustParse("fbfc3007-154e-4ecc-8c0b-6e020557d7bd"), nil, authenticator.Traits{})
	unknown := authenticator.Describe(uuid.Nil, nil, authenticator.Traits{Transports: []string{"usb"}})
	fmt.Printf("%q %q\n", known, unknown)
	// Output: "iCloud Keychain" "Security key"
}
