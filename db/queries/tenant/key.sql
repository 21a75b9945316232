-- name: InsertDataKey :exec
-- A new data key version, wrapped by the KMS. Lock: none. Index: data_keys_pkey.
INSERT INTO data_keys (version, wrapped, kms_key, created_at) VALUES ($1, $2, $3, $4);

-- name: ListDataKeys :many
-- All versions, newest first: the first seals, all open. Index: data_keys_pkey.
SELECT version, wrapped, kms_key, created_at FROM data_keys ORDER BY version DESC;

-- name: InsertSigningKey :exec
-- Index: signing_keys_pkey.
INSERT INTO signing_keys (kid, algorithm, state, public_key, private_sealed, created_at)
VALUES ($1, $2, $3, $4, $5, $6);

-- name: ListSigningKeys :many
-- Everything but revoked keys: what the JWKS publishes. Newest first. Index: signing_keys_pkey.
SELECT kid, algorithm, state, public_key, private_sealed, created_at
FROM signing_keys WHERE state <> 'REVOKED' ORDER BY created_at DESC, kid;
