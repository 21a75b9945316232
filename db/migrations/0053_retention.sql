-- +goose Up
-- What is over is removed where the tenant's policy says so (ceremonyRetentionDays; sessions
-- could be deleted before). Nothing of the last 30 days can be: the least that a policy may
-- say, held to by the database, so that whoever runs as bc_app cannot remove the record of
-- what they have just done.
SET LOCAL lock_timeout = '5s';
GRANT DELETE ON ceremonies TO bc_app;
CREATE POLICY aged ON ceremonies AS RESTRICTIVE FOR DELETE TO bc_app USING (at < now() - interval '30 days');
