-- +goose Up
-- Outbound rules of a log stream: what becomes of an entry whose text holds personal data or a secret of a kind (ADR 0057).
-- A kind in neither list is sent as it is.
SET lock_timeout = '5s';
ALTER TABLE siem_sinks
  ADD COLUMN redact_kinds text[] NOT NULL DEFAULT '{}', -- a mark takes its place
  ADD COLUMN block_kinds  text[] NOT NULL DEFAULT '{}', -- the entry is not sent
  ADD COLUMN blocked      bigint NOT NULL DEFAULT 0; -- entries that were not sent because of it: siem_rejects names the latest
GRANT UPDATE (redact_kinds, block_kinds, blocked) ON siem_sinks TO bc_app;
