-- +goose Up
-- The end of a tenant, and what it uses: ADR 0039, docs/tenants.md, docs/usage.md.
SET LOCAL lock_timeout = '5s';
ALTER TABLE tenants
  ADD COLUMN plan             text NOT NULL DEFAULT '' CHECK (char_length(plan) <= 64),   -- as the contract calls it
  ADD COLUMN region           text NOT NULL DEFAULT '' CHECK (char_length(region) <= 64), -- a label: where its data is said to live
  ADD COLUMN delete_reason    text,
  ADD COLUMN delete_asked_by  text NOT NULL DEFAULT '', -- kind:id
  ADD COLUMN delete_by_tenant boolean NOT NULL DEFAULT false, -- an owner asked, and so an owner may restore it
  ADD COLUMN destroying_at    timestamptz, -- the grace is over: nothing is restored from then on
  ADD COLUMN emptied_at       timestamptz, -- no row of it is left but this one and its certificate
  ADD COLUMN quotas_exceeded  text[] NOT NULL DEFAULT '{}', -- hard ones, as the hourly metering found them
  ADD COLUMN user_count       bigint NOT NULL DEFAULT 0,    -- as it counted them
  ADD COLUMN last_active_at   timestamptz;                  -- of the last ceremony that it found
CREATE INDEX tenants_delete_after ON tenants (delete_after) WHERE emptied_at IS NULL;

-- The sweep asks which tenants are to be destroyed, and sees no more.
CREATE POLICY due ON tenants FOR SELECT TO bc_jobs USING (delete_after <= now() AND emptied_at IS NULL);
GRANT SELECT (id, delete_after, emptied_at) ON tenants TO bc_jobs;

-- destroy_rows deletes up to most rows of a tenant that is to be destroyed: of the first
-- table that has any, where what refers to others comes before them. It walks the catalog,
-- so that no table is forgotten: all that has a tenant_id goes, but the certificate. It
-- answers how many rows went; 0: none is left.
-- +goose StatementBegin
CREATE FUNCTION destroy_rows(gone uuid, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  leaf regclass;
  n    bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM tenants t WHERE t.id = gone AND t.state = 'DELETING' AND t.destroying_at IS NOT NULL AND t.shredded_at IS NOT NULL) THEN
    RAISE EXCEPTION 'this tenant is not to be destroyed' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  FOR leaf IN
    WITH RECURSIVE leaves AS (
      SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
      WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'deletion_certificates'
    ), referred AS (
      SELECT oid, 0 AS depth FROM leaves
      UNION
      SELECT k.confrelid, r.depth + 1 FROM referred r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype = 'f' AND k.confrelid <> k.conrelid
      WHERE r.depth < 16
    )
    SELECT l.oid::regclass FROM leaves l JOIN referred r USING (oid) GROUP BY l.oid ORDER BY max(r.depth), l.oid
  LOOP
    EXECUTE format('DELETE FROM %s WHERE tenant_id = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM %s WHERE tenant_id = $1 LIMIT $2))', leaf, leaf)
      USING gone, most;
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > 0 THEN
      RETURN n;
    END IF;
  END LOOP;
  RETURN 0;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION destroy_rows(uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION destroy_rows(uuid, integer) TO bc_control;

-- What a tenant may use; a kind without a row is not bounded. The platform settles it.
CREATE TABLE quotas (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  kind       text NOT NULL CHECK (kind IN ('MONTHLY_ACTIVE_USERS', 'CEREMONIES', 'STORAGE')),
  most       bigint NOT NULL CHECK (most > 0), -- users or ceremonies of a calendar month (UTC); bytes
  hard       boolean NOT NULL, -- beyond it something is refused: docs/usage.md
  updated_by text NOT NULL, -- kind:id
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, kind)
);
SELECT wall('quotas');
GRANT SELECT ON quotas TO bc_app, bc_control;
GRANT INSERT, UPDATE, DELETE ON quotas TO bc_control;

-- Who of its users was signed in in a month: what MAU counts. Rows go when the month's
-- number is settled.
CREATE TABLE active_users (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  month     date NOT NULL, -- its first day, UTC
  user_id   uuid NOT NULL,
  PRIMARY KEY (tenant_id, month, user_id)
);
SELECT wall('active_users');
GRANT SELECT, INSERT, DELETE ON active_users TO bc_app;

-- One row a tenant and day (UTC), kept by an hourly job.
CREATE TABLE usage_days (
  tenant_id            uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  day                  date NOT NULL,
  ceremonies           bigint NOT NULL, -- finished on that day
  sign_ins             bigint NOT NULL, -- of these: authentications that were allowed
  monthly_active_users bigint NOT NULL, -- of its month, up to the end of that day
  written_bytes        bigint NOT NULL, -- of ceremonies and audit entries of that day
  stored_bytes         bigint NOT NULL, -- of all that is stored, at the end of that day
  measured_at          timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, day)
);
SELECT wall('usage_days');
GRANT SELECT, INSERT, UPDATE ON usage_days TO bc_app;
GRANT SELECT ON usage_days TO bc_control;

-- That a quota was reached, once a month and quota: what the console tells.
CREATE TABLE usage_alerts (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  month     date NOT NULL,
  kind      text NOT NULL CHECK (kind IN ('MONTHLY_ACTIVE_USERS', 'CEREMONIES', 'STORAGE')),
  percent   smallint NOT NULL CHECK (percent IN (80, 100)),
  used      bigint NOT NULL,
  most      bigint NOT NULL,
  at        timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, month, kind, percent, most)
);
SELECT wall('usage_alerts');
GRANT SELECT, INSERT ON usage_alerts TO bc_app, bc_control;
