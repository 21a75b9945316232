-- name: ListSupportGrantsOfPerson :many
-- Of one of the staff, in all tenants, the newest first. As bc_control. Index: support_grants_person, backwards; tenants_pkey.
SELECT t.slug, t.name, t.mode, t.state AS tenant_state, sqlc.embed(g)
FROM support_grants g JOIN tenants t ON t.id = g.tenant_id
WHERE g.person_id = sqlc.arg(person_id) ORDER BY g.id DESC LIMIT sqlc.arg(max_rows);

-- name: ListRunningSupportOfPerson :many
-- Where one of the staff has been let in, now. As bc_control. Index: support_grants_person; tenants_pkey.
SELECT t.slug, t.name, t.mode, t.state AS tenant_state, sqlc.embed(g)
FROM support_grants g JOIN tenants t ON t.id = g.tenant_id
WHERE g.person_id = sqlc.arg(person_id) AND g.state = 'GRANTED' AND g.expires_at > statement_timestamp() AND t.state <> 'DELETING'
ORDER BY g.id DESC LIMIT sqlc.arg(max_rows);
