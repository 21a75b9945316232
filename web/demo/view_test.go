package demo

import (
	"encoding/json"
	"testing"
	"time"
)

func TestVisibleHidesSecrets(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
	}{
		{"nothing", "", "null"},
		{"no JSON", "<html>", `{"notJSON":6}`},
		{"a token", `{"token":"s3cr3t","expiresAt":"2030"}`, `{"expiresAt":"2030","token":"[hidden]"}`},
		{"deep down", `{"session":{"accessToken":"a","refreshToken":"b","id":"1"}}`, `{"session":{"accessToken":"[hidden]","id":"1","refreshToken":"[hidden]"}}`},
		{"in a list", `[{"code":"c"}]`, `[{"code":"[hidden]"}]`},
		{"an error's code", `{"code":"not_found","message":"no such user"}`, `{"code":"not_found","message":"no such user"}`},
		{"a token next to a message", `{"token":"t","message":"m"}`, `{"message":"m","token":"[hidden]"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(visible([]byte(tt.body)))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("visible = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2030, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		ago  time.Duration
		want string
	}{
		{-5 * time.Second, "just now"},
		{59 * time.Second, "just now"},
		{time.Minute, "1 min ago"},
		{59*time.Minute + 59*time.Second, "59 min ago"},
		{time.Hour, "1 h ago"},
		{24*time.Hour - time.Second, "23 h ago"},
		{24 * time.Hour, "1 March"},
		{62 * 24 * time.Hour, "30 December 2029"},
	} {
		if got := since(now.Add(-tt.ago), now); got != tt.want {
			t.Errorf("since(%s ago) = %q, want %q", tt.ago, got, tt.want)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, tt := range []struct {
		name       string
		credential credential
		want       kind
		wantSync   string
	}{
		{"a synced one", credential{AuthenticatorName: "Passkey provider", BackupEligible: true, BackedUp: true, Transports: []string{"internal", "hybrid"}}, kind{Name: "Passkey provider", Icon: "cloud", Class: "blue"}, "Synced"},
		{"one that could be", credential{AuthenticatorName: "iCloud Keychain", BackupEligible: true, Transports: []string{"internal"}}, kind{Name: "iCloud Keychain", Icon: "cloud", Class: "blue"}, "Not synced yet"},
		{
			"a known model", credential{AuthenticatorName: "YubiKey 5C NFC", AuthenticatorIcon: "http://localhost/icon", Transports: []string{"usb", "nfc"}},
			kind{Name: "YubiKey 5C NFC", Icon: "usb", Class: "amber", Picture: "http://localhost/icon"}, "Only on one device",
		},
		{"a laptop", credential{AuthenticatorName: "Built-in authenticator", Transports: []string{"internal"}}, kind{Name: "Built-in authenticator", Icon: "laptop", Class: "teal"}, "Only on one device"},
		{"a phone", credential{AuthenticatorName: "Phone or tablet", Transports: []string{"hybrid"}}, kind{Name: "Phone or tablet", Icon: "phone", Class: "teal"}, "Only on one device"},
		{"one that tells nothing", credential{AuthenticatorName: "Authenticator"}, kind{Name: "Authenticator", Icon: "key"}, "Only on one device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := kindOf(tt.credential); got != tt.want {
				t.Errorf("kindOf = %v, want %v", got, tt.want)
			}
			if got := syncOf(tt.credential); got != tt.wantSync {
				t.Errorf("syncOf = %q, want %q", got, tt.wantSync)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name, wantFirst, wantInitials string
	}{
		{"Ingrid Halvorsen", "Ingrid", "IH"},
		{"ingrid", "ingrid", "I"},
		{" Åse  Marie Øvre ", "Åse", "ÅØ"},
		{"", "", ""},
		{" ", "", ""},
	} {
		if got := firstWord(tt.name); got != tt.wantFirst {
			t.Errorf("firstWord(%q) = %q, want %q", tt.name, got, tt.wantFirst)
		}
		if got := initials(tt.name); got != tt.wantInitials {
			t.Errorf("initials(%q) = %q, want %q", tt.name, got, tt.wantInitials)
		}
	}
}

func TestPlausibleEmail(t *testing.T) {
	for email, want := range map[string]bool{
		"ingrid@fjordpay.no": true,
		"a@b":                true,
		"":                   false,
		"@b":                 false,
		"a@":                 false,
		"ingrid":             false,
		"in grid@b":          false,
		"a\n@b":              false,
		"a@\xff":             false,
	} {
		if got := plausibleEmail(email); got != want {
			t.Errorf("plausibleEmail(%q) = %v, want %v", email, got, want)
		}
	}
}
