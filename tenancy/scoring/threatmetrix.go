package scoring

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
)

// threatMetrix speaks as LexisNexis ThreatMetrix's query API does: session-query where its script has seen the browser,
// attribute-query where it has not. The key stands in the body, as the API wants it: bodies are never logged.
type threatMetrix struct {
	config *Config
	apiKey string
}

// What review_status is worth at least, whatever the score: it is what the service's policy has decided.
var reviewFloor = map[string]int{"pass": 0, "challenge": 60, "review": 60, "reject": 90}

type threatMetrixQuestion struct {
	OrgID         string `json:"org_id"`
	APIKey        string `json:"api_key"`
	OutputFormat  string `json:"output_format"`
	ServiceType   string `json:"service_type"`
	EventType     string `json:"event_type"`
	Policy        string `json:"policy,omitempty"`
	SessionID     string `json:"session_id,omitempty"`
	TransactionID string `json:"transaction_id"`
	AccountLogin  string `json:"account_login,omitempty"`
	InputIP       string `json:"input_ip_address,omitempty"`
	Country       string `json:"local_attrib_1,omitempty"`
	ASN           string `json:"local_attrib_2,omitempty"`
	UserAgent     string `json:"local_attrib_3,omitempty"`
}

func (t threatMetrix) question(f Facts) (request, error) {
	q := threatMetrixQuestion{
		OrgID: t.config.Organization, APIKey: t.apiKey, OutputFormat: "json", ServiceType: "session-policy", EventType: "LOGIN", Policy: t.config.Policy,
		SessionID: f.SessionID, TransactionID: f.Reference, AccountLogin: f.Subject, Country: f.Country, UserAgent: clean(f.UserAgent, 255),
	}
	path := "/api/session-query"
	if f.SessionID == "" {
		path = "/api/attribute-query"
	}
	if f.Event == Registration {
		q.EventType = "ACCOUNT_CREATION"
	}
	if f.Address.IsValid() {
		q.InputIP = f.Address.Unmap().WithZone("").String()
	}
	if f.ASN != 0 {
		q.ASN = "AS" + strconv.FormatUint(uint64(f.ASN), 10)
	}
	body, err := json.Marshal(q) //nolint:gosec // the API wants its key here
	if err != nil {
		return request{}, fmt.Errorf("encode question: %w", err)
	}
	return request{path: path, header: http.Header{}, body: body}, nil
}

// answer reads a score of -100 (the worst) to 100, which comes as a number or as a text of one.
func (threatMetrix) answer(body []byte) (Score, error) {
	var a struct {
		Result       string   `json:"request_result"`
		RequestID    string   `json:"request_id"`
		ReviewStatus string   `json:"review_status"`
		PolicyScore  number   `json:"policy_score"`
		Reasons      []string `json:"reason_code"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Score{}, &ScoreError{Malformed, "the risk provider's answer is no JSON of the form that ThreatMetrix has"}
	}
	if a.Result != "success" {
		return Score{}, &ScoreError{Malformed, "ThreatMetrix says that the question did not succeed"}
	}
	floor, known := reviewFloor[a.ReviewStatus]
	if !known || !a.PolicyScore.given || math.Abs(a.PolicyScore.value) > 100 {
		return Score{}, &ScoreError{Malformed, "ThreatMetrix's answer lacks a review_status or a policy_score of -100 to 100"}
	}
	s := Score{Risk: max(floor, int(math.Round(-a.PolicyScore.value))), Reference: clean(a.RequestID, maxReference)}
	if floor > 0 {
		s.Reasons = append(s.Reasons, "review_status: "+a.ReviewStatus)
	}
	s.Reasons = cleanReasons(append(s.Reasons, a.Reasons...))
	return s, nil
}

// number is a JSON number, or a text that is one.
type number struct {
	value float64
	given bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" {
		return nil
	}
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Errorf("no number")
	}
	n.value, n.given = v, true
	return nil
}
