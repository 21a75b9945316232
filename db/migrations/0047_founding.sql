-- +goose Up
-- An invitation of the reserved tenant by which somebody makes a tenant of their own, of
-- this mode, and is its owner.
SET LOCAL lock_timeout = '5s';
ALTER TABLE invitations ADD COLUMN founds_mode text CHECK (founds_mode IN ('LIVE', 'TEST'));

-- It is spent, and the owner made, in the transaction of the platform plane that makes the
-- tenant. The wall's own policy shows bc_control the invitations of the tenant that it has
-- opened alone.
GRANT SELECT, UPDATE (accepted_at, accepted_by, email_sealed) ON invitations TO bc_control;
GRANT INSERT ON members TO bc_control;
