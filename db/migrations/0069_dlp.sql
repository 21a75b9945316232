-- +goose Up
-- Looking for personal data and secrets where they should not be (ADR 0057): what was asked for, how far it is, and
-- what was found. No value that was found is stored, not even sealed: its shape is.
CREATE TABLE dlp_scans (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id         uuid NOT NULL, -- UUIDv7
  state      text NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED')),
  reason     text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 256),
  days       integer NOT NULL CHECK (days BETWEEN 1 AND 366), -- of the audit log
  asked_by   text NOT NULL, -- kind:id
  created_at timestamptz NOT NULL,
  started_at timestamptz, -- the last attempt
  ended_at   timestamptz,
  attempt    integer NOT NULL DEFAULT 0,
  place      text NOT NULL DEFAULT '', -- that is looked at: a table, or audit
  after_key  text[], -- the last row of it that was looked at; NULL: none
  done       integer NOT NULL DEFAULT 0, -- places
  total      integer NOT NULL DEFAULT 0,
  texts      bigint NOT NULL DEFAULT 0, -- rows and entries that were looked at
  found      bigint NOT NULL DEFAULT 0, -- findings, those that were there among them
  cut        text[] NOT NULL DEFAULT '{}', -- places that have more than a scan looks at
  failure    text NOT NULL DEFAULT '', -- the reason of a fault
  due_at     timestamptz, -- when the job looks at it next; NULL: never
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('dlp_scans');
CREATE INDEX dlp_scans_due ON dlp_scans (due_at);
GRANT SELECT, INSERT, DELETE ON dlp_scans TO bc_app;
GRANT UPDATE (state, started_at, ended_at, attempt, place, after_key, done, total, texts, found, cut, failure, due_at) ON dlp_scans TO bc_app;

CREATE TABLE dlp_findings (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  source      text NOT NULL CHECK (source ~ '^[A-Z][A-Z0-9_]{0,39}$'), -- SCAN, or whose finding was imported
  place       text NOT NULL CHECK (octet_length(place) BETWEEN 1 AND 512), -- table.column, audit.member, or a place elsewhere
  item        text NOT NULL CHECK (octet_length(item) <= 512), -- the row, entry or object; an import's own id of its finding
  kind        text NOT NULL CHECK (kind ~ '^[A-Z][A-Z0-9_]{0,63}$'),
  count       integer NOT NULL CHECK (count >= 1), -- how often it stands there
  shape       text NOT NULL DEFAULT '' CHECK (char_length(shape) <= 64), -- of the first: 9 for a digit, x for a letter
  state       text NOT NULL CHECK (state IN ('OPEN', 'DISMISSED', 'RESOLVED')),
  reason      text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 256), -- of who decided
  decided_by  text NOT NULL DEFAULT '', -- kind:id; empty: nobody has, or a later scan did not find it any more
  decided_at  timestamptz,
  first_at    timestamptz NOT NULL,
  last_at     timestamptz NOT NULL,
  scan_id     uuid, -- that found it last; NULL: imported
  version     integer NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, source, place, item, kind)
);
SELECT wall('dlp_findings');
GRANT SELECT, INSERT, DELETE ON dlp_findings TO bc_app;
GRANT UPDATE (count, shape, state, reason, decided_by, decided_at, last_at, scan_id, version) ON dlp_findings TO bc_app;

-- The sweep asks which tenants have a scan that is due, and sees no more.
CREATE POLICY due ON dlp_scans FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON dlp_scans TO bc_jobs;
