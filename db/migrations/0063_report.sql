-- +goose Up
-- Compliance reports: what was asked for, how far it is, what it came to. The files of a report lie in object
-- storage as one sealed object, which is named by report and attempt (ADR 0055); its key stands here, sealed
-- under the tenant's data key.
CREATE TABLE reports (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  catalogue   text NOT NULL CHECK (catalogue ~ '^[a-z][a-z0-9-]{1,39}$'),
  period_from timestamptz NOT NULL,
  period_to   timestamptz NOT NULL, -- exclusive
  state       text NOT NULL CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'REMOVED')), -- REMOVED: nobody sees it; object and row go next
  reason      text NOT NULL DEFAULT '' CHECK (char_length(reason) <= 256),
  asked_by    text NOT NULL, -- kind:id
  asked_name  text NOT NULL, -- of the person or key, as it was then
  scheduled   boolean NOT NULL DEFAULT false,
  keep_days   integer NOT NULL CHECK (keep_days BETWEEN 1 AND 3650),
  created_at  timestamptz NOT NULL,
  started_at  timestamptz, -- the last attempt
  ended_at    timestamptz,
  expires_at  timestamptz, -- DONE: until when it is kept
  attempt     integer NOT NULL DEFAULT 0 CHECK (attempt >= 0), -- each begins anew
  done        integer NOT NULL DEFAULT 0, -- measurements that are taken
  total       integer NOT NULL DEFAULT 0,
  met         integer NOT NULL DEFAULT 0, -- controls
  not_met     integer NOT NULL DEFAULT 0,
  no_evidence integer NOT NULL DEFAULT 0,
  size        integer NOT NULL DEFAULT 0, -- of all files, in bytes
  sha256      bytea CHECK (octet_length(sha256) = 32), -- of the JSON body
  report_key  bytea, -- sealed; NULL: none yet, or destroyed: the object is noise
  key_version bigint NOT NULL DEFAULT 0, -- of the data key that sealed report_key
  failure     text NOT NULL DEFAULT '', -- the reason of a fault
  due_at      timestamptz, -- when the job looks at it next; NULL: never
  PRIMARY KEY (tenant_id, id),
  CHECK (period_from < period_to),
  CONSTRAINT reports_done CHECK (state <> 'DONE' OR (sha256 IS NOT NULL AND report_key IS NOT NULL AND expires_at IS NOT NULL AND due_at IS NOT NULL))
);
SELECT wall('reports');
CREATE INDEX reports_due ON reports (due_at);
GRANT SELECT, INSERT, DELETE ON reports TO bc_app;
GRANT UPDATE (state, started_at, ended_at, expires_at, attempt, done, total, met, not_met, no_evidence, size, sha256, report_key, key_version, failure, due_at) ON reports TO bc_app;

-- Catalogues of controls that a tenant has added to those of the release.
CREATE TABLE report_catalogues (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  name       text NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{1,39}$'),
  document   text NOT NULL CHECK (octet_length(document) <= 131072), -- YAML, as it came
  version    integer NOT NULL DEFAULT 1,
  updated_by text NOT NULL, -- kind:id
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, name)
);
SELECT wall('report_catalogues');
GRANT SELECT, INSERT, DELETE, UPDATE (document, version, updated_by, updated_at) ON report_catalogues TO bc_app;

-- Which reports are made by themselves: when a month or quarter (UTC) is over. due_at lies in the period after.
CREATE TABLE report_schedules (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  catalogue  text NOT NULL CHECK (catalogue ~ '^[a-z][a-z0-9-]{1,39}$'),
  cadence    text NOT NULL CHECK (cadence IN ('MONTHLY', 'QUARTERLY')),
  keep_days  integer NOT NULL CHECK (keep_days BETWEEN 1 AND 3650),
  updated_by text NOT NULL, -- kind:id
  updated_at timestamptz NOT NULL,
  due_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, catalogue)
);
SELECT wall('report_schedules');
CREATE INDEX report_schedules_due ON report_schedules (due_at);
GRANT SELECT, INSERT, DELETE, UPDATE (cadence, keep_days, updated_by, updated_at, due_at) ON report_schedules TO bc_app;

-- The sweep asks which tenants have a report or a schedule that is due, and sees no more.
CREATE POLICY due ON reports FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON reports TO bc_jobs;
CREATE POLICY due ON report_schedules FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON report_schedules TO bc_jobs;
