package governance

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const head = "table users: who signs in | kept until erased | erased deleted\n"
	fields, err := parse("# words\n\n" + head + "  id state  internal\n  name  personal  what they are called | sealed sealed | kept a year | erased kept: the law\n" +
		"place redis refused evidence: internal a count | kept a day | erased expires\n")
	want := []Field{
		{Postgres, "users", "who signs in", "id", Internal, "who signs in", "plain", "until erased", Deleted, ""},
		{Postgres, "users", "who signs in", "state", Internal, "who signs in", "plain", "until erased", Deleted, ""},
		{Postgres, "users", "who signs in", "name", Personal, "what they are called", "sealed", "a year", Kept, "the law"},
		{Redis, "", "", "refused evidence", Internal, "a count", "plain", "a day", Expires, ""},
	}
	if err != nil || len(fields) != len(want) {
		t.Fatalf("parse = %+v, %v", fields, err)
	}
	for i := range want {
		if fields[i] != want[i] {
			t.Errorf("field %d = %+v, want %+v", i, fields[i], want[i])
		}
	}
	if got := fields[2].Path() + " " + fields[3].Path(); got != "users.name redis/refused evidence" {
		t.Errorf("paths = %s", got)
	}

	for name, text := range map[string]string{
		"a column without a class":  head + "  id\n",
		"a class that there is not": head + "  id secret\n",
		"a column twice":            head + "  id internal\n  id public\n",
		"a place without a class":   "place redis x: unknown words | kept a day | erased none\n",
		"kept, and nobody says why": head + "  id internal words | erased kept\n",
		"a reason for nothing":      head + "  id internal words | erased deleted: why\n",
		"no word on erasure":        "table users: x | kept a day\n  id internal\n",
		"no word on how long":       "table users: x | erased none\n  id internal\n",
		"a member that is unknown":  head + "  id internal words | color red\n",
		"neither":                   "column id\n",
		"a store that there is not": "place paper x: internal words | kept a day | erased none\n",
	} {
		if _, err := parse(text); err == nil {
			t.Errorf("%s is taken: %s", name, strings.TrimSpace(text))
		}
	}
}
