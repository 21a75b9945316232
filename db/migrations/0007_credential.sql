-- +goose Up
-- A credential is hot: each sign-in updates sign_count, last_used_at and backed_up
-- in place (HOT), so no index may cover them and pages keep room for versions.
-- user_blocked repeats users.state for the sign-in statement, which joins nothing;
-- whoever changes users.state changes it in the same transaction.
CREATE TABLE credentials (
  tenant_id          uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id                 bytea NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 1023), -- WebAuthn's credential ID
  user_id            uuid NOT NULL,
  state              text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'SUSPENDED', 'REVOKED')),
  user_blocked       boolean NOT NULL DEFAULT false,
  sign_count         bigint NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
  backed_up          boolean NOT NULL,
  backup_eligible    boolean NOT NULL,
  last_used_at       timestamptz,
  public_key         bytea NOT NULL, -- COSE_Key: needs integrity, not secrecy
  algorithm          integer NOT NULL, -- COSE algorithm identifier
  aaguid             uuid NOT NULL,
  attestation_format text NOT NULL,
  attestation_type   text NOT NULL, -- as parsed: NONE, SELF, BASIC ...; trust is judged elsewhere
  transports         text[] NOT NULL DEFAULT '{}',
  attachment         text NOT NULL DEFAULT '',
  discoverable       boolean, -- credProps.rk; NULL when the client did not say
  nickname           text NOT NULL DEFAULT '',
  registered_via     text NOT NULL CHECK (registered_via IN ('SERVER_KEY', 'REGISTRATION_TOKEN')), -- who vouched for the person
  created_at         timestamptz NOT NULL,
  updated_at         timestamptz NOT NULL,
  revoked_at         timestamptz,
  version            integer NOT NULL DEFAULT 1, -- the etag; sign-ins don't raise it
  PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 70);
CREATE INDEX credentials_user ON credentials (tenant_id, user_id);
SELECT wall('credentials');
ALTER TABLE credentials ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id);
GRANT SELECT, INSERT, UPDATE, DELETE ON credentials TO bc_app;
-- The writer of sign-ins: columns only; it needs neither keys nor names.
GRANT SELECT (tenant_id, id, user_id, state, user_blocked, sign_count, backed_up, backup_eligible),
      UPDATE (sign_count, last_used_at, backed_up) ON credentials TO bc_writer;
-- The platform plane asks whether a tenant has any, before its RP ID may change.
GRANT SELECT (tenant_id) ON credentials TO bc_control;
