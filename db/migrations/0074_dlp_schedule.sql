-- +goose Up
-- A tenant may have itself scanned every day, week or month. due_at lies in the period after, by the clock at set_at.
CREATE TABLE dlp_schedules (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  cadence    text NOT NULL CHECK (cadence IN ('DAILY', 'WEEKLY', 'MONTHLY')),
  days       integer NOT NULL CHECK (days BETWEEN 1 AND 366), -- of the audit log
  updated_by text NOT NULL, -- kind:id
  updated_at timestamptz NOT NULL,
  set_at     timestamptz NOT NULL,
  due_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id)
);
SELECT wall('dlp_schedules');
CREATE INDEX dlp_schedules_due ON dlp_schedules (due_at);
GRANT SELECT, INSERT, DELETE ON dlp_schedules TO bc_app;
GRANT UPDATE (cadence, days, updated_by, updated_at, set_at, due_at) ON dlp_schedules TO bc_app;

-- The sweep asks which tenants have a schedule that is due, or that a clock which was an hour ahead has put off, and sees no more.
CREATE POLICY due ON dlp_schedules FOR SELECT TO bc_jobs USING (due_at <= now() OR set_at > now() + interval '1 hour');
GRANT SELECT (tenant_id, due_at) ON dlp_schedules TO bc_jobs;
