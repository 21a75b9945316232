package scoring

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
)

// feedzai speaks as Feedzai's REST API of payments does: what is to be scored is put to /v1/payments, and the score and what it is made of
// come back. A sign-in is a transaction of no amount.
type feedzai struct {
	config *Config
	token  string
}

type feedzaiQuestion struct {
	ID              string           `json:"id"`
	UserID          string           `json:"user_id,omitempty"`
	Amount          int              `json:"amount"`
	IP              string           `json:"ip,omitempty"`
	TransactionType string           `json:"transaction_type"`
	Timestamp       int64            `json:"timestamp"` // milliseconds since 1970
	UserDefined     feedzaiUserWords `json:"user_defined"`
}

// feedzaiUserWords are members that the API leaves to who asks.
type feedzaiUserWords struct {
	SessionID string `json:"session_id,omitempty"`
	Country   string `json:"ip_country,omitempty"`
	ASN       uint32 `json:"ip_asn,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

func (z feedzai) question(f Facts) (request, error) {
	q := feedzaiQuestion{
		ID: f.Reference, UserID: f.Subject, TransactionType: "login", Timestamp: f.At.UnixMilli(),
		UserDefined: feedzaiUserWords{SessionID: f.SessionID, Country: f.Country, ASN: f.ASN, UserAgent: clean(f.UserAgent, 255)},
	}
	if f.Event == Registration {
		q.TransactionType = "account_creation"
	}
	if f.Address.IsValid() {
		q.IP = f.Address.Unmap().WithZone("").String()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return request{}, fmt.Errorf("encode question: %w", err)
	}
	return request{path: "/v1/payments", header: http.Header{"Authorization": {"Bearer " + z.token}}, body: body}, nil
}

// feedzaiScore is the score, with the parts that it is made of.
type feedzaiScore struct {
	ID          string          `json:"id"`
	Score       number          `json:"score"`
	LikelyFraud bool            `json:"likelyFraud"`
	Explanation json.RawMessage `json:"explanation"`
}

// answer takes the score as the answer, and within its member explanation, as clients of the API have met it.
func (z feedzai) answer(body []byte) (Score, error) {
	malformed := &ScoreError{Malformed, "the risk provider's answer is no JSON of the form that Feedzai has"}
	var a feedzaiScore
	if err := json.Unmarshal(body, &a); err != nil {
		return Score{}, malformed
	}
	if !a.Score.given {
		var inner feedzaiScore
		if err := json.Unmarshal(a.Explanation, &inner); err != nil {
			return Score{}, malformed
		}
		a = inner
	}
	if worst := float64(z.config.WorstScore()); !a.Score.given || a.Score.value < 0 || a.Score.value > worst {
		return Score{}, &ScoreError{Malformed, fmt.Sprintf("Feedzai's answer lacks a score of 0 to %.0f", worst)}
	}
	var parts []struct {
		Description string `json:"description"`
	}
	if len(a.Explanation) > 0 && json.Unmarshal(a.Explanation, &parts) != nil {
		return Score{}, malformed
	}
	s := Score{Risk: int(math.Round(a.Score.value / float64(z.config.WorstScore()) * 100)), Reference: clean(a.ID, maxReference)}
	if a.LikelyFraud {
		s.Reasons = append(s.Reasons, "likelyFraud")
	}
	for _, p := range parts {
		s.Reasons = append(s.Reasons, p.Description)
	}
	s.Reasons = cleanReasons(s.Reasons)
	return s, nil
}
