-- +goose Up
-- What a tenant settles about its tokens by itself. The rest of its settings, and the
-- version of its policy, are columns that were there; tenants is still written by the platform plane alone, but
-- for these columns of one's own row: the wall leaves no other.
SET LOCAL lock_timeout = '5s';
ALTER TABLE tenants
  ADD COLUMN token_audience text CHECK (octet_length(token_audience) BETWEEN 1 AND 512), -- aud; NULL: the RP ID
  ADD COLUMN token_encryption_key text CHECK (octet_length(token_encryption_key) <= 8192); -- a public JWK; NULL: tokens are only signed
GRANT UPDATE (rp_id, rp_name, origins, direct_tokens, token_audience, token_encryption_key, policy_version, updated_at, version) ON tenants TO bc_app;
