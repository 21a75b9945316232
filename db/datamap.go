package db

import (
	"context"
	_ "embed"
	"fmt"
)

// DataMap says of every column, and of what else is stored, what it is and what becomes of it: its text
// is for package tenancy/governance to read. A new column goes into it with its migration.
//
//go:embed datamap.txt
var DataMap string

// Columns are the columns of all tables but partitions, which have their parents', as table.column; of another
// schema than public as schema.table.column. Whoever may connect may ask.
func (s *Store) Columns(ctx context.Context) ([]string, error) {
	rows, err := s.control.Query(ctx, `SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname || '.' || a.attname
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND `+ours+`
		ORDER BY n.nspname, c.relname, a.attnum`)
	if err != nil {
		return nil, classify(fmt.Errorf("list columns: %w", err))
	}
	defer rows.Close()
	var columns []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, fmt.Errorf("list columns: %w", err)
		}
		columns = append(columns, one)
	}
	if err := rows.Err(); err != nil {
		return nil, classify(fmt.Errorf("list columns: %w", err))
	}
	return columns, nil
}
