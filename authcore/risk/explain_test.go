package risk_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk"
)

// What is recorded of a decision is explained as it was when it was made, whatever weights there were; of another version of the
// signals, or of signals that are gone, the points are told and no reason is made up.
func TestExplain(t *testing.T) {
	rules := parse(t, `{"mode":"SHADOW","weights":{"NEW_DEVICE":33,"DORMANT":0,"NEW_NETWORK":33},"callerWeights":{"bot":10,"load":33}}`)
	facts := risk.Facts{
		Model: "ee882879-721c-4913-9775-3dfcce97072a", Known: true, NewDevice: true, NewCountry: true, Country: "JP", PreviousCountry: "DE", DistanceKm: 8000, PreviousSeconds: 7200, NewNetwork: true, ASN: 64500,
		SignIns: 12, CredentialAge: 3, UserAttempts: 9, AddressAttempts: 90, UserAddresses: 7, AddressUsers: 60, UserFailures: 4, AddressFailures: 30, CountJump: -2,
		Hour: 3, Networks: []string{"tor", "hosting"}, Adverse: true, Provider: "Feedzai", ProviderScore: 60,
		Caller: risk.Values{{Name: "bot", Kind: risk.IsBool, Yes: true}, {Name: "load", Number: 1}},
	}
	d := risk.Decide(rules, &facts)
	if len(d.Signals) < 18 {
		t.Fatalf("only %d signals count", len(d.Signals))
	}
	row := risk.AppendMember([]byte(`{"origin":"https://login.example"}`), 7, &facts, &d)
	r, ok, err := risk.ParseRecorded(row)
	if err != nil || !ok {
		t.Fatalf("%t, %v", ok, err)
	}
	if got := risk.Explain(&r); !reflect.DeepEqual(got, d.Signals) {
		t.Errorf("explained:\n%+v\nas decided:\n%+v", got, d.Signals)
	}

	r.Version = risk.Version + 1
	for _, s := range risk.Explain(&r) {
		if s.Reason != "" || s.Points != r.Signals[s.Code] {
			t.Errorf("of a version that is not known: %+v", s)
		}
	}
	var old risk.Recorded
	if err := json.Unmarshal([]byte(`{"version":1,"signals":{"GONE":9,"NEW_DEVICE":20}}`), &old); err != nil {
		t.Fatal(err)
	}
	if got := risk.Explain(&old); len(got) != 2 || got[0].Code != "NEW_DEVICE" || got[0].Reason == "" || got[1] != (risk.Signal{Code: "GONE", Points: 9}) {
		t.Errorf("with a signal that is gone: %+v", got)
	}
}
