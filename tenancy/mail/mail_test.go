package mail_test

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/tenancy/mail"
	"github.com/biocore-id/biocore/tenancy/mail/mailtest"
	"github.com/biocore-id/biocore/tenancy/secret"
)

func sender(t *testing.T, s *mailtest.Server, url string) *mail.Sender {
	t.Helper()
	out, err := mail.NewSender(mail.SenderOptions{URL: secret.New(url), From: "Biocore <no-reply@bank.example>", Roots: s.Roots})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// opened is a mail as a mail program reads it.
type opened struct {
	head       netmail.Header
	text, html string
}

func open(t *testing.T, data string) opened {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("no mail: %v\n%s", err, data)
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("Content-Type %q", kind)
	}
	out := opened{head: m.Header}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		part, err := parts.NextPart() // undoes quoted-printable
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			out.html = string(body)
		} else {
			out.text = string(body)
		}
	}
}

func TestSend(t *testing.T) {
	starttls, implicit := mailtest.New(t), mailtest.NewImplicit(t)
	for name, tt := range map[string]struct {
		server *mailtest.Server
		url    string
		tls    bool
		user   string
	}{
		"STARTTLS":     {starttls, "smtp://ana:pass-word-123@" + starttls.Host, true, "ana/pass-word-123"},
		"implicit TLS": {implicit, "smtps://ana:pass-word-123@" + implicit.Host, true, "ana/pass-word-123"},
		"this machine": {starttls, "smtp://" + starttls.Host + "?starttls=off", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := sender(t, tt.server, tt.url)
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			m := mail.Message{To: "ben@bank.example", Subject: "Grüße", Paragraphs: []string{"One.", ".", "Two & three."}, Label: "Look", Link: "https://bank.example/a#b", Key: "k"}
			if err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			got := tt.server.Receive(t)
			if got.TLS != tt.tls || got.User != tt.user || got.From != "FROM:<no-reply@bank.example>" || got.To != "TO:<ben@bank.example>" {
				t.Errorf("envelope = %+v", got)
			}
			o := open(t, got.Data)
			subject, err := new(mime.WordDecoder).DecodeHeader(o.head.Get("Subject"))
			if err != nil || subject != "Grüße" || o.head.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(o.head.Get("Message-Id"), "@bank.example>") {
				t.Errorf("head = %v, %q, %v", o.head, subject, err)
			}
			if !strings.Contains(o.text, "One.") || !strings.Contains(o.text, "\n.\r\n") && !strings.Contains(o.text, "\n.\n") || !strings.Contains(o.text, m.Link) {
				t.Errorf("text = %q", o.text)
			}
			if !strings.Contains(o.html, `<a href="https://bank.example/a#b">Look</a>`) || !strings.Contains(o.html, "Two &amp; three.") {
				t.Errorf("html = %q", o.html)
			}
		})
	}
}

func TestSendRefused(t *testing.T) {
	server := mailtest.New(t)
	s := sender(t, server, "smtp://"+server.Host)
	m := mail.Message{To: "ben@bank.example", Subject: "s", Key: "k"}
	server.Refuse(550)
	if err := s.Send(t.Context(), m); !errors.Is(err, mail.ErrRefused) || strings.Contains(err.Error(), "ben@") {
		t.Errorf("550 = %v", err)
	}
	server.Refuse(451)
	if err := s.Send(t.Context(), m); err == nil || errors.Is(err, mail.ErrRefused) {
		t.Errorf("451 = %v", err)
	}
	server.Refuse(0)
	wrong := sender(t, server, "smtp://ana:wrong@"+server.Host)
	if err := wrong.Send(t.Context(), m); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password = %v", err)
	}
	// A password never goes over a line that somebody took the encryption from.
	server.OfferNoTLS()
	if err := s.Send(t.Context(), m); err == nil || !strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("no STARTTLS = %v", err)
	}
	stranger, err := mail.NewSender(mail.SenderOptions{URL: secret.New("smtps://" + mailtest.NewImplicit(t).Host), From: "a@bank.example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Send(t.Context(), m); err == nil {
		t.Error("a certificate of nobody's was taken")
	}
	if len(server.Mails) != 0 {
		t.Error("a refused mail was sent")
	}
}

// What people are called reaches no header, no markup and no link. A subject that is
// written as it comes, or a name without Inert, turns its case red.
func TestHostileNames(t *testing.T) {
	server := mailtest.New(t)
	s := sender(t, server, "smtp://"+server.Host)
	for _, name := range []string{
		"x\r\nBcc: eve@evil.example\r\n\r\nHello", "<script>alert(1)</script><img src=x>", "\u202egro.live", "https://evil.example/login", "www.evil.example", "=?utf-8?q?=0D=0ABcc:_eve?=",
		"\r\n.\r\nMAIL FROM:<eve@evil.example>", strings.Repeat("x", 500),
	} {
		shown := mail.Inert(name)
		if err := s.Send(t.Context(), mail.Message{To: "ben@bank.example", Subject: "You are invited to " + shown, Paragraphs: []string{"To " + shown + "."}, Key: name}); err != nil {
			t.Fatal(err)
		}
		// And where somebody forgets it.
		if err := s.Send(t.Context(), mail.Message{To: "ben@bank.example", Subject: name, Paragraphs: []string{name}, Key: name}); err != nil {
			t.Fatal(err)
		}
		for _, data := range []string{server.Receive(t).Data, server.Receive(t).Data} {
			o := open(t, data)
			if o.head.Get("Bcc") != "" || len(o.head) != 8 {
				t.Errorf("%q: header %v", name, o.head)
			}
			if strings.Contains(o.html, "<script") || strings.Contains(o.html, "<img") {
				t.Errorf("%q: html %q", name, o.html)
			}
		}
		if strings.ContainsAny(shown, "\r\n\u202e") || strings.Contains(shown, "evil.example") || len([]rune(shown)) > 150 {
			t.Errorf("Inert(%q) = %q", name, shown)
		}
	}
	if len(server.Mails) != 0 {
		t.Error("one mail became two")
	}
}

func TestCheckAddress(t *testing.T) {
	for address, good := range map[string]bool{
		"ana@bank.example": true, "a.b+c@x.example": true, "": false, "ana": false, "@bank.example": false, "ana@": false, "a@b@c": false, "ana@bank.example\r\nBcc: x@y": false,
		"Ana <ana@bank.example>": false, "ana@bank.example, eve@evil.example": false, `"a b"@bank.example`: false, "ana@bänk.example": false, "ana@[127.0.0.1]": false,
		strings.Repeat("a", 65) + "@x.example": false, "a@" + strings.Repeat("x", 253): false,
	} {
		if err := mail.CheckAddress(address); (err == nil) != good {
			t.Errorf("CheckAddress(%q) = %v", address, err)
		}
	}
}

func TestNewSenderRefuses(t *testing.T) {
	for _, tt := range []mail.SenderOptions{
		{URL: secret.New("http://mail.example"), From: "a@b.example"},
		{URL: secret.New("smtp://mail.example?starttls=off"), From: "a@b.example"},
		{URL: secret.New("smtp://mail.example?x=y"), From: "a@b.example"},
		{URL: secret.New("smtp://ana:hunter2secret@/"), From: "a@b.example"},
		{URL: secret.New("smtp://mail.example"), From: "Biocore"},
		{URL: secret.New("smtp://mail.example"), From: "a@b.example\r\nBcc: x@y.example"},
	} {
		if _, err := mail.NewSender(tt); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("NewSender(%q, %q) = %v", tt.URL.Reveal(), tt.From, err)
		}
	}
}
