-- +goose Up
-- What the service level of a tenant's ceremonies is told from (ADR 0049): how many were
-- answered, in how much of the server's time, and how many failed by a fault of ours.
SET LOCAL lock_timeout = '5s';

-- Calls of ceremonies that ended by a fault of ours, by five minutes. Of the reserved tenant:
-- those of which nobody could tell whose they were.
CREATE TABLE stats_faults (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  at        timestamptz NOT NULL, -- when the five minutes begin
  faults    bigint NOT NULL CHECK (faults > 0),
  PRIMARY KEY (tenant_id, at)
);
SELECT wall('stats_faults');
GRANT SELECT, INSERT, UPDATE (faults), DELETE ON stats_faults TO bc_app;

-- What counts holds, summed up, so that those of all tenants add up without being read.
ALTER TABLE stats_counts
  ADD COLUMN answered bigint NOT NULL DEFAULT 0, -- ceremonies that were decided, whichever way
  ADD COLUMN timed    bigint NOT NULL DEFAULT 0, -- of these: whose time was measured
  ADD COLUMN prompt   bigint NOT NULL DEFAULT 0; -- of these: within 2^17 µs
GRANT UPDATE (answered, timed, prompt) ON stats_counts TO bc_app;
UPDATE stats_counts SET
  answered = coalesce((SELECT sum(o.value::bigint) FROM json_each_text(counts::json -> 'outcomes') o), 0),
  timed = coalesce((SELECT sum(n.value::bigint) FROM json_each(counts::json -> 'latency') k, json_array_elements_text(k.value -> 'n') n), 0),
  prompt = coalesce((SELECT sum(n.value::bigint) FROM json_each(counts::json -> 'latency') k,
    json_array_elements_text(k.value -> 'n') WITH ORDINALITY n(value, i) WHERE (k.value ->> 'from')::integer + n.i - 1 < 136), 0);

-- The platform adds up all tenants', and sees no more than that of them.
CREATE POLICY levels ON stats_counts FOR SELECT TO bc_control USING (true);
GRANT SELECT (tenant_id, step, at, answered, timed, prompt) ON stats_counts TO bc_control;
CREATE POLICY levels ON stats_faults FOR SELECT TO bc_control USING (true);
GRANT SELECT (tenant_id, at, faults) ON stats_faults TO bc_control;

-- A tenant's 30 days, as the hourly metering sums them up.
ALTER TABLE tenants
  ADD COLUMN month_answered bigint NOT NULL DEFAULT 0,
  ADD COLUMN month_faults   bigint NOT NULL DEFAULT 0;
