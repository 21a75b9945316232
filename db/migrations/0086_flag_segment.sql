-- +goose Up
-- Groups of subjects that have a name, which rules of all flags of a tenant may ask for: by conditions, and by a list. Of the
-- list no key is kept, but what finds it again (ADR 0064).
SET LOCAL lock_timeout = '5s';
CREATE TABLE flag_segments (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  key         text NOT NULL CHECK (octet_length(key) <= 128),
  name        text NOT NULL CHECK (char_length(name) <= 128),
  description text NOT NULL CHECK (char_length(description) <= 1000),
  condition   jsonb NOT NULL, -- whom it holds beside its members; {}: nobody
  created_by  text NOT NULL, -- kind:id
  created_at  timestamptz NOT NULL,
  updated_by  text NOT NULL, -- of its members, too
  updated_at  timestamptz NOT NULL,
  version     integer NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant_id, key)
);
SELECT wall('flag_segments');
GRANT SELECT, INSERT, UPDATE, DELETE ON flag_segments TO bc_app;
GRANT SELECT ON flag_segments TO bc_support;

CREATE TABLE flag_segment_members (
  tenant_id       uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  segment_key     text NOT NULL,
  targeting_index bytea NOT NULL CHECK (octet_length(targeting_index) = 32), -- of a targeting key, as users.external_index is made
  user_id         uuid, -- the targeting key itself, where it is the id of a user, or looks like one
  excluded        boolean NOT NULL, -- it is not in the segment, although conditions say so
  added_by        text NOT NULL, -- kind:id
  added_at        timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, segment_key, targeting_index),
  FOREIGN KEY (tenant_id, segment_key) REFERENCES flag_segments ON DELETE CASCADE
);
CREATE INDEX flag_segment_members_index ON flag_segment_members (tenant_id, targeting_index);
CREATE INDEX flag_segment_members_user ON flag_segment_members (tenant_id, user_id) WHERE user_id IS NOT NULL;
SELECT wall('flag_segment_members');
GRANT SELECT, INSERT, UPDATE, DELETE ON flag_segment_members TO bc_app;
GRANT SELECT ON flag_segment_members TO bc_support;
