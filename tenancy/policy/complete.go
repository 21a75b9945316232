package policy

import "encoding/json"

// Complete is d as it is shown: every field, in order, whatever the stored form leaves
// to the defaults.
func (d *Document) Complete() ([]byte, error) {
	type plain Document // without a form of its own
	return json.Marshal((*plain)(d))
}
