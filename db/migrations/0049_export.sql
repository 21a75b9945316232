-- +goose Up
-- Archives of all that a tenant has, for itself: who asked, how far it is, where it is. The
-- archive lies in object storage in sealed parts, which are named by export, attempt and
-- number (ADR 0046); the key of the parts stands here, sealed under the tenant's data key.
CREATE TABLE exports (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  state       text NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED', 'EXPIRED')),
  reason      text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 256),
  asked_by    text NOT NULL, -- kind:id
  asked_name  text NOT NULL, -- of the person or key, as it was then
  created_at  timestamptz NOT NULL,
  started_at  timestamptz, -- the last attempt
  ended_at    timestamptz,
  expires_at  timestamptz, -- DONE: until when the archive is kept
  attempt     integer NOT NULL DEFAULT 0 CHECK (attempt >= 0), -- each begins anew
  files_done  integer NOT NULL DEFAULT 0, -- tables that are in the archive
  files_total integer NOT NULL DEFAULT 0,
  rows_done   bigint NOT NULL DEFAULT 0,
  size        bigint NOT NULL DEFAULT 0, -- of the archive so far, in bytes
  parts       integer NOT NULL DEFAULT 0, -- objects of this attempt that may be there; noted before each is put
  sha256      bytea CHECK (octet_length(sha256) = 32), -- of the archive; DONE and after
  archive_key bytea, -- sealed; NULL: none yet, or destroyed: the parts are noise
  key_version bigint NOT NULL DEFAULT 0, -- of the data key that sealed archive_key
  failure     text NOT NULL DEFAULT '', -- the reason of a fault
  due_at      timestamptz, -- when the job looks at it next; NULL: never
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT exports_done CHECK (state <> 'DONE' OR (sha256 IS NOT NULL AND archive_key IS NOT NULL AND expires_at IS NOT NULL AND due_at IS NOT NULL))
);
SELECT wall('exports');
CREATE UNIQUE INDEX exports_open ON exports (tenant_id) WHERE state IN ('QUEUED', 'RUNNING'); -- one at a time
CREATE INDEX exports_due ON exports (due_at);
SET LOCAL lock_timeout = '5s';
ALTER TABLE exports ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT ON exports TO bc_app, bc_control;
GRANT UPDATE (state, started_at, ended_at, expires_at, attempt, files_done, files_total, rows_done, size, parts, sha256, archive_key, key_version, failure, due_at)
  ON exports TO bc_app;
GRANT UPDATE (state, ended_at, archive_key, due_at) ON exports TO bc_control;

-- The sweep asks which tenants have an export that is due, and sees no more.
CREATE POLICY due ON exports FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON exports TO bc_jobs;
