-- +goose Up
-- A scan can be ended by who asked for it, and says what it could not look at.
SET lock_timeout = '5s';
ALTER TABLE dlp_scans DROP CONSTRAINT dlp_scans_state_check;
ALTER TABLE dlp_scans ADD CONSTRAINT dlp_scans_state_check CHECK (state IN ('QUEUED', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED'));
ALTER TABLE dlp_scans ADD COLUMN unseen jsonb NOT NULL DEFAULT '[]'; -- [{"place", "reason", "count"}]
GRANT UPDATE (unseen) ON dlp_scans TO bc_app;
