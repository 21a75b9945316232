-- +goose Up
-- What is known of a credential beside its key: how far its authenticator is proven, and
-- how strong the word was by which it was registered. All columns have values that say
-- nothing, for the rows from before and for servers of the release before. The checks
-- bind new rows; the rows from before, which need none, are not read for them while
-- everybody waits.
SET LOCAL lock_timeout = '5s';
ALTER TABLE credentials
  ADD COLUMN trust text NOT NULL DEFAULT 'NONE', -- the verdict on its attestation, at registration
  ADD COLUMN certification text NOT NULL DEFAULT '', -- FIDO certification level of the model at registration; '' for none that is proven
  ADD COLUMN registered_aal smallint NOT NULL DEFAULT 0, -- of the session that vouched; 0: a server's word
  ADD COLUMN lowered boolean NOT NULL DEFAULT false, -- registered by recovery, and nobody has vouched since
  ADD COLUMN vouched_at timestamptz, -- when somebody did
  ADD COLUMN vouched_by text NOT NULL DEFAULT '', -- kind:id of who did
  ADD COLUMN disposition text NOT NULL DEFAULT '', -- by a status report on the model
  ADD COLUMN extensions text NOT NULL DEFAULT '{}', -- JSON: what the client said of extensions; never their secrets
  ADD COLUMN evidence_id uuid, -- of the registration
  ADD CONSTRAINT credentials_trust CHECK (trust IN ('NONE', 'SELF', 'UNTRUSTED', 'TENANT_ROOT', 'MDS')) NOT VALID,
  ADD CONSTRAINT credentials_registered_aal CHECK (registered_aal BETWEEN 0 AND 3) NOT VALID,
  ADD CONSTRAINT credentials_disposition CHECK (disposition IN ('', 'FLAG', 'STEP_UP', 'SUSPEND')) NOT VALID,
  ADD CONSTRAINT credentials_via CHECK (registered_via IN ('SERVER_KEY', 'REGISTRATION_TOKEN', 'RECOVERY_CODE', 'ENROLLMENT_LINK', 'SESSION', 'IMPORT')) NOT VALID,
  DROP CONSTRAINT credentials_registered_via_check;
