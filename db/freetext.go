package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// TextTable is a table of tenants' rows that has columns of text which a tenant's own transactions may read.
type TextTable struct {
	Name    string
	Columns []string // text, lists of texts, and JSON

	keys, types []string // of the primary key, less the tenant
}

// TextRow is the text of one row.
type TextRow struct {
	Key   []string // of the row, in the order of its primary key, less the tenant; none where a tenant has one row
	Texts []string // as TextTable.Columns: lists and JSON as Postgres writes them, no more than 64 KiB; empty for NULL
}

// TextTables returns them all, by name, as the catalog has them, so that a table of a later migration is among them.
func (tx *TenantTx) TextTables(ctx context.Context) ([]TextTable, error) {
	rows, err := tx.tx.Query(ctx, `SELECT c.relname,
		  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		    AND a.atttypid IN ('text'::regtype, 'text[]'::regtype, 'json'::regtype, 'jsonb'::regtype) AND has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum),
		  ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (n, o) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE a.attname <> 'tenant_id' ORDER BY k.o),
		  ARRAY(SELECT format_type(a.atttypid, a.atttypmod) FROM unnest(x.indkey::int2[]) WITH ORDINALITY k (n, o) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE a.attname <> 'tenant_id' ORDER BY k.o)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index x ON x.indrelid = c.oid AND x.indisprimary
		WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		  AND (c.relname = 'tenants' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
		ORDER BY c.relname`)
	if err != nil {
		return nil, fmt.Errorf("list tables with text: %w", err)
	}
	defer rows.Close()
	var tables []TextTable
	for rows.Next() {
		var t TextTable
		if err := rows.Scan(&t.Name, &t.Columns, &t.keys, &t.types); err != nil {
			return nil, fmt.Errorf("list tables with text: %w", err)
		}
		if len(t.Columns) > 0 {
			tables = append(tables, t)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list tables with text: %w", err)
	}
	return tables, nil
}

// ReadText returns up to limit rows of t behind the one with the key after, or the first ones for nil. Fewer than limit
// are the last. Index: the table's primary key.
func (tx *TenantTx) ReadText(ctx context.Context, t TextTable, after []string, limit int) ([]TextRow, error) {
	if after != nil && len(t.keys) == 0 {
		return nil, nil
	}
	if after != nil && len(after) != len(t.keys) {
		return nil, fmt.Errorf("read text of %s: the key has %d parts, not %d", t.Name, len(t.keys), len(after))
	}
	var fields, keys, bounds []string
	var args []any
	for i, k := range t.keys {
		name := pgx.Identifier{k}.Sanitize()
		keys = append(keys, name)
		fields = append(fields, name+"::text")
		bounds = append(bounds, "$"+strconv.Itoa(i+1)+"::text::"+t.types[i])
	}
	for _, c := range t.Columns {
		fields = append(fields, "left("+pgx.Identifier{c}.Sanitize()+"::text, 65536)")
	}
	query := "SELECT " + strings.Join(fields, ", ") + " FROM " + pgx.Identifier{"public", t.Name}.Sanitize()
	if after != nil {
		query += " WHERE (" + strings.Join(keys, ", ") + ") > (" + strings.Join(bounds, ", ") + ")"
		for _, part := range after {
			args = append(args, part)
		}
	}
	if len(keys) > 0 {
		query += " ORDER BY " + strings.Join(keys, ", ")
	}
	rows, err := tx.tx.Query(ctx, query+" LIMIT "+strconv.Itoa(limit), args...)
	if err != nil {
		return nil, fmt.Errorf("read text of %s: %w", t.Name, err)
	}
	defer rows.Close()
	var out []TextRow
	for rows.Next() {
		cells := make([]*string, len(fields))
		into := make([]any, len(fields))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read text of %s: %w", t.Name, err)
		}
		var r TextRow
		for i, cell := range cells {
			text := ""
			if cell != nil {
				text = *cell
			}
			if i < len(keys) {
				r.Key = append(r.Key, text)
			} else {
				r.Texts = append(r.Texts, text)
			}
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read text of %s: %w", t.Name, err)
	}
	return out, nil
}
