package demo

import (
	"encoding/json"
	"math"
	"time"
)

// call is one request that the server part made to the API, as the panel shows
// it. The browser's own calls take the same shape in panel.js.
type call struct {
	Origin    string    `json:"origin"` // always "server"
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Request   any       `json:"request,omitempty"`
	Status    int       `json:"status"` // 0 if there was no answer
	Response  any       `json:"response,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
	Millis    float64   `json:"ms"`
	At        time.Time `json:"at"`
}

// hidden stands for a secret in what the panel shows.
const hidden = "[hidden]"

// secretMembers are the JSON members that let whoever holds them act: tokens,
// and the code that a session is exchanged for. Their values never leave the
// server part by way of the panel.
var secretMembers = map[string]bool{
	"accessToken":       true,
	"code":              true,
	"refreshToken":      true,
	"registrationToken": true,
	"stepUpToken":       true,
	"token":             true,
}

// visible parses a JSON body for the panel, without its secrets. A body that is
// no JSON is shown by its length only: it isn't Biocore's.
func visible(body []byte) any {
	if len(body) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return map[string]any{"notJSON": len(body)}
	}
	return hideSecrets(v)
}

func hideSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			// An error's `code` is a word everybody may read; it stands beside a message.
			_, isError := v["message"]
			_, isText := member.(string)
			switch {
			case isError && name == "code":
			case isText && secretMembers[name]:
				v[name] = hidden
			default:
				v[name] = hideSecrets(member)
			}
		}
	case []any:
		for i := range v {
			v[i] = hideSecrets(v[i])
		}
	}
	return v
}

// millis rounds to a tenth, as fine as a reader cares for.
func millis(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())/100) / 10
}
