-- name: InsertDataKey :exec
-- A new data key version, wrapped by the KMS. Lock: none. Index: data_keys_pkey.
INSERT INTO data_keys (version, wrapped, kms_key, created_at, due_at) VALUES ($1, $2, $3, $4, $5);

-- name: ListDataKeys :many
-- All versions, newest first: the first seals, all open. Index: data_keys_pkey.
SELECT version, wrapped, kms_key, created_at, rewrapped_at, drained_at, due_at FROM data_keys ORDER BY version DESC;

-- name: LockKeys :exec
-- Whoever changes the tenant's keys, one after the other, until the transaction ends. No row would do for a lock: a
-- statement that has waited for one does not see the rows that were inserted meanwhile, and new keys are new rows.
SELECT pg_advisory_xact_lock(hashtextextended('biocore keys of ' || current_setting('app.tenant_id'), 0));

-- name: RewrapDataKey :execrows
-- As bc_control. Only over what was opened: whoever was faster wins. Index: data_keys_pkey.
UPDATE data_keys SET wrapped = sqlc.arg(wrapped), kms_key = sqlc.arg(kms_key), rewrapped_at = sqlc.arg(now)::timestamptz
WHERE version = sqlc.arg(version) AND wrapped = sqlc.arg(was);

-- name: SetDataKeyDue :exec
-- As bc_control. Index: data_keys_pkey.
UPDATE data_keys SET drained_at = sqlc.narg(drained_at), due_at = sqlc.narg(due_at) WHERE version = sqlc.arg(version);

-- name: DeleteDataKey :execrows
-- As bc_control. What is still sealed under it is lost. Index: data_keys_pkey.
DELETE FROM data_keys WHERE version = $1;

-- name: InsertSigningKey :exec
-- Index: signing_keys_pkey; signing_keys_active and signing_keys_pending refuse a second.
INSERT INTO signing_keys (kid, algorithm, state, location, public_key, private_sealed, created_at, activate_at, activated_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: ListSigningKeys :many
-- Everything but revoked keys: what the JWKS publishes. Newest first. Index: signing_keys_pkey.
SELECT kid, algorithm, state, location, public_key, private_sealed, created_at
FROM signing_keys WHERE state <> 'REVOKED' ORDER BY created_at DESC, kid;

-- name: ListLiveSigningKeys :many
-- All but revoked keys, oldest first, for whoever changes them: after LockKeys. Index: signing_keys_pkey.
SELECT * FROM signing_keys WHERE state <> 'REVOKED' ORDER BY created_at, kid;

-- name: ListSigningKeyHistory :many
-- The newest, revoked ones included: a tenant makes a few a year. Index: signing_keys_pkey.
SELECT * FROM signing_keys ORDER BY created_at DESC, kid LIMIT sqlc.arg(max_rows);

-- name: ListPublicSigningKeys :many
-- ListSigningKeyHistory without the private halves, which support must not read. Index: signing_keys_pkey.
SELECT kid, algorithm, state, location, public_key, created_at, activate_at, activated_at, retired_at, revoke_at, revoked_at, revoke_reason
FROM signing_keys ORDER BY created_at DESC, kid LIMIT sqlc.arg(max_rows);

-- name: ListRevokedSigningKeysDue :many
-- What is to be destroyed in the KMS, the oldest first. Index: signing_keys_pkey.
SELECT * FROM signing_keys WHERE state = 'REVOKED' AND due_at IS NOT NULL ORDER BY created_at, kid LIMIT sqlc.arg(max_rows);

-- name: GetSigningKey :one
-- Index: signing_keys_pkey.
SELECT * FROM signing_keys WHERE kid = $1;

-- name: ActivateSigningKey :one
-- Under LockKeys, after the one before was retired. Index: signing_keys_pkey.
UPDATE signing_keys SET state = 'ACTIVE', activated_at = sqlc.arg(now)::timestamptz, due_at = sqlc.arg(due_at)::timestamptz
WHERE kid = sqlc.arg(kid) RETURNING *;

-- name: RetireSigningKey :one
-- Under LockKeys. Index: signing_keys_pkey.
UPDATE signing_keys SET state = 'RETIRING', retired_at = sqlc.arg(now)::timestamptz, revoke_at = sqlc.arg(revoke_at)::timestamptz, due_at = sqlc.arg(revoke_at)::timestamptz
WHERE kid = sqlc.arg(kid) RETURNING *;

-- name: RevokeSigningKey :one
-- Under LockKeys. Destroys the sealed half; one in the KMS is due at once. Index: signing_keys_pkey.
UPDATE signing_keys SET state = 'REVOKED', revoked_at = sqlc.arg(now)::timestamptz, revoke_reason = sqlc.arg(reason)::text,
  private_sealed = CASE location WHEN 'KMS' THEN private_sealed END,
  due_at = CASE location WHEN 'KMS' THEN sqlc.arg(now)::timestamptz END
WHERE kid = sqlc.arg(kid) RETURNING *;

-- name: SetSigningKeyDue :exec
-- Under LockKeys. Index: signing_keys_pkey.
UPDATE signing_keys SET due_at = sqlc.narg(due_at) WHERE kid = sqlc.arg(kid);

-- name: DropSigningKeyPrivate :exec
-- The KMS has destroyed it: where it was is forgotten. Index: signing_keys_pkey.
UPDATE signing_keys SET private_sealed = NULL, due_at = NULL WHERE kid = $1 AND state = 'REVOKED';

-- name: ListSealedSigningKeys :many
-- Whose private half, or where it is, is still kept. Index: signing_keys_pkey.
SELECT * FROM signing_keys WHERE private_sealed IS NOT NULL ORDER BY created_at, kid;

-- name: ResealSigningKey :execrows
-- Only over what was opened. Index: signing_keys_pkey.
UPDATE signing_keys SET private_sealed = sqlc.arg(sealed) WHERE kid = sqlc.arg(kid) AND private_sealed = sqlc.arg(was);

-- name: InsertDeletionCertificate :exec
-- As bc_control, in the transaction that destroys the keys. Index: deletion_certificates_pkey.
INSERT INTO deletion_certificates (certificate, created_at) VALUES ($1, $2);

-- name: GetDeletionCertificate :one
-- As bc_control. Index: deletion_certificates_pkey.
SELECT certificate, created_at FROM deletion_certificates;
