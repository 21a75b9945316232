-- +goose Up
-- How often which variant of a flag was served, a day. Servers count in memory, and add what they have counted twice a minute:
-- one that is killed loses what it has not added yet.
SET LOCAL lock_timeout = '5s';
CREATE TABLE flag_counts (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  environment text NOT NULL CHECK (octet_length(environment) <= 128),
  flag_key    text NOT NULL,
  day         date NOT NULL, -- in UTC
  variant     text NOT NULL, -- '': none, since the caller's default applied
  served      bigint NOT NULL CHECK (served > 0),
  last_at     timestamptz NOT NULL, -- when the last of them was added
  PRIMARY KEY (tenant_id, environment, flag_key, day, variant),
  FOREIGN KEY (tenant_id, flag_key) REFERENCES flags ON DELETE CASCADE
);
CREATE INDEX flag_counts_flag ON flag_counts (tenant_id, flag_key);
SELECT wall('flag_counts');
GRANT SELECT, INSERT, UPDATE, DELETE ON flag_counts TO bc_app;
GRANT SELECT ON flag_counts TO bc_support;
