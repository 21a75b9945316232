package db

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/biocore-id/biocore/tenancy/scope"
)

// WallTable is how one table keeps tenants apart, for somebody who was not there when it was made.
type WallTable struct {
	Name     string // schema.name
	Walled   bool
	Reason   string // why it is not walled; empty for one that is
	Policies []WallPolicy
}

// WallPolicy is a policy of row-level security, as Postgres would write it.
type WallPolicy struct {
	Name        string
	Restrictive bool   // it takes away from what others let through
	Command     string // ALL, SELECT, INSERT, UPDATE, DELETE
	Roles       []string
	Using       string // which rows are there; empty: no condition of its own
	Check       string // which rows may be written; empty: as Using
	Reason      string // why there is more than the tenant's own policy; empty for that one
}

// WallProbe is what a role sees without any WHERE.
type WallProbe struct {
	Role   string
	Tenant ProbedTenant
	Tables int      // that were asked: every walled one that the role may read
	Seen   []string // those in which it saw a row
}

// ProbedTenant is as whom a probe looks.
type ProbedTenant string

// As whom. Only the platform's own tenant has rows: a probe as it shows that the question finds some.
const (
	AsNobody   ProbedTenant = "nobody"   // a tenant id that was never given out
	AsNone     ProbedTenant = "none"     // no tenant at all
	AsPlatform ProbedTenant = "platform" // the reserved tenant of the console's people
)

// Holds reports whether a probe saw what it should.
func (p *WallProbe) Holds() bool {
	if p.Tenant == AsPlatform {
		return len(p.Seen) > 0
	}
	return len(p.Seen) == 0
}

// WallReport is the tenant wall of a database, as it was found at one moment.
type WallReport struct {
	Server string // Postgres's version
	Schema int64  // the last migration
	Checks []WallCheck
	Tables []WallTable
	Probes []WallProbe
}

// Holds reports whether nothing was found.
func (r *WallReport) Holds() bool {
	return !slices.ContainsFunc(r.Checks, func(c WallCheck) bool { return len(c.Findings) > 0 }) &&
		!slices.ContainsFunc(r.Probes, func(p WallProbe) bool { return !p.Holds() })
}

// ReportWall walks the catalog, tells of each table how it is walled, and looks at every walled table by the
// roles that serve tenants. It reads, and locks nothing that writers wait for.
func (s *Store) ReportWall(ctx context.Context) (WallReport, error) {
	var out WallReport
	if err := s.control.QueryRow(ctx, `SELECT current_setting('server_version'), (SELECT max(version_id) FROM goose_db_version WHERE is_applied)`).
		Scan(&out.Server, &out.Schema); err != nil {
		return out, classify(fmt.Errorf("look around: %w", err))
	}
	var err error
	if out.Checks, err = s.WalkWall(ctx); err != nil {
		return out, err
	}
	if out.Tables, err = s.wallTables(ctx); err != nil {
		return out, err
	}
	nobody, err := uuid.NewRandom()
	if err != nil {
		return out, fmt.Errorf("mint a tenant id: %w", err)
	}
	for _, role := range []struct {
		name string
		pool *pgxpool.Pool
	}{{"bc_app", s.app}, {"bc_writer", s.writer}, {"bc_support", s.support}} {
		for _, as := range []struct {
			who ProbedTenant
			id  string
		}{{AsNobody, nobody.String()}, {AsNone, ""}, {AsPlatform, scope.PlatformTenant.String()}} {
			if role.name != "bc_app" && as.who == AsPlatform {
				continue // bc_writer reads two tables, which may be empty, and bc_support nothing without a grant
			}
			probe, err := probeWall(ctx, role.pool, as.id)
			if err != nil {
				return out, classify(fmt.Errorf("look as %s: %w", role.name, err))
			}
			probe.Role, probe.Tenant = role.name, as.who
			out.Probes = append(out.Probes, probe)
		}
	}
	return out, nil
}

// wallTables are all tables but partitions, by name.
func (s *Store) wallTables(ctx context.Context) ([]WallTable, error) {
	rows, err := s.control.Query(ctx, `SELECT n.nspname || '.' || c.relname, coalesce(p.polname, ''), NOT coalesce(p.polpermissive, true), coalesce(p.polcmd::text, ''),
			coalesce((SELECT array_agg(r.rolname::text ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)), '{}'),
			coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_policy p ON p.polrelid = c.oid
		WHERE c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND `+ours+` ORDER BY 1, p.polname <> 'tenant_isolation', 2`)
	if err != nil {
		return nil, classify(fmt.Errorf("list tables: %w", err))
	}
	var out []WallTable
	var table, command string
	var p WallPolicy
	if _, err := pgx.ForEachRow(rows, []any{&table, &p.Name, &p.Restrictive, &command, &p.Roles, &p.Using, &p.Check}, func() error {
		if len(out) == 0 || out[len(out)-1].Name != table {
			out = append(out, WallTable{Name: table, Walled: !isPlatform(table), Reason: platformTables[table]})
		}
		if p.Name == "" {
			return nil
		}
		p.Command, p.Reason = policyCommands[command], policyReason(table, p.Name)
		if len(p.Roles) == 0 {
			p.Roles = []string{"PUBLIC"}
		}
		last := &out[len(out)-1]
		last.Policies = append(last.Policies, p)
		p.Roles = nil // the next row has its own
		return nil
	}); err != nil {
		return nil, classify(fmt.Errorf("list tables: %w", err))
	}
	return out, nil
}

// policyCommands are pg_policy's letters.
var policyCommands = map[string]string{"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}

// policyReason is why a table has a policy beside the tenant's own.
func policyReason(table, policy string) string {
	switch {
	case policy == "tenant_isolation":
		return ""
	case policy == "owner_backfill":
		return "migrations fill new columns; no server logs in as " + RoleOwner
	case policy == "support_view":
		return "staff whom the tenant has let in look, while the grant runs"
	case supportPolicies[table+" "+policy] != "":
		return "staff whom the tenant has let in act, while the grant runs"
	}
	return extraPolicies[table+" "+policy]
}

// probeWall asks every walled table that the pool's role may read whether it has any row for who is in the
// tenant; an empty id: in none.
func probeWall(ctx context.Context, pool *pgxpool.Pool, tenant string) (probe WallProbe, err error) {
	err = pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		probe = WallProbe{}
		rows, err := tx.Query(ctx, `SELECT n.nspname || '.' || c.relname, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') AND `+ours+` ORDER BY 1`)
		if err != nil {
			return fmt.Errorf("list tables: %w", err)
		}
		var asks []string
		var name, quoted string
		if _, err := pgx.ForEachRow(rows, []any{&name, &quoted}, func() error {
			if isPlatform(name) {
				return nil
			}
			asks = append(asks, "SELECT '"+name+"' WHERE EXISTS (SELECT FROM "+quoted+")") // names of ours: no quotes in them
			return nil
		}); err != nil {
			return fmt.Errorf("list tables: %w", err)
		}
		probe.Tables = len(asks)
		if _, err := tx.Exec(ctx, "SELECT set_config('app.tenant_id', $1, true)", tenant); err != nil {
			return fmt.Errorf("be the tenant: %w", err)
		}
		rows, err = tx.Query(ctx, strings.Join(asks, " UNION ALL "))
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
		probe.Seen, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return probe, err
}
