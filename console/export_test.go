package console

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// pages is a list of two pages, with names that people have given themselves.
var pages = exported{
	Name: "users", Columns: []string{"id", "name"},
	Next: func(token string) ([][]string, string, error) {
		if token == "" {
			return [][]string{{"1", "=HYPERLINK(\"http://evil\")"}, {"2", "+1"}}, "more", nil
		}
		return [][]string{{"3", "-1"}, {"4", "@SUM(A1)"}, {"5", "\tx"}, {"6", "＝1"}, {"7", "Zoë, \"the\" <b>"}, {"8", ""}}, "", nil
	},
}

func TestExport(t *testing.T) {
	c := &Console{log: slog.New(slog.DiscardHandler)}
	t.Run("CSV holds no formulas", func(t *testing.T) {
		w := httptest.NewRecorder()
		c.export(w, httptest.NewRequest(http.MethodGet, "/x", nil), nil, pages)
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) != 9 || rows[0][1] != "name" {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, row := range rows[1:7] {
			if !strings.HasPrefix(row[1], "'") {
				t.Errorf("cell %q is a formula", row[1])
			}
		}
		if rows[7][1] != `Zoë, "the" <b>` {
			t.Errorf("cell %q was changed", rows[7][1])
		}
	})
	t.Run("JSON holds what is there", func(t *testing.T) {
		w := httptest.NewRecorder()
		c.export(w, httptest.NewRequest(http.MethodGet, "/x?format=json", nil), nil, pages)
		var rows []map[string]string
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) != 8 || rows[1]["name"] != "+1" {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		w = httptest.NewRecorder()
		c.export(w, httptest.NewRequest(http.MethodGet, "/x?format=json", nil), nil, exported{Next: func(string) ([][]string, string, error) { return nil, "", nil }})
		if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) != 0 {
			t.Errorf("an empty list is %q", w.Body)
		}
	})
	t.Run("a file that could not be ended is not whole", func(t *testing.T) {
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // it is what panics
				t.Error("the answer ended as if it were whole")
			}
		}()
		broken := pages
		broken.Next = func(token string) ([][]string, string, error) {
			if token == "" {
				return [][]string{{"1", "a"}}, "more", nil
			}
			return nil, "", errors.New("gone")
		}
		c.export(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", nil), nil, broken)
	})
}
