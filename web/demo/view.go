package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// accountView is what the account page shows.
type accountView struct {
	FirstName  string
	Initials   string
	Email      string
	SignedInBy string // nickname of the passkey; empty if it is gone
	SignedInAt moment
	AAL        string
	Passkeys   []passkeyView
}

// passkeyView is one row of the list.
type passkeyView struct {
	ID       string
	Nickname string
	Kind     kind
	Sync     string // where it lives, in two or three words
	InUse    bool   // opened this session
	Paused   bool   // suspended
	Added    moment
	Used     *moment // nil if never
}

// moment is a time said twice: relative for reading, exact for hovering.
type moment struct {
	Text  string
	Exact string
	ISO   string
}

// kind is what sort of authenticator keeps a passkey.
type kind struct {
	Name    string // its model, or what sort it is
	Icon    string
	Class   string // the tile's colour
	Picture string // URL of its maker's own icon, in Icon's place; empty for none
}

func newAccountView(one *session, passkeys []credential, now time.Time) accountView {
	granted := one.snapshot()
	name := one.user.DisplayName
	if name == "" {
		name = one.user.Name
	}
	v := accountView{
		FirstName:  firstWord(name),
		Initials:   initials(name),
		Email:      one.user.Name,
		SignedInAt: newMoment(one.signedInAt, now),
		AAL:        granted.AAL,
	}
	for _, c := range passkeys {
		p := passkeyView{
			ID:       c.ID,
			Nickname: c.Nickname,
			Kind:     kindOf(c),
			Sync:     syncOf(c),
			InUse:    c.ID == granted.CredentialID,
			Paused:   c.State == "SUSPENDED",
			Added:    newMoment(c.CreatedAt, now),
		}
		if p.Nickname == "" {
			p.Nickname = plainNickname
		}
		if c.LastUsedAt != nil {
			used := newMoment(*c.LastUsedAt, now)
			p.Used = &used
		}
		if p.InUse {
			v.SignedInBy = p.Nickname
		}
		v.Passkeys = append(v.Passkeys, p)
	}
	return v
}

// kindOf guesses from the transports, which every authenticator reports. The name and
// the picture are those that Biocore tells.
func kindOf(c credential) kind {
	k := kind{Icon: "key"}
	has := func(transport string) bool { return slices.Contains(c.Transports, transport) }
	switch {
	case c.BackupEligible:
		k = kind{Icon: "cloud", Class: "blue"}
	case has("usb") || has("nfc") || has("ble") || has("smart-card"):
		k = kind{Icon: "usb", Class: "amber"}
	case has("internal"):
		k = kind{Icon: "laptop", Class: "teal"}
	case has("hybrid"):
		k = kind{Icon: "phone", Class: "teal"}
	}
	k.Name, k.Picture = c.AuthenticatorName, c.AuthenticatorIcon
	return k
}

// syncOf says whether losing the device loses the passkey (WebAuthn L3
// #sctn-credential-backup).
func syncOf(c credential) string {
	switch {
	case c.BackedUp:
		return "Synced"
	case c.BackupEligible:
		return "Not synced yet"
	default:
		return "Only on one device"
	}
}

func newMoment(t, now time.Time) moment {
	t = t.UTC()
	return moment{Text: since(t, now.UTC()), Exact: t.Format("2 Jan 2006, 15:04:05 UTC"), ISO: t.Format(time.RFC3339)}
}

// since says how long ago t was, coarser the longer it is. A clock that runs a
// little ahead of ours is "just now", not the future.
func since(t, now time.Time) string {
	ago := now.Sub(t)
	switch {
	case ago < time.Minute:
		return "just now"
	case ago < time.Hour:
		return fmt.Sprintf("%d min ago", int(ago.Minutes()))
	case ago < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(ago.Hours()))
	case t.Year() == now.Year():
		return t.Format("2 January")
	default:
		return t.Format("2 January 2006")
	}
}

// plainNickname is what a passkey is called whose authenticator nobody knows.
const plainNickname = "Passkey"

// signedInWith begins the line below the greeting.
func signedInWith(nickname string) string {
	switch nickname {
	case "":
		return "Signed in "
	case plainNickname:
		return "Signed in with your passkey, "
	default:
		return "Signed in with " + nickname + ", "
	}
}

func firstWord(name string) string {
	if fields := strings.Fields(name); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// initials are the first letters of the first and the last word.
func initials(name string) string {
	fields := strings.Fields(name)
	var out []rune
	for i, field := range fields {
		if i == 0 || i == len(fields)-1 {
			out = append(out, unicode.ToUpper([]rune(field)[0]))
		}
	}
	return string(out)
}
