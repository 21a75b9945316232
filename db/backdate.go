package db

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// backdate moves what SQL has dated by the database's clock to where the ceremonies lie that it came of:
// a session has its ceremony's id. What is counted of a day follows.
var backdate = []string{
	`UPDATE sessions s SET created_at = c.at, last_used_at = c.at, expires_at = c.at + (s.expires_at - s.created_at)
	 FROM ceremonies c WHERE c.tenant_id = $1 AND s.tenant_id = $1 AND c.id = s.id`,
	`UPDATE credentials k SET last_used_at = c.last FROM (SELECT credential_id, max(at) AS last FROM ceremonies
	 WHERE tenant_id = $1 AND kind = 'AUTHENTICATION' AND outcome = 'ALLOW' GROUP BY 1) c WHERE k.tenant_id = $1 AND k.id = c.credential_id`,
	`UPDATE user_facts f SET last_sign_in_at = s.last FROM (SELECT user_id, max(created_at) AS last FROM sessions WHERE tenant_id = $1 GROUP BY 1) s
	 WHERE f.tenant_id = $1 AND f.user_id = s.user_id`,
	`DELETE FROM active_users WHERE tenant_id = $1`,
	`INSERT INTO active_users (tenant_id, month, user_id)
	 SELECT DISTINCT tenant_id, date_trunc('month', created_at AT TIME ZONE 'UTC')::date, user_id FROM sessions WHERE tenant_id = $1`,
	`UPDATE usage_days d SET monthly_active_users = (SELECT count(DISTINCT s.user_id) FROM sessions s WHERE s.tenant_id = $1
	   AND s.created_at >= date_trunc('month', d.day) AT TIME ZONE 'UTC' AND s.created_at < (d.day + 1)::timestamp AT TIME ZONE 'UTC')
	 WHERE d.tenant_id = $1`,
}

// Backdate finishes a past that a tenant has lived through on a clock of its own, as demo data does: what Postgres dates
// by itself (sessions, last uses) would all be of the minute in which it was written. It acts as bc_owner, in one transaction.
func Backdate(ctx context.Context, migratorURL string, tenant uuid.UUID) error {
	cfg, err := ownerConfig(migratorURL)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return classify(err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	return classify(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range backdate {
			if _, err := tx.Exec(ctx, sql, tenant); err != nil {
				return fmt.Errorf("backdate: %w", err)
			}
		}
		return nil
	}))
}
