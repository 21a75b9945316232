-- name: LockAttestationRoots :exec
-- Advisory: roots of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore attestation roots ' || current_setting('app.tenant_id'), 0));

-- name: CountAttestationRoots :one
-- Index: attestation_roots_pkey; there are a few.
SELECT count(*)::integer FROM attestation_roots;

-- name: InsertAttestationRoot :one
-- No row: the tenant has this certificate already. Index: attestation_roots_fingerprint.
INSERT INTO attestation_roots (id, name, certificate, fingerprint, aaguids, not_before, not_after, created_by, created_at)
VALUES (sqlc.arg(id), sqlc.arg(name), sqlc.arg(certificate), sqlc.arg(fingerprint), sqlc.arg(aaguids), sqlc.arg(not_before),
  sqlc.arg(not_after), sqlc.arg(created_by), sqlc.arg(created_at))
ON CONFLICT (tenant_id, fingerprint) DO NOTHING
RETURNING *;

-- name: ListAttestationRoots :many
-- All of them, the newest first. Index: attestation_roots_pkey, backwards.
SELECT * FROM attestation_roots ORDER BY id DESC;

-- name: GetAttestationRoot :one
-- Index: attestation_roots_pkey.
SELECT * FROM attestation_roots WHERE id = $1;

-- name: DeleteAttestationRoot :one
-- Index: attestation_roots_pkey.
DELETE FROM attestation_roots WHERE id = $1 RETURNING *;
