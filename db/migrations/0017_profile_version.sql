-- +goose NO TRANSACTION
-- +goose Up
-- What the reseal job finds stale profiles by. Made while everybody goes on: one after
-- the other, this waits for the transactions that are open, so a limit on waiting
-- would only leave an index that is invalid. One that an attempt left when it was cut
-- off goes first.
SET lock_timeout = 0;
DROP INDEX CONCURRENTLY IF EXISTS users_profile_version;
CREATE INDEX CONCURRENTLY users_profile_version ON users (tenant_id, profile_version, id);
RESET lock_timeout;
