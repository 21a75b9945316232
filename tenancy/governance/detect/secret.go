package detect

import (
	"encoding/base64"
	"hash/crc32"
	"strings"
)

// beginsSecret reports whether a word of letters alone with this first one may begin a secret.
func beginsSecret(c byte) bool {
	switch c {
	case 'e', 'b', 'B', 'p', 'r', 'w':
		return true
	}
	return false
}

// secret judges secrets that begin with the word from start to end. It returns the end of a finding, or 0.
func (s *scanner) secret(start, end int) int {
	rest := s.text[start:]
	switch s.text[start] {
	case 'e':
		return s.jwt(start)
	case 'B', 'b':
		switch word := s.text[start:end]; {
		case word == "BEGIN" && start >= s.done+5 && s.text[start-5:start] == "-----":
			if n := pemLen(rest); n > 0 {
				return s.add(PrivateKey, start-5, start+n)
			}
			return 0
		case strings.EqualFold(word, "bearer") && end < len(s.text) && s.text[end] == ' ':
			if n := bearerLen(s.text[end+1:]); n > 0 {
				return s.add(Token, end+1, end+1+n)
			}
			return 0
		}
		if n := apiKeyLen(rest); n > 0 {
			return s.add(OwnKey, start, start+n)
		}
	case 'p':
		if n := apiKeyLen(rest); n > 0 {
			return s.add(OwnKey, start, start+n)
		}
	case 'r':
		// authcore/token: rt_ and 68 bytes in base64url.
		if text, ok := strings.CutPrefix(rest, "rt_"); ok {
			if n := runLen(text[:min(92, len(text))], isBase64URL); n == 91 {
				return s.add(OwnKey, start, start+3+n)
			}
		}
	case 'w':
		// Standard Webhooks: whsec_ and 24 to 64 bytes in base64.
		if text, ok := strings.CutPrefix(rest, "whsec_"); ok {
			n := runLen(text[:min(89, len(text))], func(c byte) bool { return isBase64URL(c) || c == '+' || c == '/' || c == '=' })
			if n >= 32 && n <= 88 {
				return s.add(OwnKey, start, start+6+n)
			}
		}
	}
	return 0
}

func isBase64URL(c byte) bool { return class[c] != 0 || c == '-' || c == '_' }

// runLen is how many bytes at the beginning of text are as ok says.
func runLen(text string, ok func(byte) bool) int {
	n := 0
	for n < len(text) && ok(text[n]) {
		n++
	}
	return n
}

// jwt judges a JWS or JWE in its compact form (RFC 7515, 7516) that begins at start.
func (s *scanner) jwt(start int) int {
	text := s.text[start:]
	if start < s.noJWT || !strings.HasPrefix(text, "eyJ") { // {"
		return 0
	}
	head := runLen(text, isBase64URL)
	s.noJWT = start + head // what is in a run is not looked at from each hyphen again
	if head < 12 || head > 8192 || head == len(text) || text[head] != '.' {
		return 0
	}
	if header, err := base64.RawURLEncoding.DecodeString(text[:head]); err != nil || !strings.Contains(string(header), `"alg"`) {
		return 0
	}
	end := head
	for parts := 1; parts < 5 && end < len(text) && text[end] == '.'; parts++ {
		end += 1 + runLen(text[end+1:], isBase64URL)
	}
	if end < head+16 {
		return 0
	}
	return s.add(Token, start, start+end)
}

// bearerLen is the length of a bearer token (RFC 6750) of 20 characters or more, digits and letters among them.
func bearerLen(text string) int {
	var bits byte
	n := runLen(text, func(c byte) bool {
		bits |= class[c]
		return class[c] != 0 || strings.IndexByte("-._~+/=", c) >= 0
	})
	if n < 20 || bits&digit == 0 || bits&letter == 0 {
		return 0
	}
	return n
}

// apiKeyLen is the length of an API key of this server, as tenancy/apikey/format.go writes one: bk_ or pf_, live_ or
// test_, 33 digits of base62, _, 43 and the 6 of a checksum. Publishable keys (pk_) are for everybody.
func apiKeyLen(text string) int {
	const size, crc = 8 + 33 + 1 + 43 + 6, 6
	if len(text) < size || text[2] != '_' || text[7] != '_' || text[41] != '_' || len(text) > size && class[text[size]] != 0 {
		return 0
	}
	switch text[:8] {
	case "bk_live_", "bk_test_", "pf_live_", "pf_test_":
	default:
		return 0
	}
	var want [crc]byte
	sum := crc32.ChecksumIEEE([]byte(text[:size-crc]))
	for i := range want {
		want[crc-1-i] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[sum%62]
		sum /= 62
	}
	if text[size-crc:size] != string(want[:]) {
		return 0
	}
	return size
}

// pemLen is the length of a private key in PEM (RFC 7468) whose BEGIN stands at the beginning of text: to its END, or
// to where its text breaks off. 0: it is no private key.
func pemLen(text string) int {
	label, body, ok := strings.Cut(text, "-----")
	if !ok || len(label) > 64 || !strings.HasSuffix(label, "PRIVATE KEY") || strings.Contains(label, "\n") {
		return 0
	}
	end := strings.Index(body, "-----END ")
	if end < 0 {
		return len(text)
	}
	n := len(label) + 5 + end + len("-----END ")
	if tail := strings.Index(text[n:], "-----"); tail >= 0 && tail <= 64 {
		n += tail + 5
	}
	return n
}

// email judges the address around the @ at i: a local part, and a domain with a dot and a last label of letters. It
// returns where to go on. What is no ASCII counts as part of an address: names may have it, and it is better to take
// out a word too many.
func (s *scanner) email(i int) int {
	start := i
	for start > s.done && isLocal(s.text[start-1]) {
		start--
	}
	for start < i && (s.text[start] == '.' || s.text[start] == '-' || s.text[start] == '\'') {
		start++
	}
	end, dot, word := i+1, 0, 0
	for j := end; j < len(s.text) && (class[s.text[j]] != 0 || s.text[j] == '-' || s.text[j] == '.' || s.text[j] >= 0x80); j++ {
		if s.text[j] == '.' {
			if j == i+1 || s.text[j-1] == '.' {
				break
			}
			dot, word = j, 0
			continue
		}
		if s.text[j] != '-' {
			if class[s.text[j]]&digit != 0 {
				word = -256
			}
			word++
			if dot > 0 && word >= 2 {
				end = j + 1
			}
		}
	}
	if start == i || end == i+1 {
		return i + 1
	}
	for end < len(s.text) && s.text[end] >= 0x80 && s.text[end] < 0xC0 { // the rest of a character
		end++
	}
	return s.add(Email, start, end)
}

// isLocal reports whether c may stand in the local part of an address that is not quoted (RFC 5322 §3.2.3), less what
// rather stands around addresses.
func isLocal(c byte) bool {
	return class[c] != 0 || c >= 0x80 || strings.IndexByte("._%+-'&~!#$^", c) >= 0
}
