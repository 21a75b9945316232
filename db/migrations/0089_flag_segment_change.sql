-- +goose Up
-- What became of segments. Of a change of a list it has how many, and never who: erasing somebody has nothing to find here (ADR 0069).
SET LOCAL lock_timeout = '5s';
CREATE TABLE flag_segment_changes (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL, -- UUIDv7
  segment_key text NOT NULL, -- of a segment that may be gone
  action      text NOT NULL CHECK (action IN ('CREATED', 'UPDATED', 'DELETED', 'MEMBERS_INCLUDED', 'MEMBERS_EXCLUDED', 'MEMBERS_REMOVED')),
  before      jsonb, -- the segment as it was, without its list; NULL: it was not, or its list alone changed
  after       jsonb, -- and as it is; NULL: it is gone, or its list alone changed
  members     integer NOT NULL CHECK (members >= 0), -- how many places of its list changed; of DELETED how many went with it
  reason      text NOT NULL,
  changed_by  text NOT NULL, -- kind:id
  changed_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX flag_segment_changes_segment ON flag_segment_changes (tenant_id, segment_key, id);
SELECT wall('flag_segment_changes');
GRANT SELECT, INSERT ON flag_segment_changes TO bc_app;
GRANT SELECT ON flag_segment_changes TO bc_support;
