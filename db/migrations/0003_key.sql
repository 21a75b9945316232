-- +goose Up
-- KMS key -> tenant data key -> field. A data key is stored wrapped by the KMS;
-- signing keys' private halves are sealed under the data key.
CREATE TABLE data_keys (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  version    integer NOT NULL CHECK (version > 0),
  wrapped    bytea NOT NULL,
  kms_key    text NOT NULL, -- which KMS key wrapped it, for rewrap
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version)
);
SELECT wall('data_keys');
ALTER TABLE data_keys ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT ON data_keys TO bc_app, bc_control;

CREATE TABLE signing_keys (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  kid            text NOT NULL,
  algorithm      text NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256')),
  state          text NOT NULL CHECK (state IN ('PENDING', 'ACTIVE', 'RETIRING', 'REVOKED')),
  public_key     bytea NOT NULL, -- SubjectPublicKeyInfo, DER
  private_sealed bytea NOT NULL, -- PKCS #8, sealed: tenant, signing_keys, private, kid
  created_at     timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, kid)
);
SELECT wall('signing_keys');
ALTER TABLE signing_keys ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE (state) ON signing_keys TO bc_app, bc_control;
