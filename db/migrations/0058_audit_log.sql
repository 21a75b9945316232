-- +goose Up
-- A tenant's audit log: what was committed to audit_inbox is moved, in batches and in one
-- order, into audit_entries, and hashed into a Merkle tree (RFC 6962). Only bc_audit moves,
-- and nobody changes what was moved: it may insert and not update, all others may read.

-- +goose StatementBegin
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bc_audit') THEN
    RAISE EXCEPTION 'the role bc_audit is missing: biocore migrate up --bootstrap file:ADMIN_URL makes it';
  END IF;
END $$;
-- +goose StatementEnd
GRANT USAGE ON SCHEMA public TO bc_audit;

-- The head of each log. edge is all that must be known to append: the roots of the tree's
-- complete subtrees, the largest first, 32 bytes for each bit of size.
CREATE TABLE audit_logs (
  tenant_id    uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  size         bigint NOT NULL DEFAULT 0, -- entries
  edge         bytea NOT NULL DEFAULT '',
  sequenced_at timestamptz NOT NULL,      -- of the last entry: never goes back
  origin       text,                      -- the log's name, as its checkpoints have it
  public_key   bytea,                     -- Ed25519
  seed         bytea,                     -- its private half, sealed; NULL until the first checkpoint
  signed_size  bigint NOT NULL DEFAULT 0, -- of the last checkpoint
  signed_at    timestamptz,
  checkpoint   text,                      -- the signed note
  kept_at      timestamptz,               -- of the last that went into audit_checkpoints
  PRIMARY KEY (tenant_id),
  CONSTRAINT audit_logs_edge CHECK (size >= signed_size AND signed_size >= 0
    AND octet_length(edge) = 32 * length(replace(size::bit(64)::text, '0', ''))),
  CONSTRAINT audit_logs_signed CHECK ((checkpoint IS NULL) = (signed_at IS NULL) AND (seed IS NULL) = (public_key IS NULL) AND (seed IS NULL) = (origin IS NULL))
) WITH (fillfactor = 40);
SELECT wall('audit_logs');
CREATE POLICY sequencer ON audit_logs FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON audit_logs TO bc_audit;
GRANT SELECT (tenant_id, size, edge, sequenced_at, origin, public_key, signed_size, signed_at, checkpoint, kept_at) ON audit_logs TO bc_app;

-- The log. seq begins at 0 and has no gaps; sequenced_at does not go back as it grows, so that
-- a month's partition is one piece of the log. leaf is the hash of entry.
CREATE TABLE audit_entries (
  tenant_id        uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  seq              bigint NOT NULL,
  sequenced_at     timestamptz NOT NULL,
  id               uuid NOT NULL,
  at               timestamptz NOT NULL,
  action           text NOT NULL,
  target           text NOT NULL,
  entry            text NOT NULL,
  leaf             bytea NOT NULL CHECK (octet_length(leaf) = 32),
  support_grant_id uuid,
  PRIMARY KEY (tenant_id, seq, sequenced_at)
) PARTITION BY RANGE (sequenced_at);
SELECT wall('audit_entries');
CREATE POLICY sequencer ON audit_entries FOR ALL TO bc_audit USING (true) WITH CHECK (true);
CREATE INDEX audit_entries_id ON audit_entries (tenant_id, id);
CREATE INDEX audit_entries_target ON audit_entries (tenant_id, target, id) WHERE target <> '';
CREATE INDEX audit_entries_support ON audit_entries (tenant_id, support_grant_id, id) WHERE support_grant_id IS NOT NULL;
GRANT SELECT, INSERT ON audit_entries TO bc_audit;
GRANT SELECT ON audit_entries TO bc_app, bc_support;

-- The tree's hashes in tiles of 256, as C2SP tlog-tiles cuts them: level 0 holds leaves, level 1 the
-- roots of 256 tiles of level 0, and so on. Only complete tiles are kept; what is younger is computed.
CREATE TABLE audit_tiles (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  level     smallint NOT NULL,
  n         bigint NOT NULL,
  root      bytea NOT NULL CHECK (octet_length(root) = 32), -- of hashes
  hashes    bytea NOT NULL CHECK (octet_length(hashes) = 256 * 32),
  PRIMARY KEY (tenant_id, level, n)
);
ALTER TABLE audit_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL; -- hashes do not compress
SELECT wall('audit_tiles');
CREATE POLICY sequencer ON audit_tiles FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON audit_tiles TO bc_audit;
GRANT SELECT ON audit_tiles TO bc_app;

-- Checkpoints that are kept: one a minute and log at most, so that a tree that was seen once is
-- found again, and what was changed later is found between two of them.
CREATE TABLE audit_checkpoints (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  size       bigint NOT NULL,
  signed_at  timestamptz NOT NULL,
  checkpoint text NOT NULL,
  PRIMARY KEY (tenant_id, size)
);
SELECT wall('audit_checkpoints');
CREATE POLICY sequencer ON audit_checkpoints FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON audit_checkpoints TO bc_audit;
GRANT SELECT ON audit_checkpoints TO bc_app;

-- The inbox is where entries wait some tenths of a second. It is read whole, by the oldest
-- first, so it needs one index of its own and none for finding; and it must be vacuumed often.
CREATE POLICY sequencer ON audit_inbox FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, DELETE ON audit_inbox TO bc_audit;
CREATE INDEX audit_inbox_order ON audit_inbox (id);
DROP INDEX audit_inbox_target, audit_inbox_support;
ALTER TABLE audit_inbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);

-- What has happened, wherever it is.
CREATE VIEW audit_records WITH (security_invoker = true) AS
  SELECT tenant_id, NULL::bigint AS seq, id, at, action, target, entry, support_grant_id FROM audit_inbox
  UNION ALL
  SELECT tenant_id, seq, id, at, action, target, entry, support_grant_id FROM audit_entries;
GRANT SELECT ON audit_records TO bc_app, bc_support;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION make_partitions(t timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  made integer := 0;
  slot integer := floor(extract(epoch FROM t) / 3600)::integer;
  d timestamp;
  monthly text;
BEGIN
  PERFORM pg_advisory_xact_lock(7163093017); -- one maker at a time: CREATE races would fail, not wait
  FOR i IN -1..75 LOOP
    made := made + make_partition('spent_challenges', format('spent_challenges_%s', slot + i), format('IN (%s)', slot + i));
  END LOOP;
  FOR i IN 0..3 LOOP
    d := date_trunc('month', t AT TIME ZONE 'UTC') + make_interval(months => i);
    FOREACH monthly IN ARRAY ARRAY['ceremonies', 'audit_entries'] LOOP
      made := made + make_partition(monthly::regclass, format('%s_%s', monthly, to_char(d, 'YYYYMM')),
        format('FROM (%L) TO (%L)', d::text || '+00', (d + interval '1 month')::text || '+00'));
    END LOOP;
  END LOOP;
  FOR i IN -1..7 LOOP
    d := date_trunc('day', t AT TIME ZONE 'UTC') + make_interval(days => i);
    made := made + make_partition('event_outbox', format('event_outbox_%s', to_char(d, 'YYYYMMDD')),
      format('FROM (%L) TO (%L)', d::text || '+00', (d + interval '1 day')::text || '+00'));
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd
SELECT make_partitions(now());
