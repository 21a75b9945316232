-- +goose Up
-- The life of keys: docs/keys.md.
--
-- Data key version 0 is the tenant's root: blind indexes and MACs are derived from it,
-- and it seals nothing, so that what seals can be replaced and destroyed. Tenants made
-- before it keep their oldest version as the root.
ALTER TABLE data_keys DROP CONSTRAINT data_keys_version_check;
ALTER TABLE data_keys ADD CONSTRAINT data_keys_version_check CHECK (version >= 0);
ALTER TABLE data_keys ADD COLUMN rewrapped_at timestamptz; -- by another KMS key, or another version of it
ALTER TABLE data_keys ADD COLUMN drained_at timestamptz;   -- since when nothing at rest is sealed under it
ALTER TABLE data_keys ADD COLUMN due_at timestamptz;       -- when the maintenance looks at it next
UPDATE data_keys SET due_at = now();
CREATE INDEX data_keys_due ON data_keys (due_at);
-- Destroying keys is the platform plane's.
GRANT UPDATE (wrapped, kms_key, rewrapped_at, drained_at, due_at), DELETE ON data_keys TO bc_control;

-- PENDING (published, does not sign) -> ACTIVE (signs; one a tenant) -> RETIRING (verifies)
-- -> REVOKED (gone from the key set; its private half is destroyed).
ALTER TABLE signing_keys ADD COLUMN location text NOT NULL DEFAULT 'SEALED' CHECK (location IN ('SEALED', 'KMS'));
ALTER TABLE signing_keys ADD COLUMN activate_at timestamptz;  -- PENDING: signs from then on
ALTER TABLE signing_keys ADD COLUMN activated_at timestamptz;
ALTER TABLE signing_keys ADD COLUMN retired_at timestamptz;   -- when it stopped signing
ALTER TABLE signing_keys ADD COLUMN revoke_at timestamptz;    -- RETIRING: nothing that it signed is good any more
ALTER TABLE signing_keys ADD COLUMN revoked_at timestamptz;
ALTER TABLE signing_keys ADD COLUMN revoke_reason text;
ALTER TABLE signing_keys ADD COLUMN due_at timestamptz;       -- when the maintenance looks at it next
ALTER TABLE signing_keys ALTER COLUMN private_sealed DROP NOT NULL; -- PKCS #8, or where it is in the KMS; NULL: destroyed
UPDATE signing_keys SET activated_at = created_at, due_at = now() WHERE state = 'ACTIVE';
ALTER TABLE signing_keys ADD CONSTRAINT signing_keys_private CHECK (private_sealed IS NOT NULL OR state = 'REVOKED');
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (tenant_id) WHERE state = 'ACTIVE';
CREATE UNIQUE INDEX signing_keys_pending ON signing_keys (tenant_id) WHERE state = 'PENDING';
CREATE INDEX signing_keys_due ON signing_keys (due_at);
GRANT UPDATE (private_sealed, activated_at, retired_at, revoke_at, revoked_at, revoke_reason, due_at) ON signing_keys TO bc_app, bc_control;

-- The maintenance asks which tenants have keys that something is due of, and sees no more.
CREATE POLICY due ON data_keys FOR SELECT TO bc_jobs USING (due_at <= now());
CREATE POLICY due ON signing_keys FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON data_keys, signing_keys TO bc_jobs;

-- What the platform signed when a tenant's keys were destroyed: a JWS. Its tenant's row
-- and this one stay when all else is gone.
ALTER TABLE tenants ADD COLUMN shredded_at timestamptz;
CREATE TABLE deletion_certificates (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  certificate text NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id)
);
SELECT wall('deletion_certificates');
ALTER TABLE deletion_certificates ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT ON deletion_certificates TO bc_control;
