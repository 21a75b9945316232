-- +goose NO TRANSACTION
-- +goose Up
-- The credentials of one model of authenticators. Sign-ins do not touch it: no column of
-- it changes. Made while everybody goes on, as 0017's.
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS credentials_model;
CREATE INDEX CONCURRENTLY credentials_model ON credentials (tenant_id, aaguid, id);
RESET lock_timeout;
