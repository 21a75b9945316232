-- name: GetDomainProof :one
-- A tenant's, of whichever RP ID. Named, since bc_control sees other tenants' proven rows too. Lock: none. Index: domain_proofs_pkey.
SELECT rp_id, method, proven_at, checked_at, failing_since, finding_dns, finding_file FROM domain_proofs WHERE tenant_id = $1;

-- name: PutDomainProof :exec
-- Under LockTenant: what a look came to, or an operator's word. Index: domain_proofs_pkey.
INSERT INTO domain_proofs (rp_id, method, proven_at, checked_at, failing_since, finding_dns, finding_file, due_at)
VALUES (sqlc.arg(rp_id), sqlc.narg(method), sqlc.narg(proven_at), sqlc.narg(checked_at), sqlc.narg(failing_since), sqlc.arg(finding_dns), sqlc.arg(finding_file), sqlc.narg(due_at))
ON CONFLICT (tenant_id) DO UPDATE SET rp_id = excluded.rp_id, method = excluded.method, proven_at = excluded.proven_at, checked_at = excluded.checked_at,
  failing_since = excluded.failing_since, finding_dns = excluded.finding_dns, finding_file = excluded.finding_file, due_at = excluded.due_at;
