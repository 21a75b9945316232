-- +goose Up
-- Where an invitation is sent to, until it is sent: sealed under field invitations.email.
SET LOCAL lock_timeout = '5s';
ALTER TABLE invitations
  ADD COLUMN email_sealed bytea CHECK (octet_length(email_sealed) <= 512),
  ADD COLUMN mailed_at    timestamptz;
GRANT UPDATE (email_sealed, mailed_at) ON invitations TO bc_app;

-- Rows of the console's sessions go with their session's, by the reference: nobody deletes them.
REVOKE DELETE ON console_sessions FROM bc_app;
