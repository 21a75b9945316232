-- +goose Up
-- A key that is locked is refused until somebody unlocks it; one that was rotated names the
-- key that has taken its place, and ends by its expiry.
SET LOCAL lock_timeout = '5s';
ALTER TABLE api_keys
  ADD COLUMN locked_at   timestamptz,
  ADD COLUMN replaced_by uuid; -- api_keys.id
GRANT UPDATE (locked_at, replaced_by) ON api_keys TO bc_app, bc_control;
GRANT SELECT (locked_at, replaced_by) ON api_keys TO bc_support;
