-- name: ListTenantsWithDomainsDue :many
-- As bc_jobs, whose policy admits only rows that are due. Index: domain_proofs_due.
SELECT tenant_id FROM domain_proofs WHERE due_at <= now() ORDER BY due_at LIMIT sqlc.arg(max_rows);
