package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Message is one mail to one person: a few sentences and one link, in plain text and in
// HTML. What comes from people is put into it by Inert.
type Message struct {
	To         string // an address: CheckAddress
	Subject    string
	Paragraphs []string
	Label      string // of the link
	Link       string // empty: none
	// Key tells this mail from every other: its Message-ID is made of it, so that a mail that
	// is sent twice after a failure is shown once.
	Key string
}

var errAddress = errors.New("an e-mail address has at most 254 bytes, one @, and a domain in ASCII")

// CheckAddress takes what can be written into an envelope and a header as it is: an address
// without a name, quotes, spaces or control characters (RFC 5321 §4.1.2, dot-string).
func CheckAddress(address string) error {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || len(address) > 254 || local == "" || len(local) > 64 || domain == "" || strings.Contains(domain, "@") {
		return errAddress
	}
	for _, c := range []byte(address) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),:;<>[\]`, c) >= 0 {
			return errAddress
		}
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address || parsed.Name != "" {
		return errAddress
	}
	return nil
}

// maxInert is how many characters of a name a mail shows.
const maxInert = 100

// Inert is a name as it may stand in a mail: without control characters, line ends and
// those that turn text around, and so that no mail program makes a link of it.
func Inert(name string) string {
	var b strings.Builder
	n := 0
	for _, r := range name {
		if n++; n > maxInert {
			b.WriteRune('…')
			break
		}
		switch {
		case r == utf8.RuneError, unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		case unicode.IsControl(r):
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
			if strings.ContainsRune(".:/@", r) {
				b.WriteRune('\u2060') // word joiner: it is not seen, and ends every address
			}
		}
	}
	return b.String()
}

// page is a mail in HTML: no script, no picture, no style sheet, nothing that is fetched.
var page = template.Must(template.New("mail").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{.Subject}}</title></head>
<body>
{{range .Paragraphs}}<p>{{.}}</p>
{{end}}{{if .Link}}<p><a href="{{.Link}}">{{.Label}}</a></p>
<p>{{.Link}}</p>
{{end}}</body></html>
`))

// compose is the mail as it goes over the wire.
func (m *Message) compose(from *mail.Address, at time.Time) ([]byte, error) {
	if err := CheckAddress(m.To); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	text := strings.Join(m.Paragraphs, "\n\n") + "\n"
	if m.Link != "" {
		text += "\n" + m.Label + ":\n" + m.Link + "\n"
	}
	var html bytes.Buffer
	if err := page.Execute(&html, m); err != nil {
		return nil, fmt.Errorf("write the mail: %w", err)
	}
	for _, part := range []struct {
		kind string
		body []byte
	}{{"text/plain", []byte(text)}, {"text/html", html.Bytes()}} {
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type": {part.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write(part.body); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(m.Key))
	_, domain, _ := strings.Cut(from.Address, "@")
	var head bytes.Buffer
	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", "<" + m.To + ">"},
		// A Q-encoded word holds no line end, whatever the subject has.
		{"Subject", mime.QEncoding.Encode("utf-8", m.Subject)},
		{"Date", at.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + hex.EncodeToString(key[:16]) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: nobody's out-of-office answers it
		{"MIME-Version", "1.0"},
		{"Content-Type", "multipart/alternative; boundary=" + parts.Boundary()},
	} {
		if strings.ContainsAny(h[1], "\r\n") && h[0] != "Subject" {
			return nil, errors.New("a header holds a line end")
		}
		head.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	head.WriteString("\r\n")
	return append(head.Bytes(), body.Bytes()...), nil
}

// fill puts a name into the words of a notice, which have percent signs of their own.
func fill(words, name string) string { return strings.Replace(words, "%s", name, 1) }
