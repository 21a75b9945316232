-- +goose Up
-- Why an authenticator was trusted, or refused: what is known of each piece of evidence.
-- The piece itself, a record of some kilobytes, is sealed under a key of its own, which
-- stands here, sealed under the tenant's data key: when that changes, 77 bytes are sealed
-- anew and no object is touched, and without this row the object is noise (ADR 0027).
--
-- The record is written with its ceremony and waits here until object storage has it.
CREATE TABLE evidence (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id             uuid NOT NULL, -- UUIDv7; also the object's name
  ceremony_id    uuid NOT NULL,
  at             timestamptz NOT NULL,
  outcome        text NOT NULL CHECK (outcome IN ('ALLOW', 'STEP_UP', 'DENY', 'FAILED')), -- as in ceremonies
  reason         text NOT NULL DEFAULT '',
  user_id        uuid,  -- NULL: a refused newcomer, or erased
  credential_id  bytea, -- NULL: unknown, or erased
  aaguid         uuid NOT NULL,
  format         text NOT NULL DEFAULT '', -- of the attestation statement
  trust          text NOT NULL DEFAULT 'NONE' CHECK (trust IN ('NONE', 'SELF', 'UNTRUSTED', 'TENANT_ROOT', 'MDS')),
  mds_number     integer NOT NULL DEFAULT 0, -- of the metadata BLOB; 0: none was known
  policy_version integer NOT NULL,
  sha256         bytea NOT NULL CHECK (octet_length(sha256) = 32), -- of the record
  size           integer NOT NULL CHECK (size > 0), -- of the record, in bytes
  record_key     bytea,                  -- sealed; NULL: erased, the object is to go, and then this row
  key_version    bigint NOT NULL,        -- of the data key that sealed record_key
  body           bytea,                  -- the sealed record, until stored_at
  stored_at      timestamptz,            -- since when object storage has it
  retention_days integer NOT NULL,       -- the policy's, by which expires_at was reckoned
  expires_at     timestamptz NOT NULL,
  due_at         timestamptz NOT NULL,   -- when the maintenance looks at it next
  PRIMARY KEY (tenant_id, id)
);
ALTER TABLE evidence ALTER COLUMN body SET STORAGE EXTERNAL; -- noise does not compress
SELECT wall('evidence');
CREATE INDEX evidence_credential ON evidence (tenant_id, credential_id);
CREATE INDEX evidence_user ON evidence (tenant_id, user_id);
CREATE INDEX evidence_version ON evidence (tenant_id, key_version, id); -- what is to be sealed again
CREATE INDEX evidence_retention ON evidence (tenant_id, retention_days); -- what another policy was reckoned by
CREATE INDEX evidence_waiting ON evidence (tenant_id, id) WHERE body IS NOT NULL;
CREATE INDEX evidence_due ON evidence (due_at);
GRANT SELECT, INSERT, DELETE ON evidence TO bc_app;
GRANT UPDATE (user_id, credential_id, record_key, key_version, body, stored_at, retention_days, expires_at, due_at) ON evidence TO bc_app;

-- The maintenance asks which tenants have something due, and sees no more.
CREATE POLICY due ON evidence FOR SELECT TO bc_jobs USING (due_at <= now());
GRANT SELECT (tenant_id, due_at) ON evidence TO bc_jobs;

-- Evidence of a user who is erased: nothing opens it from that moment on, whichever
-- release erases, and the maintenance removes object and row.
-- +goose StatementBegin
CREATE FUNCTION erase_evidence() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  NEW.credential_id := NULL;
  NEW.record_key := NULL;
  NEW.body := NULL;
  NEW.expires_at := now();
  NEW.due_at := now();
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER erase BEFORE UPDATE OF user_id ON evidence
  FOR EACH ROW WHEN (OLD.user_id IS NOT NULL AND NEW.user_id IS NULL) EXECUTE FUNCTION erase_evidence();

-- It comes last: it locks users until the commit.
SET LOCAL lock_timeout = '5s';
ALTER TABLE evidence ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE SET NULL (user_id);
