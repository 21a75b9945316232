-- +goose Up
-- Where else a tenant's passkeys are used and told of: origins of other domains, apps,
-- and the pages that credential managers link to. Bounded here as the service bounds them.
SET LOCAL lock_timeout = '5s';
ALTER TABLE tenants
  ADD COLUMN related_origins text[] NOT NULL DEFAULT '{}' CHECK (cardinality(related_origins) <= 64),
  ADD COLUMN android_apps    text[] NOT NULL DEFAULT '{}' CHECK (cardinality(android_apps) <= 100), -- package/SHA-256 of a signing certificate, in hex
  ADD COLUMN ios_apps        text[] NOT NULL DEFAULT '{}' CHECK (cardinality(ios_apps) <= 20), -- team.bundle
  ADD COLUMN passkey_enroll_url text CHECK (octet_length(passkey_enroll_url) <= 2048),
  ADD COLUMN passkey_manage_url text CHECK (octet_length(passkey_manage_url) <= 2048),
  ADD COLUMN passkey_prf_url    text CHECK (octet_length(passkey_prf_url) <= 2048);
GRANT UPDATE (related_origins, android_apps, ios_apps, passkey_enroll_url, passkey_manage_url, passkey_prf_url) ON tenants TO bc_app;
-- Documents below /.well-known/ are looked for by the Host that is asked, which is an RP ID.
CREATE INDEX tenants_rp_id ON tenants (rp_id);
