-- +goose Up
-- That a tenant's RP ID is its own domain: one row a tenant, of the domain that it names. For
-- another RP ID than the tenant's it counts for nothing, so that no change can forget it.
-- What is published is a MAC of tenant and domain: nothing here is secret.
CREATE TABLE domain_proofs (
  tenant_id     uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  rp_id         text NOT NULL,
  method        text CHECK (method IN ('DNS', 'FILE', 'VOUCHED', 'INHERITED')), -- NULL: looked for in vain
  proven_at     timestamptz,
  checked_at    timestamptz,                -- when it was looked for last; NULL: never
  failing_since timestamptz,                -- since when what was proven is not found any more
  finding_dns   text NOT NULL DEFAULT '',   -- why the last look found none; '' it did, or did not look
  finding_file  text NOT NULL DEFAULT '',
  due_at        timestamptz,                -- when the maintenance looks again; NULL: never
  PRIMARY KEY (tenant_id),
  CHECK ((method IS NULL) = (proven_at IS NULL))
);
SELECT wall('domain_proofs');
CREATE INDEX domain_proofs_due ON domain_proofs (due_at);
GRANT SELECT, INSERT, UPDATE ON domain_proofs TO bc_app, bc_control;

-- Documents below /.well-known/ are served for the tenant that has proven its domain.
CREATE POLICY proven ON domain_proofs FOR SELECT TO bc_control USING (proven_at IS NOT NULL);
-- The maintenance asks which tenants are due, and sees no more.
CREATE POLICY due ON domain_proofs FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON domain_proofs TO bc_jobs;
GRANT SELECT ON domain_proofs TO bc_support;

-- Tenants of before were vouched for by the operator who made them: that goes on to count.
INSERT INTO domain_proofs (tenant_id, rp_id, method, proven_at)
SELECT id, rp_id, 'INHERITED', now() FROM tenants WHERE mode = 'LIVE' AND slug <> 'platform' AND state <> 'DELETING';

SET LOCAL lock_timeout = '5s';
ALTER TABLE domain_proofs ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
