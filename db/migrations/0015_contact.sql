-- +goose Up
-- How to reach a user. Unlike a profile, which Go seals as one blob, an address is
-- sealed by Postgres itself (pgcrypto): reports over all of a tenant's are one
-- statement, and rows never leave for it. The key comes as a bound parameter of
-- that statement and is nowhere in the database (ADR 0017).
--
-- pgcrypto is a trusted extension: bc_owner may make it. Its functions belong to the
-- superuser who made the cluster, with EXECUTE for everybody, so it is the schema that
-- keeps them to bc_app. Where somebody has installed it elsewhere, it is theirs to move:
-- functions of their own may call it there.
-- +goose StatementBegin
DO $$
DECLARE
  place name := (SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgcrypto');
BEGIN
  IF place <> 'sealing' THEN
    RAISE EXCEPTION 'the extension pgcrypto is in schema %, where others than bc_app may call it: as its owner run CREATE SCHEMA IF NOT EXISTS sealing AUTHORIZATION bc_owner; ALTER EXTENSION pgcrypto SET SCHEMA sealing; then migrate again', place
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
END $$;
-- +goose StatementEnd
CREATE SCHEMA IF NOT EXISTS sealing;
CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA sealing;
GRANT USAGE ON SCHEMA sealing TO bc_app;

CREATE TABLE contacts (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  user_id     uuid NOT NULL,
  kind        text NOT NULL CHECK (kind IN ('EMAIL', 'PHONE')),
  sealed      bytea NOT NULL CHECK (octet_length(sealed) BETWEEN 64 AND 512), -- contact_seal's, under contact_passphrase of this row
  match_index bytea NOT NULL CHECK (octet_length(match_index) = 32), -- HMAC of the value as it is compared, under the tenant's index key
  key_version integer NOT NULL CHECK (key_version > 0), -- of the data key that sealed it
  created_at  timestamptz NOT NULL,
  updated_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id, kind)
);
SELECT wall('contacts');
CREATE INDEX contacts_match ON contacts (tenant_id, kind, match_index, user_id); -- not unique: a family may share an address
CREATE INDEX contacts_version ON contacts (tenant_id, key_version, user_id, kind); -- what is to be sealed again
GRANT SELECT, INSERT, UPDATE (sealed, match_index, key_version, updated_at), DELETE ON contacts TO bc_app;

-- The functions below see nothing but their arguments. Names in bodies that begin
-- with RETURN are bound here and now, not by a caller's search_path.

-- contact_passphrase binds a sealed value to its row, as associated data does
-- elsewhere: moved to another row, kind or tenant it does not open.
-- +goose StatementBegin
CREATE FUNCTION contact_passphrase(tenant_id uuid, user_id uuid, kind text, key bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN encode(sealing.hmac(uuid_send(tenant_id) || uuid_send(user_id) || convert_to(kind, 'UTF8'), key, 'sha256'), 'hex');
-- +goose StatementEnd

-- contact_seal makes an OpenPGP message. s2k-mode=1 salts and hashes the passphrase
-- once: it holds 256 bits, and stretching it (mode 3, the default) would cost
-- milliseconds a row and gain nothing.
-- +goose StatementBegin
CREATE FUNCTION contact_seal(value text, passphrase text) RETURNS bytea
LANGUAGE sql VOLATILE STRICT
RETURN sealing.pgp_sym_encrypt_bytea(convert_to(value, 'UTF8'), passphrase,
  's2k-mode=1, s2k-digest-algo=sha256, cipher-algo=aes256, compress-algo=0');
-- +goose StatementEnd

-- contact_open answers NULL for what does not open, so that one damaged row does not
-- end a report over all. It opens what contact_seal makes and no other form: the first
-- six bytes are its parameters, and byte 14 says that the text is authenticated.
-- pgcrypto itself would also open a message whose authentication was cut off.
-- +goose StatementBegin
CREATE FUNCTION contact_open(sealed bytea, passphrase text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT COST 1000 SET search_path = pg_catalog AS $$
BEGIN
  IF octet_length(sealed) < 64 OR substring(sealed, 1, 6) <> '\xc30c04090108' OR get_byte(sealed, 14) <> 210 THEN
    RETURN NULL;
  END IF;
  RETURN convert_from(sealing.pgp_sym_decrypt_bytea(sealed, passphrase), 'UTF8');
EXCEPTION WHEN external_routine_invocation_exception OR character_not_in_repertoire THEN
  RETURN NULL; -- wrong key or corrupt data
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION contact_passphrase(uuid, uuid, text, bytea), contact_seal(text, text), contact_open(bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION contact_passphrase(uuid, uuid, text, bytea), contact_seal(text, text), contact_open(bytea, text) TO bc_app;

-- What follows locks users, for milliseconds and until the commit: it comes last, the
-- strongest lock first, and none of it reads or writes the rows. A wait for the lock
-- would stop everybody behind it.
SET LOCAL lock_timeout = '5s';

-- Which data key sealed a profile: its bytes 1 to 4 (package keys). A column of its
-- own, because row-level security keeps an index over substring() from being used. NULL
-- in rows from before, until the reseal job comes by: a generated column would rewrite
-- the table while all tenants wait. Its index is 0017's.
ALTER TABLE users ADD COLUMN profile_version bigint;

-- A server of the release before erases users and knows no contacts. The cascade runs
-- with the owner's rights past row-level security, as the check of a key does, and by
-- the whole key: it reaches this tenant's rows alone.
ALTER TABLE contacts ADD FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE;

-- A trigger, so that no writer can forget it: the release before does not know the
-- column, and a profile that it wrote under an older key while this one is rolled out
-- must not pass for one under the newest, whose predecessor may then be destroyed.
-- Bytes that are no sealed value are version 0: stale, and found damaged by the job.
-- +goose StatementBegin
CREATE FUNCTION set_profile_version() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  NEW.profile_version := CASE WHEN octet_length(NEW.profile_sealed) < 5 THEN 0 ELSE
    (get_byte(NEW.profile_sealed, 1)::bigint << 24) | (get_byte(NEW.profile_sealed, 2) << 16) | (get_byte(NEW.profile_sealed, 3) << 8) | get_byte(NEW.profile_sealed, 4) END;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER profile_version BEFORE INSERT OR UPDATE OF profile_sealed ON users
  FOR EACH ROW EXECUTE FUNCTION set_profile_version();
