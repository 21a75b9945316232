package console

import (
	"encoding/csv"
	"encoding/json"
	"net/http"

	"github.com/biocore-id/biocore/tenancy/spreadsheet"
)

// maxExported bounds an export from a page, in rows: whoever needs more has the API, which
// reads on where it was left.
const maxExported = 50_000

// exported is a list that goes out as a file, a page at a time, so that a long one is never
// held whole.
type exported struct {
	Name    string // of the file, without its suffix
	Columns []string
	// Next returns the rows of the page that begins after a token (empty: the first), and
	// the token of the page after (empty: none). Each row has a cell for each column.
	Next func(token string) (rows [][]string, next string, err error)
}

// export writes e as CSV or JSON, as the parameter format says.
func (c *Console) export(w http.ResponseWriter, r *http.Request, v *visit, e exported) {
	// What fails on the first page is told on a page; later there is no way to tell but to end.
	rows, next, err := e.Next("")
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	var write func([]string) error
	var end func() error
	if r.URL.Query().Get("format") == "json" {
		write, end = jsonRows(w, e)
	} else {
		write, end = csvRows(w, e)
	}
	for n := 0; ; {
		for _, row := range rows {
			if n++; n > maxExported {
				next = ""
				break
			}
			if err := write(row); err != nil {
				c.unwritten(r, err)
				return
			}
		}
		if next == "" {
			break
		}
		if rows, next, err = e.Next(next); err != nil {
			c.logFailure(r, http.StatusInternalServerError, err)
			panic(http.ErrAbortHandler) // the reader must see that the file is not whole
		}
	}
	if err := end(); err != nil {
		c.unwritten(r, err)
	}
}

func attachment(w http.ResponseWriter, kind, name string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

func csvRows(w http.ResponseWriter, e exported) (write func([]string) error, end func() error) {
	attachment(w, "text/csv; charset=utf-8", e.Name+".csv")
	out := csv.NewWriter(w)
	head := out.Write(e.Columns)
	write = func(row []string) error {
		if head != nil {
			return head
		}
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = spreadsheet.Inert(cell)
		}
		return out.Write(cells)
	}
	return write, func() error {
		out.Flush()
		return out.Error()
	}
}

func jsonRows(w http.ResponseWriter, e exported) (write func([]string) error, end func() error) {
	attachment(w, "application/json; charset=utf-8", e.Name+".json")
	before := "[\n"
	write = func(row []string) error {
		line := []byte(before + "{")
		for i, cell := range row {
			if i > 0 {
				line = append(line, ',')
			}
			name, err := json.Marshal(e.Columns[i])
			if err != nil {
				return err
			}
			value, err := json.Marshal(cell)
			if err != nil {
				return err
			}
			line = append(append(append(line, name...), ':'), value...)
		}
		before = ",\n"
		_, err := w.Write(append(line, '}'))
		return err
	}
	return write, func() error {
		tail := "\n]\n"
		if before == "[\n" {
			tail = "[]\n"
		}
		_, err := w.Write([]byte(tail))
		return err
	}
}
