-- +goose Up
-- What a tenant has instead of the rate limits of all (ADR 0070). The platform settles it.
SET LOCAL lock_timeout = '5s';
ALTER TABLE tenants
  ADD COLUMN limits jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(limits) = 'object'); -- calls in each window, by the limit's name
