-- +goose Up
-- What the staff has settled for the tenant that an invitation makes: what its contract is
-- called, and its quotas, as [{"kind", "most", "hard"}].
SET LOCAL lock_timeout = '5s';
ALTER TABLE invitations
  ADD COLUMN founds_plan   text NOT NULL DEFAULT '' CHECK (char_length(founds_plan) <= 64),
  ADD COLUMN founds_quotas jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(founds_quotas) = 'array');

-- The account that somebody made by an invitation, in the transaction of the account: an
-- invitation makes one. Rows are of the reserved tenant, as the accounts are; the invitation
-- may be any tenant's, which no reference can say.
CREATE TABLE invited_accounts (
  tenant_id     uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  invitation_id uuid NOT NULL, -- invitations.id
  person_id     uuid NOT NULL,
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, invitation_id),
  FOREIGN KEY (tenant_id, person_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
SELECT wall('invited_accounts');
CREATE INDEX invited_accounts_person ON invited_accounts (tenant_id, person_id);
GRANT SELECT, INSERT ON invited_accounts TO bc_app;
GRANT SELECT ON invited_accounts TO bc_control;
