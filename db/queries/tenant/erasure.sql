-- name: InsertErasure :exec
-- Nothing when the subject was erased before. Index: erasures_pkey, erasures_tenant_id_subject_key.
INSERT INTO erasures (id, subject, user_id, at, erased_by, credentials, sessions, contacts, evidence, replayed_at)
VALUES (sqlc.arg(id), sqlc.arg(subject), sqlc.narg(user_id), sqlc.arg(at), sqlc.arg(erased_by), sqlc.arg(credentials), sqlc.arg(sessions), sqlc.arg(contacts),
  sqlc.arg(evidence), sqlc.narg(replayed_at))
ON CONFLICT (tenant_id, subject) DO NOTHING;

-- name: GetErasure :one
-- Index: erasures_pkey.
SELECT * FROM erasures WHERE id = $1;

-- name: GetErasureOfSubject :one
-- Index: erasures_tenant_id_subject_key.
SELECT * FROM erasures WHERE subject = $1;

-- name: ListErasures :many
-- The newest first, keyset by id. Index: erasures_pkey, backwards.
SELECT * FROM erasures WHERE id < sqlc.arg(before_id)::uuid ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: SetErasureCertificate :one
-- Of two at once the first stays, and both answer it. Index: erasures_pkey.
UPDATE erasures SET certificate = coalesce(certificate, sqlc.arg(certificate)::text), issued_at = coalesce(issued_at, sqlc.arg(now)::timestamptz)
WHERE id = sqlc.arg(id) RETURNING certificate::text, issued_at = sqlc.arg(now)::timestamptz AS fresh;

-- name: ListUserIDs :many
-- All users, keyset by id: to find those whom the ledger names. Index: users_pkey.
SELECT id FROM users WHERE id > sqlc.arg(after_id)::uuid ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListSubjects :many
-- Persons whose parts of the audit log open, keyset by id. Index: subject_keys_pkey.
SELECT subject_id FROM subject_keys WHERE salt IS NOT NULL AND subject_id > sqlc.arg(after_id)::uuid ORDER BY subject_id LIMIT sqlc.arg(max_rows);

-- name: CountEvidenceOfUser :one
-- Records that still open. Index: evidence_user.
SELECT count(*) FROM evidence WHERE user_id = sqlc.arg(user_id)::uuid AND record_key IS NOT NULL;

-- name: KnowsErasure :one
-- As bc_control, too: which sees no more than this. Index: erasures_tenant_id_subject_key.
SELECT id FROM erasures WHERE subject = $1;
