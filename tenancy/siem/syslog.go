package siem

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/biocore-id/biocore/tenancy/audit"
	"github.com/biocore-id/biocore/tenancy/fetch"
)

// syslogSender sends RFC 5424 over TLS (RFC 5425). Syslog acknowledges nothing; what there is, is the end of a
// connection: a receiver that got our close_notify answers with its own (RFC 5425 §4.4), and it got
// that after all that was before it. So each batch has a connection of its own, and is taken once the other side
// has closed it, too.
type syslogSender struct {
	*wire
	*target
}

func (s *syslogSender) close() {}

func (s *syslogSender) send(ctx context.Context, batch []message) (map[int]string, error) {
	dialer := tls.Dialer{NetDialer: fetch.NewDialer(s.allowed, s.resolver, s.timing.dial), Config: s.tlsConfig(s.target)}
	dialing, cancel := context.WithTimeout(ctx, 2*s.timing.dial) // with the handshake
	defer cancel()
	plain, err := dialer.DialContext(dialing, "tcp", s.Address)
	if err != nil {
		return nil, explain(ctx, err)
	}
	defer func() { _ = plain.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := plain.SetDeadline(time.Now().Add(s.timing.answer)); err != nil {
		return nil, explain(ctx, err)
	}
	var body bytes.Buffer
	for i := range batch {
		text := s.line(&batch[i])
		body.WriteString(strconv.Itoa(len(text))) // octet counting: RFC 5425 §4.3
		body.WriteByte(' ')
		body.Write(text)
	}
	conn, ok := plain.(*tls.Conn)
	if !ok {
		return nil, errors.New("a connection of tls.Dialer is not one of TLS")
	}
	var ended sync.WaitGroup
	var end error // once ended is over
	var early atomic.Bool
	ended.Go(func() {
		end = untilEnd(conn)
		early.Store(true)
	})
	if _, err = conn.Write(body.Bytes()); err == nil {
		if early.Load() { // it can have closed only what it had not read to its end
			err = failure("the sink closed the connection before it had everything")
		} else {
			err = conn.CloseWrite()
		}
	}
	if err != nil {
		_ = plain.Close()
		ended.Wait()
		return nil, explain(ctx, err)
	}
	if ended.Wait(); end != nil {
		return nil, explain(ctx, end)
	}
	return nil, s.notReset(ctx, conn)
}

// untilEnd reads until the other side has ended the connection. A receiver has nothing to say. Some
// end without close_notify, which is an end all the same.
func untilEnd(conn *tls.Conn) error {
	switch n, err := io.Copy(io.Discard, io.LimitReader(conn, maxAnswer)); {
	case n == maxAnswer:
		return failure("the sink talks where a syslog server is silent")
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return nil
}

// notReset looks behind the end of TLS: whoever closes with something of ours unread, as a server that
// is restarted does, resets the connection. One that keeps it open has read all.
func (s *syslogSender) notReset(ctx context.Context, conn *tls.Conn) error {
	raw := conn.NetConn()
	if err := raw.SetReadDeadline(time.Now().Add(s.timing.poll)); err != nil {
		return explain(ctx, err)
	}
	_, err := io.Copy(io.Discard, io.LimitReader(raw, maxAnswer))
	var slow net.Error
	if err == nil || errors.As(err, &slow) && slow.Timeout() {
		return ctx.Err()
	}
	return failure("the sink closed the connection before it had everything")
}

const (
	facilityAudit = 13 // log audit: RFC 5424 §6.2.1

	// syslogID names our structured data. 32473 is the number that stands for examples (RFC 5612):
	// this software has none of its own.
	syslogID = "biocore@32473"
)

// line is one message: RFC 5424 §6. What is sent of the entry is its MSG, in ASCII, so that no BOM must
// stand before what a reader takes for JSON.
func (s *syslogSender) line(m *message) []byte {
	severity := 6 // informational
	switch m.record.Outcome {
	case audit.Denied:
		severity = 4 // warning
	case audit.Failed:
		severity = 3 // error
	case audit.Success:
	}
	var b bytes.Buffer
	b.WriteByte('<')
	b.WriteString(strconv.Itoa(facilityAudit*8 + severity))
	b.WriteString(">1 " + stamp(m.record.At) + " " + headerText(s.host, 255) + " biocore - " + headerText(m.record.Action, 32) + " [" + syslogID)
	param := func(name, value string) {
		b.WriteString(" " + name + `="` + escapeParam(value) + `"`)
	}
	if m.seq >= 0 {
		param("seq", strconv.FormatInt(m.seq, 10))
	}
	param("id", m.record.ID.String())
	param("tenant", s.tenant.String())
	param("action", m.record.Action)
	param("outcome", string(m.record.Outcome))
	if m.record.Target.Kind != "" {
		param("target", m.record.Target.String())
	}
	b.WriteString("] ")
	b.Write(ascii(m.body))
	return b.Bytes()
}

// headerText is a field of the header: PRINTUSASCII, which has no space, at most n bytes; - for nothing.
func headerText(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r < 33 || r > 126 {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "-"
	}
	return text[:min(len(text), n)]
}

// escapeParam escapes a PARAM-VALUE: RFC 5424 §6.3.3.
func escapeParam(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`).Replace(text)
}

// ascii is the same JSON without a character beyond ASCII: those stand in strings alone, where they may
// be escaped.
func ascii(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		switch {
		case r < utf8.RuneSelf:
			out = append(out, body[0])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = appendEscape(appendEscape(out, high), low)
		default:
			out = appendEscape(out, r)
		}
		body = body[n:]
	}
	return out
}

func appendEscape(out []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(out, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
