package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"time"

	"github.com/biocore-id/biocore/tenancy/secret"
)

// Timings of one mail. A job tries again.
const (
	dialTimeout = 10 * time.Second
	sendTimeout = 30 * time.Second
)

// SenderOptions configures a Sender.
type SenderOptions struct {
	// URL is the mail server: smtp://user:password@host:587, which must offer STARTTLS, or
	// smtps://user:password@host:465, which speaks TLS at once. Without user and password
	// nothing is proven to it. ?starttls=off sends in the clear: to this machine alone.
	URL secret.Text
	// From is whom mail is from, as Biocore <no-reply@bank.example>.
	From string
	// Roots are who the server's certificate must come from; nil means the system's.
	Roots *x509.CertPool
}

// Sender hands mail to a server. It keeps no connection, and is safe for concurrent use.
type Sender struct {
	host, port     string
	user, password string
	implicit       bool // TLS at once
	plain          bool // no TLS: this machine
	from           mail.Address
	roots          *x509.CertPool
}

// NewSender returns a Sender, or what is wrong with its options, without their secrets.
func NewSender(o SenderOptions) (*Sender, error) {
	u, err := url.Parse(o.URL.Reveal())
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("the mail server is smtp://user:password@host:587 or smtps://user:password@host:465")
	}
	s := &Sender{host: u.Hostname(), port: u.Port(), implicit: u.Scheme == "smtps", user: u.User.Username(), roots: o.Roots}
	s.password, _ = u.User.Password()
	if s.port == "" {
		s.port = map[bool]string{false: "587", true: "465"}[s.implicit]
	}
	switch q := u.Query(); {
	case len(q) == 0:
	case len(q) == 1 && q.Get("starttls") == "off" && !s.implicit:
		if s.plain = isLocal(s.host); !s.plain {
			return nil, errors.New("starttls=off is for a mail server on this machine alone")
		}
	default:
		return nil, errors.New("the mail server's URL takes starttls=off and nothing else")
	}
	from, err := mail.ParseAddress(o.From)
	if err != nil || CheckAddress(from.Address) != nil {
		return nil, errors.New("mail is from an address, as Biocore <no-reply@bank.example>")
	}
	s.from = *from
	return s, nil
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ErrRefused says that the server will never take this mail: trying again helps nobody.
var ErrRefused = errors.New("the mail server refuses this mail for good")

// Send hands one mail over. ErrRefused where the server says so for good; every other error
// may pass.
func (s *Sender) Send(ctx context.Context, m Message) error {
	body, err := m.compose(&s.from, time.Now())
	if err != nil {
		return err
	}
	err = s.talk(ctx, func(c *smtp.Client) error {
		if err := c.Mail(s.from.Address); err != nil {
			return fmt.Errorf("MAIL: %w", err)
		}
		if err := c.Rcpt(m.To); err != nil {
			return fmt.Errorf("RCPT: %w", err)
		}
		w, err := c.Data()
		if err != nil {
			return fmt.Errorf("DATA: %w", err)
		}
		if _, err := w.Write(body); err != nil {
			return fmt.Errorf("write the mail: %w", err)
		}
		return w.Close()
	})
	if reply, ok := errors.AsType[*textproto.Error](err); ok && reply.Code >= 500 {
		// What the server says may repeat the address: its number is enough.
		return fmt.Errorf("%w: %d", ErrRefused, reply.Code)
	} else if ok {
		return fmt.Errorf("the mail server answered %d", reply.Code)
	}
	return err
}

// Check goes as far as a mail would, and sends none.
func (s *Sender) Check(ctx context.Context) error {
	return s.talk(ctx, func(c *smtp.Client) error { return c.Noop() })
}

// Server is where mail goes, for people: without user and password.
func (s *Sender) Server() string { return net.JoinHostPort(s.host, s.port) }

func (s *Sender) talk(ctx context.Context, fn func(*smtp.Client) error) error {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", s.Server())
	if err != nil {
		return fmt.Errorf("connect to the mail server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	config := &tls.Config{ServerName: s.host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	if s.implicit {
		conn = tls.Client(conn, config)
	}
	c, err := smtp.NewClient(conn, s.host)
	if err != nil {
		return fmt.Errorf("greet the mail server: %w", err)
	}
	if !s.implicit && !s.plain {
		if offered, _ := c.Extension("STARTTLS"); !offered {
			return errors.New("the mail server offers no STARTTLS")
		}
		if err := c.StartTLS(config); err != nil {
			return fmt.Errorf("STARTTLS: %w", err)
		}
	}
	if s.user != "" {
		if err := c.Auth(smtp.PlainAuth("", s.user, s.password, s.host)); err != nil {
			return fmt.Errorf("AUTH: %w", err)
		}
	}
	if err := fn(c); err != nil {
		return err
	}
	_ = c.Quit() // the mail is handed over: what comes after changes nothing
	return nil
}
