-- +goose Up
-- What an audit entry tells of persons is kept apart from its text, which the log hashes: in clear
-- while the entry waits, sealed in the log under a key of the person. The text holds a salted
-- hash of it, so that a person can be erased and every proof holds.

-- What a person's key is derived from, together with the tenant's keys: erased, none can be.
-- subject_id is of whoever acted or was acted for, of this tenant or of the console; zeros are the tenant itself.
CREATE TABLE subject_keys (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  subject_id uuid NOT NULL,
  salt       bytea CHECK (octet_length(salt) = 32),
  erased_at  timestamptz,
  PRIMARY KEY (tenant_id, subject_id),
  CONSTRAINT subject_keys_erased CHECK ((salt IS NULL) = (erased_at IS NOT NULL))
);
SELECT wall('subject_keys');
CREATE POLICY sequencer ON subject_keys FOR ALL TO bc_audit USING (true) WITH CHECK (true);
GRANT SELECT, INSERT (tenant_id, subject_id, salt) ON subject_keys TO bc_audit;
GRANT SELECT, INSERT (subject_id, erased_at), UPDATE (salt, erased_at) ON subject_keys TO bc_app;
GRANT SELECT ON subject_keys TO bc_support;

ALTER TABLE audit_inbox ADD COLUMN private bytea NOT NULL DEFAULT '';
ALTER TABLE audit_entries ADD COLUMN private bytea NOT NULL DEFAULT '';
ALTER TABLE audit_entries ALTER COLUMN private SET STORAGE EXTERNAL; -- what is sealed does not compress

CREATE OR REPLACE VIEW audit_records WITH (security_invoker = true) AS
  SELECT tenant_id, NULL::bigint AS seq, id, at, action, target, entry, support_grant_id, private FROM audit_inbox
  UNION ALL
  SELECT tenant_id, seq, id, at, action, target, entry, support_grant_id, private FROM audit_entries;
