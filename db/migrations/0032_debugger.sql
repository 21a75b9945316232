-- +goose Up
-- What the ceremony debugger shows beside the facts, and what the Activity of an
-- object is found by. Columns that may be NULL or have a constant default rewrite
-- no table.
SET lock_timeout = '5s';

ALTER TABLE ceremonies
  ADD COLUMN latency_us integer CHECK (latency_us >= 0),  -- of finish: the server's own time until the row was handed to Postgres; NULL: not measured
  ADD COLUMN trace_id   text NOT NULL DEFAULT '',         -- W3C trace id, hex; '' when the caller sends none
  ADD COLUMN request_id text NOT NULL DEFAULT '',
  ADD COLUMN browser    text NOT NULL DEFAULT '',         -- "Chrome 141 on Windows", and no more of the User-Agent
  ADD COLUMN api_key_id uuid,                             -- the key that finish was called with
  ADD COLUMN repeats    integer CHECK (repeats > 0);      -- further failures alike within the minute, which have no rows of their own

-- What failed is looked for most and happens least. The predicate spares sign-ins
-- that are let in an entry.
CREATE INDEX ceremonies_failed ON ceremonies (tenant_id, at, id) WHERE outcome <> 'ALLOW';

-- What was acted on, as the entry says it: kind/id, and '' for nothing. The Activity
-- of an object is found by it.
ALTER TABLE audit_inbox ADD COLUMN target text NOT NULL DEFAULT '';
CREATE INDEX audit_inbox_target ON audit_inbox (tenant_id, target, id);
