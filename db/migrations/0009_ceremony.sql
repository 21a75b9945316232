-- +goose Up
-- A challenge, code or token is one-time because its result inserts this row, in
-- the same transaction, whatever Redis remembers. slot is the hour of the SEALED
-- expiry (Unix seconds / 3600), never of now(): a function of the challenge, so
-- that the partitioned key is as strong as UNIQUE (tenant_id, hash). Spent
-- partitions are dropped whole. Never unlogged.
CREATE TABLE spent_challenges (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  hash      bytea NOT NULL CHECK (octet_length(hash) = 32), -- SHA-256 of the challenge, code or token
  slot      integer NOT NULL,
  spender   uuid NOT NULL, -- the id of the request that spent it: tells the winner of a race
  PRIMARY KEY (tenant_id, hash, slot)
) PARTITION BY LIST (slot);
SELECT wall('spent_challenges');
GRANT SELECT, INSERT ON spent_challenges TO bc_app;
GRANT INSERT, SELECT (spender) ON spent_challenges TO bc_writer;

-- The facts of each finished ceremony: what was known when it was decided, so
-- that a decision can be explained, and replayed against another policy.
CREATE TABLE ceremonies (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  at             timestamptz NOT NULL,
  id             uuid NOT NULL,
  kind           text NOT NULL CHECK (kind IN ('REGISTRATION', 'AUTHENTICATION')),
  outcome        text NOT NULL CHECK (outcome IN ('ALLOW', 'STEP_UP', 'DENY', 'FAILED')),
  reason         text NOT NULL DEFAULT '', -- a fault's or decision's reason; '' when allowed
  user_id        uuid,
  credential_id  bytea,
  policy_version integer NOT NULL,
  facts          text NOT NULL, -- JSON, docs/facts.md; text because nothing in SQL reads into it
  PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);
SELECT wall('ceremonies');
GRANT SELECT, INSERT ON ceremonies TO bc_app;
GRANT INSERT ON ceremonies TO bc_writer;
