-- +goose Up
-- Heads of all tenants' audit logs in object storage: every minute those that have changed become lines of one more
-- log, the log of heads, and what was added to it is an object with a signed checkpoint. These two tables
-- are the installation's; which head of a tenant is anchored is the tenant's to read.

-- The head of that log. There is one row.
CREATE TABLE audit_anchor_log (
  one        boolean PRIMARY KEY DEFAULT true CHECK (one),
  size       bigint NOT NULL DEFAULT 0, -- lines
  edge       bytea NOT NULL DEFAULT '', -- as in audit_logs
  at         timestamptz,               -- of the last anchor: never goes back
  origin     text,
  public_key bytea,
  seed       bytea,                     -- sealed by the platform tenant's key
  CONSTRAINT audit_anchor_log_edge CHECK (size >= 0 AND octet_length(edge) = 32 * length(replace(size::bit(64)::text, '0', ''))),
  CONSTRAINT audit_anchor_log_key CHECK ((seed IS NULL) = (public_key IS NULL) AND (seed IS NULL) = (origin IS NULL) AND (seed IS NOT NULL OR size = 0))
);
INSERT INTO audit_anchor_log DEFAULT VALUES;
GRANT SELECT, UPDATE ON audit_anchor_log TO bc_audit;

-- Anchors: pieces of that log, each an object. It is signed and committed first and stored then, so that
-- there are never two of one place; until it is stored body holds it.
CREATE TABLE audit_anchors (
  id           uuid PRIMARY KEY,         -- of the object
  size         bigint NOT NULL UNIQUE,   -- of the log of heads with it
  heads        integer NOT NULL,         -- lines that are heads
  refused      integer NOT NULL,         -- logs that contradict what was anchored of them: their heads are not in it
  at           timestamptz NOT NULL,
  body         bytea,
  tried_at     timestamptz,
  stored_at    timestamptz,
  bytes        integer NOT NULL,
  version      text NOT NULL DEFAULT '', -- of the object
  locked_until timestamptz,              -- as the store shows it
  problem      text NOT NULL DEFAULT '', -- why it is not locked
  CONSTRAINT audit_anchors_stored CHECK ((body IS NULL) = (stored_at IS NOT NULL) AND (locked_until IS NULL OR problem = ''))
);
CREATE UNIQUE INDEX audit_anchors_waiting ON audit_anchors ((true)) WHERE body IS NOT NULL; -- one at a time
GRANT SELECT, INSERT, UPDATE ON audit_anchors TO bc_audit;
GRANT SELECT (id, size, heads, refused, bytes, at, stored_at, version, locked_until, problem) ON audit_anchors TO bc_control;

-- The last head of each tenant that is in object storage.
CREATE TABLE audit_anchor_heads (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  size      bigint NOT NULL,
  root      bytea NOT NULL CHECK (octet_length(root) = 32),
  seq       bigint NOT NULL, -- its line of the log of heads
  anchor_id uuid NOT NULL,   -- and the object that this is in
  PRIMARY KEY (tenant_id)
) WITH (fillfactor = 70);
SELECT wall('audit_anchor_heads');
CREATE POLICY anchors ON audit_anchor_heads FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON audit_anchor_heads TO bc_audit;
GRANT SELECT ON audit_anchor_heads TO bc_app;
