-- +goose Up
-- The transactional outbox: domain events as their transactions commit them, for
-- webhooks and live streams. Partitioned by day and dropped when read and old.
CREATE TABLE event_outbox (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  at        timestamptz NOT NULL,
  id        uuid NOT NULL,
  type      text NOT NULL,
  payload   text NOT NULL, -- JSON
  PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);
SELECT wall('event_outbox');
GRANT SELECT, INSERT ON event_outbox TO bc_app;
GRANT INSERT ON event_outbox TO bc_writer, bc_control;
