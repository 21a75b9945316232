-- name: LockFlags :exec
-- Advisory: flags of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore flags ' || current_setting('app.tenant_id'), 0));

-- name: CountFlags :one
-- Index: flags_pkey; there are at most a thousand.
SELECT count(*)::integer FROM flags;

-- name: InsertFlag :execrows
-- None where there is one of this key. Index: flags_pkey.
INSERT INTO flags (key, type, name, description, owner, remove_by, variants, client_visible, created_by, created_at, updated_by, updated_at)
VALUES (sqlc.arg(key), sqlc.arg(type), sqlc.arg(name), sqlc.arg(description), sqlc.arg(owner), sqlc.narg(remove_by), sqlc.arg(variants), sqlc.arg(client_visible),
  sqlc.arg(by), sqlc.arg(now), sqlc.arg(by), sqlc.arg(now))
ON CONFLICT DO NOTHING;

-- name: InsertFlagTargeting :exec
INSERT INTO flag_targeting (flag_key, environment, enabled, off_variant, default_variant, rules, salt, updated_by, updated_at)
VALUES (sqlc.arg(flag_key), sqlc.arg(environment), sqlc.arg(enabled), sqlc.arg(off_variant), sqlc.arg(default_variant), sqlc.arg(rules), sqlc.arg(salt), sqlc.arg(by), sqlc.arg(now));

-- name: ListFlags :many
-- All of one environment, by key. Index: flag_targeting_pkey, flags_pkey; there are at most a thousand.
SELECT sqlc.embed(flags), sqlc.embed(flag_targeting) FROM flag_targeting JOIN flags ON flags.key = flag_targeting.flag_key AND flags.tenant_id = flag_targeting.tenant_id
WHERE flag_targeting.environment = sqlc.arg(environment) ORDER BY flags.key;

-- name: SumFlagBytes :one
-- What all flags of an environment but one take, as they are read. Index: flag_targeting_pkey, flags_pkey; there are at most a thousand.
SELECT coalesce(sum(octet_length(flags.variants::text)), 0)::bigint AS variants, coalesce(sum(octet_length(flag_targeting.rules::text)), 0)::bigint AS rules
FROM flag_targeting JOIN flags ON flags.key = flag_targeting.flag_key AND flags.tenant_id = flag_targeting.tenant_id
WHERE flag_targeting.environment = sqlc.arg(environment) AND flags.key <> sqlc.arg(but);

-- name: GetFlag :many
-- In all its environments. Index: flag_targeting_flag, flags_pkey.
SELECT sqlc.embed(flags), sqlc.embed(flag_targeting) FROM flags JOIN flag_targeting ON flags.key = flag_targeting.flag_key AND flags.tenant_id = flag_targeting.tenant_id
WHERE flags.key = $1;

-- name: LockFlag :one
-- Lock: the row, and by it what it is in each environment. Index: flags_pkey.
SELECT key FROM flags WHERE key = $1 FOR UPDATE;

-- name: UpdateFlag :exec
-- Under LockFlag. Index: flags_pkey.
UPDATE flags SET name = sqlc.arg(name), description = sqlc.arg(description), owner = sqlc.arg(owner), remove_by = sqlc.narg(remove_by), variants = sqlc.arg(variants),
  client_visible = sqlc.arg(client_visible), updated_by = sqlc.arg(by), updated_at = sqlc.arg(now), version = version + 1
WHERE key = sqlc.arg(key);

-- name: UpdateFlagTargeting :exec
-- Under LockFlag. Index: flag_targeting_pkey.
UPDATE flag_targeting SET enabled = sqlc.arg(enabled), off_variant = sqlc.arg(off_variant), default_variant = sqlc.arg(default_variant), rules = sqlc.arg(rules), salt = sqlc.arg(salt),
  updated_by = sqlc.arg(by), updated_at = sqlc.arg(now), version = version + 1
WHERE environment = sqlc.arg(environment) AND flag_key = sqlc.arg(flag_key);

-- name: DeleteFlag :exec
-- Under LockFlag; what it is in each environment goes with it. Index: flags_pkey, flag_targeting_flag.
DELETE FROM flags WHERE key = $1;

-- name: InsertFlagChange :exec
INSERT INTO flag_changes (id, flag_key, environment, action, before, after, reason, changed_by, changed_at)
VALUES (sqlc.arg(id), sqlc.arg(flag_key), sqlc.arg(environment), sqlc.arg(action), sqlc.narg(before), sqlc.narg(after), sqlc.arg(reason), sqlc.arg(by), sqlc.arg(now));

-- name: ListFlagChanges :many
-- Keyset by id, newest first. Index: flag_changes_flag, backwards.
SELECT * FROM flag_changes WHERE flag_key = sqlc.arg(flag_key) AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: GetFlagChange :one
-- Index: flag_changes_pkey.
SELECT * FROM flag_changes WHERE id = sqlc.arg(id) AND flag_key = sqlc.arg(flag_key);
