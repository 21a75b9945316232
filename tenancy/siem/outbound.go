package siem

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/biocore-id/biocore/tenancy/governance/detect"
)

// outbound applies the stream's rules to a rendered entry: to each text in it, whatever member it stands in. It
// returns the entry with marks in place of what is redacted, the kinds of these, and the kinds for which the entry
// is not to be sent at all. Texts that are JSON themselves, as ECS has them, are looked into. What is no text, such as
// a number, stays.
func (c *Config) outbound(body []byte) (clean []byte, redacted, blocked []detect.Kind) {
	if len(c.RedactKinds) == 0 && len(c.BlockKinds) == 0 {
		return body, nil, nil
	}
	o := outboundPass{redact: kindsOf(c.RedactKinds), block: kindsOf(c.BlockKinds)}
	clean = o.rewrite(nil, body)
	return clean, o.redacted, o.blocked
}

// outboundJSON is an event in JSON, after the rules: it is told what was taken out.
func (c *Config) outboundJSON(event func(redacted []string) any) (body []byte, blocked []detect.Kind, err error) {
	var redacted []detect.Kind
	if body, err = json.Marshal(event(c.Redact)); err != nil {
		return nil, nil, err
	}
	if body, redacted, blocked = c.outbound(body); len(redacted) == 0 || len(blocked) > 0 {
		return body, blocked, nil
	}
	named := slices.Clone(c.Redact)
	for _, k := range redacted {
		named = append(named, string(k))
	}
	if body, err = json.Marshal(event(named)); err != nil {
		return nil, nil, err
	}
	body, _, _ = c.outbound(body)
	return body, nil, nil
}

func kindsOf(names []string) []detect.Kind {
	kinds := make([]detect.Kind, len(names))
	for i, name := range names {
		kinds[i] = detect.Kind(name)
	}
	return kinds
}

// outboundPass goes over one entry.
type outboundPass struct {
	redact, block     []detect.Kind
	redacted, blocked []detect.Kind // found, each once
}

// rewrite appends JSON to dst, with its texts as the rules leave them.
func (o *outboundPass) rewrite(dst, body []byte) []byte {
	for i := 0; i < len(body); {
		if body[i] != '"' {
			dst = append(dst, body[i])
			i++
			continue
		}
		end := i + 1
		for body[end] != '"' {
			if body[end] == '\\' {
				end++
			}
			end++
		}
		end++
		dst = o.text(dst, body[i:end])
		i = end
	}
	return dst
}

// text appends one JSON string.
func (o *outboundPass) text(dst, quoted []byte) []byte {
	text := string(quoted[1 : len(quoted)-1])
	if strings.IndexByte(text, '\\') >= 0 {
		if json.Unmarshal(quoted, &text) != nil {
			return append(dst, quoted...) // rendered by us: it never is
		}
	}
	var clean string
	if len(text) > 1 && (text[0] == '{' || text[0] == '[') && json.Valid([]byte(text)) {
		clean = string(o.rewrite(nil, []byte(text)))
	} else {
		clean = o.apply(text)
	}
	if clean == text {
		return append(dst, quoted...)
	}
	again, err := json.Marshal(clean)
	if err != nil {
		return append(dst, `""`...) // a string always has a form
	}
	return append(dst, again...)
}

// apply is a text as the rules leave it.
func (o *outboundPass) apply(text string) string {
	for _, f := range detect.Find(text) {
		if slices.Contains(o.block, f.Kind) && !slices.Contains(o.blocked, f.Kind) {
			o.blocked = append(o.blocked, f.Kind)
		}
	}
	if len(o.redact) == 0 {
		return text
	}
	clean, taken := detect.Redact(text, o.redact...)
	for _, k := range taken {
		if !slices.Contains(o.redacted, k) {
			o.redacted = append(o.redacted, k)
		}
	}
	return clean
}

// blockedReason is what stands of a blocked entry where refused ones are listed.
func blockedReason(kinds []detect.Kind) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return fmt.Sprintf("not sent: this stream blocks %s", strings.Join(names, ", "))
}

// checkKinds judges the rules.
func (c *Config) checkKinds() error {
	for field, list := range map[string][]string{"redactKinds": c.RedactKinds, "blockKinds": c.BlockKinds} {
		for i, k := range list {
			if !slices.Contains(detect.Kinds(), detect.Kind(k)) || slices.Contains(list[:i], k) {
				return invalid(field, "are different ones of "+strings.Join(KindNames(), ", "))
			}
		}
	}
	for _, k := range c.BlockKinds {
		if slices.Contains(c.RedactKinds, k) {
			return invalid("blockKinds", "names "+k+", which redactKinds names, too: one rule for each kind")
		}
	}
	return nil
}

// KindNames are the kinds of personal data and secrets that rules are about.
func KindNames() []string {
	var names []string
	for _, k := range detect.Kinds() {
		names = append(names, string(k))
	}
	return names
}
