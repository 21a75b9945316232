-- +goose Up
-- Certificates that a tenant trusts to attest authenticators, besides what the FIDO
-- metadata lists (enterprise attestation). Bounded here as the service bounds them. A row
-- is made and removed, and never changed: what was judged by it stands in the evidence.
CREATE TABLE attestation_roots (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL,
  name        text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 400),
  certificate bytea NOT NULL CHECK (octet_length(certificate) <= 4096), -- DER
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32), -- SHA-256 of certificate
  aaguids     uuid[] NOT NULL CHECK (cardinality(aaguids) <= 64), -- the models that it may attest; empty: any
  not_before  timestamptz NOT NULL,
  not_after   timestamptz NOT NULL,
  created_by  text NOT NULL, -- kind:id
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('attestation_roots');
CREATE UNIQUE INDEX attestation_roots_fingerprint ON attestation_roots (tenant_id, fingerprint);
GRANT SELECT, INSERT, DELETE ON attestation_roots TO bc_app;
SET LOCAL lock_timeout = '5s';
ALTER TABLE attestation_roots ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
