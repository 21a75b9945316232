-- name: ListMembershipsOfPerson :many
-- In which tenants a person works, by name: also those that can still be restored. Index: members_person, tenants_pkey.
SELECT t.id, t.slug, t.name, t.mode, t.state, m.role
FROM members m JOIN tenants t ON t.id = m.tenant_id
WHERE m.person_id = sqlc.arg(person_id) AND t.slug <> 'platform' AND (t.state <> 'DELETING' OR t.delete_after > now() AND t.shredded_at IS NULL)
ORDER BY t.name, t.id LIMIT 200;
