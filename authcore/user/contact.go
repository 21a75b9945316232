package user

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"

	"github.com/biocore-id/biocore/tenancy/fault"
)

// Errors of contact data. Each Reason is part of the public API.
var (
	ErrEmail = fault.New(fault.Invalid, "EMAIL_INVALID",
		"an e-mail address has at most 254 bytes, one @, a local part without quotes, spaces or control characters, and a domain name")
	ErrPhone = fault.New(fault.Invalid, "PHONE_INVALID",
		"a phone number is in the international form of E.164: + and 7 to 15 digits, which spaces, hyphens, dots, slashes and parentheses may set apart")
)

// Contact is how a user is reached. Empty: not known. Two users may share either, and
// neither is proven: an address here says what the relying party was told.
//
// Ceremonies know nothing of it: a User that comes out of one has none.
type Contact struct {
	Email string
	Phone string
}

// ContactKind tells contacts apart, spelled as in the table.
type ContactKind string

// The kinds.
const (
	Email ContactKind = "EMAIL"
	Phone ContactKind = "PHONE"
)

// contactOf returns the field of c that holds kind.
func contactOf(c *Contact, kind ContactKind) *string {
	if kind == Phone {
		return &c.Phone
	}
	return &c.Email
}

// Of returns the contact of a kind; empty: there is none.
func (c Contact) Of(kind ContactKind) string { return *contactOf(&c, kind) }

// contactKinds in the order in which they are written: two transactions that write
// both of one user's would else meet each other's lock.
var contactKinds = [...]ContactKind{Email, Phone}

// Clean returns c as it is kept. ErrEmail, ErrPhone, with the field in its metadata.
func (c Contact) Clean() (Contact, error) {
	for _, kind := range contactKinds {
		value := contactOf(&c, kind)
		if *value == "" {
			continue
		}
		clean, err := cleanContact(kind, *value)
		if err != nil {
			return Contact{}, err
		}
		*value = clean
	}
	return c, nil
}

func cleanContact(kind ContactKind, value string) (string, error) {
	if kind == Phone {
		return cleanPhone(value)
	}
	return cleanEmail(value)
}

// compared is the form of a clean value by which equal ones are found. An e-mail's
// local part is the mail server's to interpret (RFC 5321 §2.4), which may tell Ada
// from ada; none that people use does, so a search does not.
func compared(kind ContactKind, clean string) (string, error) {
	if kind == Phone {
		return clean, nil
	}
	local, domain, _ := strings.Cut(clean, "@")
	lower, err := precis.UsernameCaseMapped.String(local)
	if err != nil {
		return "", ErrEmail.With("field", "email").WithCause(err)
	}
	return lower + "@" + domain, nil
}

const (
	maxEmailBytes = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets (errata 1690)
	maxLocalBytes = 64  // RFC 5321 §4.5.3.1.1
)

// domains maps a domain name to the ASCII form that DNS has, in lower case (UTS 46).
var domains = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// cleanEmail keeps the local part's case and brings the domain to ASCII. The local
// part is a dot-atom (RFC 5321 §4.1.2), with the letters of all scripts (RFC 6531) as
// PRECIS lets user names have them (RFC 8265 §3.4): without control, invisible or
// bidirectional characters, in form NFC. Quoted local parts are refused: nobody has
// one, and each parser reads them in its own way.
func cleanEmail(s string) (string, error) {
	refused := ErrEmail.With("field", "email")
	if len(s) > maxEmailBytes*utf8.UTFMax || !utf8.ValidString(s) || strings.Count(s, "@") != 1 {
		return "", refused
	}
	local, domain, _ := strings.Cut(s, "@")
	local, err := precis.UsernameCasePreserved.String(local)
	if err != nil {
		return "", refused.WithCause(err)
	}
	// After the mapping: a full-width ＠ or ， has become the ASCII one.
	if local == "" || len(local) > maxLocalBytes || strings.ContainsAny(local, `"(),:;<>@[\]`) ||
		strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return "", refused
	}
	domain, err = domains.ToASCII(domain)
	if err != nil {
		return "", refused.WithCause(err)
	}
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	if strings.Trim(last, "0123456789") == "" { // empty after a final dot, or an IP address
		return "", refused
	}
	clean := local + "@" + domain
	if len(clean) > maxEmailBytes {
		return "", refused
	}
	if _, err := compared(Email, clean); err != nil {
		return "", err
	}
	return clean, nil
}

// cleanPhone takes separators out. A number without + is refused, since nobody here
// knows the country, and so is the (0) of +44 (0)20: it must not be dialled, and
// dropping digits is a guess.
func cleanPhone(s string) (string, error) {
	refused := ErrPhone.With("field", "phone")
	if strings.Contains(s, "(0)") {
		return "", refused
	}
	clean := strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "").Replace(s)
	digits, plus := strings.CutPrefix(clean, "+")
	if !plus || len(digits) < 7 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return "", refused
	}
	return clean, nil
}
