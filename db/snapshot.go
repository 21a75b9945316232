package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/biocore-id/biocore/db/tenantq"
	"github.com/biocore-id/biocore/tenancy/scope"
)

// beginSnapshot lets the transaction idle for longer than others may: what is read goes to
// object storage meanwhile, which may take its time.
const beginSnapshot = "begin read only isolation level repeatable read; SET LOCAL idle_in_transaction_session_timeout = '2min'"

// Snapshot runs fn in a transaction that only reads sc's tenant, and that sees all of it as
// it is at its first statement, whatever is written meanwhile. It is for one long reading
// (an export): while it lasts, vacuum removes no row that it might see, so the caller bounds
// it. fn runs once. Errors: fn's own; ErrScope, also for support; ErrOverloaded; ErrUnavailable.
func (s *Store) Snapshot(ctx context.Context, sc scope.Scope, fn func(*TenantTx) error) error {
	if sc.IsZero() || sc.IsSupport() {
		return ErrScope
	}
	if err := s.admission.enter(ctx, sc.Tenant()); err != nil {
		return err
	}
	defer s.admission.leave(sc.Tenant())
	return begin(ctx, s.app, beginSnapshot, sc.Tenant(), func(tx pgx.Tx) error {
		return fn(&TenantTx{Queries: tenantq.New(tx), tx: tx, scope: sc, now: s.Now()})
	})
}

// Table says what is read of a tenant's table: names as the schema has them, which are
// constants of the caller's code and never input.
type Table struct {
	Name    string
	Key     []string // what its rows are ordered and told apart by within the tenant; none: it has one row at most
	Columns []string
	Where   string // a condition that rows must meet, in which $1, $2 … are Args; empty: all
	Args    []any
}

// Page returns up to limit rows of t behind the row with the key after (nil: from the
// first), each with the values of the columns and then those of the key, as pgx reads them.
func (tx *TenantTx) Page(ctx context.Context, t Table, after []any, limit int) ([][]any, error) {
	rows, err := tx.tx.Query(ctx, t.page(after != nil), append(slices.Concat(t.Args, after), limit)...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.Name, err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", t.Name, err)
	}
	return page, nil
}

// page is the query of a page. No value stands in it.
func (t Table) page(follows bool) string {
	var conditions []string
	if t.Where != "" {
		conditions = append(conditions, t.Where)
	}
	n := len(t.Args)
	if follows {
		parameters := make([]string, len(t.Key))
		for i := range t.Key {
			n++
			parameters[i] = "$" + strconv.Itoa(n)
		}
		conditions = append(conditions, "("+strings.Join(t.Key, ", ")+") > ("+strings.Join(parameters, ", ")+")")
	}
	sql := "SELECT " + strings.Join(append(slices.Clip(t.Columns), t.Key...), ", ") + " FROM public." + t.Name
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	if len(t.Key) > 0 {
		sql += " ORDER BY " + strings.Join(t.Key, ", ")
	}
	return sql + " LIMIT $" + strconv.Itoa(n+1)
}
