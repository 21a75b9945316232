-- +goose Up
-- Which ids an archive's entries name, so that whoever looks for a person reads no archive that does not have them (ADR 0060).
SET LOCAL lock_timeout = '5s';
ALTER TABLE audit_archives ADD COLUMN names bytea; -- a Bloom filter; NULL: archived before there was one, and read by everybody
