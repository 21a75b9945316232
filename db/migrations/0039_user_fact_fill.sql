-- +goose NO TRANSACTION
-- +goose Up
-- The facts of users from before, and indexes for lists of all of a tenant's credentials. Made
-- while everybody goes on; see 0017. Neither indexed column ever changes, so that sign-ins
-- go on updating rows in place.
INSERT INTO user_facts (tenant_id, user_id, state, created_at, passkeys, last_sign_in_at)
SELECT u.tenant_id, u.id, u.state, u.created_at, COALESCE(c.passkeys, 0), COALESCE(c.last_used_at, 'epoch')
FROM users u LEFT JOIN (
  SELECT tenant_id, user_id, (count(*) FILTER (WHERE state = 'ACTIVE'))::integer AS passkeys, max(last_used_at) AS last_used_at
  FROM credentials GROUP BY tenant_id, user_id
) c ON c.tenant_id = u.tenant_id AND c.user_id = u.id
ON CONFLICT (tenant_id, user_id) DO NOTHING;
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS users_termless;
CREATE INDEX CONCURRENTLY users_termless ON users (tenant_id, id) WHERE terms IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS credentials_created;
CREATE INDEX CONCURRENTLY credentials_created ON credentials (tenant_id, created_at, id);
DROP INDEX CONCURRENTLY IF EXISTS credentials_model_created;
CREATE INDEX CONCURRENTLY credentials_model_created ON credentials (tenant_id, aaguid, created_at, id);
RESET lock_timeout;
