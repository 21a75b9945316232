package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Complete is d as it is shown: every field, in order, whatever the stored form leaves
// to the defaults.
func (d *Document) Complete() ([]byte, error) {
	type plain Document // without a form of its own
	return json.Marshal((*plain)(d))
}

// known are the fields that the release before reads. It would refuse the others.
var known = Fields()[:16]

// JSON is d as it is stored. It names every field that the release before knows. Those
// that are new, which its servers would refuse, stand there only where they say
// something else than their absence: while a release is rolled out, both go by the
// policies of new tenants. The next release raises known. reportedAuthenticators stands in
// those too: its absence means what it did before there was the field, which is milder than
// the default where reported models are flagged. ParseStored reads it back.
func (d *Document) JSON() ([]byte, error) {
	fields, err := members(d)
	if err != nil {
		return nil, err
	}
	absent := whenAbsent()
	absent.ReportedAuthenticators = reportedBefore(d.AuthenticatorStatus)
	unsaid, err := members(&absent)
	if err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for _, name := range Fields() {
		if !slices.Contains(known, name) && bytes.Equal(fields[name], unsaid[name]) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(append(out, '"'), name...), `":`...), fields[name]...)
	}
	return append(out, '}'), nil
}

func members(d *Document) (map[string]json.RawMessage, error) {
	text, err := d.Complete()
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	var fields map[string]json.RawMessage
	return fields, json.Unmarshal(text, &fields)
}

// Differences calls report for each field in which a and b differ, in order, with both
// values as JSON.
func Differences(a, b Document, report func(field string, before, after json.RawMessage)) error {
	was, err := members(&a)
	if err != nil {
		return err
	}
	is, err := members(&b)
	if err != nil {
		return err
	}
	for _, name := range Fields() {
		if !bytes.Equal(was[name], is[name]) {
			report(name, was[name], is[name])
		}
	}
	return nil
}
