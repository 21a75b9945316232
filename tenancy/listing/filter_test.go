package listing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/biocore-id/biocore/tenancy/listing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter string
		want   []listing.Term
	}{
		{"empty", "", nil},
		{"space alone", " \t\n", nil},
		{"bare literal", "state = ACTIVE", []listing.Term{{"state", listing.Equal, "ACTIVE"}}},
		{"no spaces", "state!=ACTIVE", []listing.Term{{"state", listing.NotEqual, "ACTIVE"}}},
		{"bare time", "createdAt>=2030-01-02T03:04:05Z", []listing.Term{{"createdAt", listing.GreaterEqual, "2030-01-02T03:04:05Z"}}},
		{"quoted time with offset", `createdAt < "2030-01-02T03:04:05+01:00"`, []listing.Term{{"createdAt", listing.Less, "2030-01-02T03:04:05+01:00"}}},
		{"single quotes", `externalId = 'it"s'`, []listing.Term{{"externalId", listing.Equal, `it"s`}}},
		{"escapes", `externalId = "a\"b\\c\'d"`, []listing.Term{{"externalId", listing.Equal, `a"b\c'd`}}},
		{"operators inside quotes", `externalId = "a AND b = c"`, []listing.Term{{"externalId", listing.Equal, "a AND b = c"}}},
		{"empty quotes", `externalId = ""`, []listing.Term{{"externalId", listing.Equal, ""}}},
		{"three", ` externalId = "x"  AND state = ACTIVE AND createdAt <= 2030-01-01T00:00:00Z `, []listing.Term{
			{"externalId", listing.Equal, "x"}, {"state", listing.Equal, "ACTIVE"},
			{"createdAt", listing.LessEqual, "2030-01-01T00:00:00Z"},
		}},
		{"a field called AND", "AND > 1", []listing.Term{{"AND", listing.Greater, "1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := listing.Parse(tt.filter)
			if err != nil {
				t.Fatalf("Parse error = %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, filter string }{
		{"no operator", "state"},
		{"no literal", "state ="},
		{"no field", "= ACTIVE"},
		{"unknown operator", "state ~ ACTIVE"},
		{"has", "externalId:x"},
		{"OR", "state = ACTIVE OR state = BLOCKED"},
		{"NOT", "NOT state = ACTIVE"},
		{"minus", "-state = ACTIVE"},
		{"parentheses", "(state = ACTIVE)"},
		{"words beside each other", "state = ACTIVE externalId = x"},
		{"lower case and", "state = ACTIVE and externalId = x"},
		{"AND without a comparison", "state = ACTIVE AND"},
		{"AND without space", `externalId = "x"AND state = ACTIVE`},
		{"dotted field", "a.b = 1"},
		{"open quote", `externalId = "x`},
		{"open escape", `externalId = "x\`},
		{"unknown escape", `externalId = "\n"`},
		{"not UTF-8", "externalId = \"\xff\""},
		{"too long", "externalId = " + strings.Repeat("x", 1024)},
		{"too many", strings.Repeat("a = 1 AND ", 16) + "a = 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := listing.Parse(tt.filter); !errors.Is(err, listing.ErrFilter) {
				t.Errorf("Parse = %v, %v, want %v", got, err, listing.ErrFilter)
			}
		})
	}
}

// What Parse accepts means the same when it is printed again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "state = ACTIVE", `externalId = "a\"b\\c"`, "a=1 AND b!=2 AND c<'3' AND d>=2030-01-02T03:04:05Z", `a = "`, "a = b OR c = d",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, filter string) {
		terms, err := listing.Parse(filter)
		if err != nil {
			return
		}
		escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
		parts := make([]string, len(terms))
		for i, term := range terms {
			parts[i] = term.Field + " " + string(term.Op) + ` "` + escape.Replace(term.Literal) + `"`
		}
		printed := strings.Join(parts, " AND ")
		if len(printed) > 1024 { // printing quotes what was bare
			return
		}
		again, err := listing.Parse(printed)
		if err != nil {
			t.Fatalf("Parse(%q) error = %v", printed, err)
		}
		if diff := cmp.Diff(terms, again); diff != "" {
			t.Errorf("Parse(%q) (-first +again):\n%s", printed, diff)
		}
	})
}

// A stored time has Postgres's grain; the comparison asked for may lie between two.
func TestSpan(t *testing.T) {
	stored := time.Date(2030, 1, 2, 3, 4, 5, 7000, time.UTC) // .000007
	for _, tt := range []struct {
		filter string
		want   bool // whether stored is within
	}{
		{"createdAt = 2030-01-02T03:04:05.000007Z", true},
		{"createdAt = 2030-01-02T04:04:05.000007+01:00", true},
		{"createdAt = 2030-01-02T03:04:05.0000071Z", false},
		{"createdAt > 2030-01-02T03:04:05.000007Z", false},
		{"createdAt > 2030-01-02T03:04:05.0000069Z", true},
		{"createdAt >= 2030-01-02T03:04:05.000007Z", true},
		{"createdAt >= 2030-01-02T03:04:05.0000071Z", false},
		{"createdAt < 2030-01-02T03:04:05.000007Z", false},
		{"createdAt < 2030-01-02T03:04:05.0000071Z", true},
		{"createdAt <= 2030-01-02T03:04:05.000007Z", true},
		{"createdAt <= 2030-01-02T03:04:05.0000069Z", false},
		{"createdAt > 2029-01-01T00:00:00Z AND createdAt < 2031-01-01T00:00:00Z", true},
		{"createdAt > 2029-01-01T00:00:00Z AND createdAt > 2031-01-01T00:00:00Z", false},
		{"createdAt < 2031-01-01T00:00:00Z AND createdAt < 2029-01-01T00:00:00Z", false},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			var s listing.Span
			for _, term := range parse(t, tt.filter) {
				if err := s.Narrow(term); err != nil {
					t.Fatalf("Narrow error = %v", err)
				}
			}
			got := (s.From == nil || !stored.Before(*s.From)) && (s.Before == nil || stored.Before(*s.Before))
			if got != tt.want {
				t.Errorf("%v to %v: stored time within = %t, want %t", s.From, s.Before, got, tt.want)
			}
		})
	}
	var s listing.Span
	for _, filter := range []string{"createdAt != 2030-01-02T03:04:05Z", "createdAt > yesterday", "createdAt > 2030-01-02"} {
		if err := s.Narrow(parse(t, filter)[0]); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("Narrow(%s) = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}

func TestChoice(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"", []string{"A", "B", "C"}},
		{"state = B", []string{"B"}},
		{"state != B", []string{"A", "C"}},
		{"state != A AND state != C", []string{"B"}},
		{"state = A AND state = B", []string{}},
	} {
		t.Run(tt.filter, func(t *testing.T) {
			c := listing.NewChoice("A", "B", "C")
			for _, term := range parse(t, tt.filter) {
				if err := c.Narrow(term); err != nil {
					t.Fatalf("Narrow error = %v", err)
				}
			}
			if diff := cmp.Diff(tt.want, c.Left()); diff != "" {
				t.Errorf("Left (-want +got):\n%s", diff)
			}
		})
	}
	c := listing.NewChoice("A", "B", "C")
	for _, filter := range []string{"state = D", "state > A", "state = a"} {
		if err := c.Narrow(parse(t, filter)[0]); !errors.Is(err, listing.ErrFilter) {
			t.Errorf("Narrow(%s) = %v, want %v", filter, err, listing.ErrFilter)
		}
	}
}

func TestExact(t *testing.T) {
	var e listing.Exact
	for _, term := range parse(t, `id = x AND id = "x"`) {
		if err := e.Narrow(term); err != nil {
			t.Fatalf("Narrow error = %v", err)
		}
	}
	if !e.Set || e.Conflict || e.Value != "x" {
		t.Errorf("the same value twice = %+v, want x without conflict", e)
	}
	if err := e.Narrow(parse(t, "id = y")[0]); err != nil || !e.Conflict {
		t.Errorf("another value = %+v, %v, want a conflict", e, err)
	}
	if err := e.Narrow(parse(t, "id = x")[0]); err != nil || !e.Conflict {
		t.Errorf("the first value again = %+v, %v, want the conflict to stay", e, err)
	}
	if err := e.Narrow(parse(t, "id != x")[0]); !errors.Is(err, listing.ErrFilter) {
		t.Errorf("Narrow(!=) = %v, want %v", err, listing.ErrFilter)
	}
}

func parse(t *testing.T, filter string) []listing.Term {
	t.Helper()
	terms, err := listing.Parse(filter)
	if err != nil {
		t.Fatalf("Parse(%s) error = %v", filter, err)
	}
	return terms
}
