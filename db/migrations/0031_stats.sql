-- +goose Up
-- What a tenant's ceremonies came to, counted by a job so that no page counts them: one row
-- for each five minutes, hour and day in which there were any (ADR 0037). The counts are
-- JSON in text, docs/statistics.md; nothing in SQL reads into it.
CREATE TABLE stats_counts (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  step      integer NOT NULL CHECK (step IN (300, 3600, 86400)), -- seconds
  at        timestamptz NOT NULL, -- when it begins: a multiple of step since 1970, UTC
  counts    text NOT NULL,
  PRIMARY KEY (tenant_id, step, at)
);
SELECT wall('stats_counts');
GRANT SELECT, INSERT, UPDATE (counts), DELETE ON stats_counts TO bc_app;

-- How many users a tenant has, as measured now and then.
CREATE TABLE stats_gauges (
  tenant_id    uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  at           timestamptz NOT NULL, -- of the measurement, to five minutes
  users        integer NOT NULL,
  enrolled     integer NOT NULL, -- who have an active credential
  several      integer NOT NULL, -- who have more than one
  active_hour  integer NOT NULL, -- who have signed in within an hour
  active_day   integer NOT NULL, -- within 24 hours
  active_week  integer NOT NULL, -- within 7 days
  active_month integer NOT NULL, -- within 30 days
  PRIMARY KEY (tenant_id, at)
);
SELECT wall('stats_gauges');
GRANT SELECT, INSERT, UPDATE (users, enrolled, several, active_hour, active_day, active_week, active_month), DELETE ON stats_gauges TO bc_app;

-- How far the counting has come. Its row is the lock of who counts.
CREATE TABLE stats_marks (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  counted_to  timestamptz NOT NULL DEFAULT 'epoch', -- what began before is counted for good
  counted_at  timestamptz NOT NULL DEFAULT 'epoch', -- when it was looked last
  measured_at timestamptz NOT NULL DEFAULT 'epoch', -- when users were counted last
  measured_ms integer NOT NULL DEFAULT 0,           -- how long that took
  PRIMARY KEY (tenant_id)
);
SELECT wall('stats_marks');
GRANT SELECT, INSERT, UPDATE (counted_to, counted_at, measured_at, measured_ms) ON stats_marks TO bc_app;

-- The sweep asks which tenants have something to count, and sees no more than that.
CREATE POLICY sweep ON tenants FOR SELECT TO bc_jobs USING (true);
GRANT SELECT (id) ON tenants TO bc_jobs;
CREATE POLICY sweep ON stats_marks FOR SELECT TO bc_jobs USING (true);
GRANT SELECT (tenant_id, counted_to, measured_at) ON stats_marks TO bc_jobs;
CREATE POLICY sweep ON ceremonies FOR SELECT TO bc_jobs USING (true);
GRANT SELECT (tenant_id, at) ON ceremonies TO bc_jobs;

-- Boards of charts that the members of a tenant share.
CREATE TABLE dashboards (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id         uuid NOT NULL, -- UUIDv7
  title      text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 80),
  charts     jsonb NOT NULL, -- in their order
  created_by text NOT NULL, -- kind:id
  created_at timestamptz NOT NULL,
  updated_by text NOT NULL, -- kind:id
  updated_at timestamptz NOT NULL,
  version    integer NOT NULL DEFAULT 1, -- the etag
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('dashboards');
GRANT SELECT, INSERT, UPDATE (title, charts, updated_by, updated_at, version), DELETE ON dashboards TO bc_app;
