-- +goose Up
-- Imports of users and public keys from other systems. The lines themselves are not
-- kept: an import is a position in a file that the caller has, and what became of the
-- lines before it. position, digest and counts are those of the phase that the state
-- names: CHECKING and CHECKED of the check, all others of the run.
CREATE TABLE imports (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id             uuid NOT NULL,
  state          text NOT NULL CHECK (state IN ('CHECKING', 'CHECKED', 'RUNNING', 'DONE', 'CANCELLED')),
  on_duplicate   text NOT NULL CHECK (on_duplicate IN ('SKIP', 'FAIL', 'MERGE')),
  rp_id          text NOT NULL, -- that the credentials are for: the tenant's when it began
  position       integer NOT NULL DEFAULT 0 CHECK (position >= 0), -- lines that are done
  digest         text NOT NULL DEFAULT '', -- hex, over the lines that are done
  counts         text NOT NULL DEFAULT '{}', -- JSON
  checked_lines  integer NOT NULL DEFAULT 0, -- of the check, when it was complete
  checked_digest text NOT NULL DEFAULT '',
  checked_counts text NOT NULL DEFAULT '{}',
  created_by     text NOT NULL, -- kind:id
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  started_at     timestamptz, -- the run
  ended_at       timestamptz,
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('imports');
ALTER TABLE imports ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE (state, position, digest, counts, checked_lines, checked_digest, checked_counts, updated_at, started_at, ended_at) ON imports TO bc_app;

-- What is reported of lines, up to a bound a phase: where and why, never what stood there.
CREATE TABLE import_findings (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  import_id uuid NOT NULL,
  phase     text NOT NULL CHECK (phase IN ('CHECK', 'RUN')),
  line      integer NOT NULL CHECK (line > 0), -- the first is 1
  ordinal   smallint NOT NULL, -- of several of one line
  outcome   text NOT NULL CHECK (outcome IN ('FAILED', 'SKIPPED')),
  field     text NOT NULL,
  reason    text NOT NULL,
  detail    text NOT NULL,
  PRIMARY KEY (tenant_id, import_id, phase, line, ordinal)
);
SELECT wall('import_findings');
ALTER TABLE import_findings ADD FOREIGN KEY (tenant_id, import_id) REFERENCES imports (tenant_id, id);
GRANT SELECT, INSERT ON import_findings TO bc_app;

-- Which users, handles and credentials a check has met in its file: half of a SHA-256
-- each, of the keyed index where it is an external id. They go when the check ends.
CREATE TABLE import_marks (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  import_id uuid NOT NULL,
  mark      uuid NOT NULL,
  PRIMARY KEY (tenant_id, import_id, mark)
);
SELECT wall('import_marks');
ALTER TABLE import_marks ADD FOREIGN KEY (tenant_id, import_id) REFERENCES imports (tenant_id, id);
GRANT SELECT, INSERT, DELETE ON import_marks TO bc_app;

-- The RP ID that a credential was made for, and answers to for ever. '' is the tenant's:
-- of rows from before, when a tenant with credentials could have no other.
SET LOCAL lock_timeout = '5s';
ALTER TABLE credentials ADD COLUMN rp_id text NOT NULL DEFAULT '';
