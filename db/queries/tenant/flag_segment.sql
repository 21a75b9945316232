-- name: LockSegments :exec
-- Advisory: segments and their members are changed one after the other, and while no rule that asks for one is saved.
SELECT pg_advisory_xact_lock(hashtextextended('biocore flag segments ' || current_setting('app.tenant_id'), 0));

-- name: HoldSegments :exec
-- Advisory, shared: no segment comes or goes while rules that ask for one are saved, or read with it.
SELECT pg_advisory_xact_lock_shared(hashtextextended('biocore flag segments ' || current_setting('app.tenant_id'), 0));

-- name: SumSegmentBytes :one
-- What the conditions of all segments but one take, and that of the one, as they are read. Index: flag_segments_pkey; there are at most 200.
SELECT coalesce(sum(octet_length(condition::text)) FILTER (WHERE key <> sqlc.arg(key)), 0)::bigint AS others,
  coalesce(sum(octet_length(condition::text)) FILTER (WHERE key = sqlc.arg(key)), 0)::bigint AS before
FROM flag_segments;

-- name: ListSegments :many
-- All, by key, with how many are listed. Index: flag_segments_pkey, flag_segment_members_pkey; there are at most 200, with 200,000 members in all.
SELECT sqlc.embed(s),
  (SELECT count(*)::integer FROM flag_segment_members m WHERE m.segment_key = s.key AND NOT m.excluded) AS included,
  (SELECT count(*)::integer FROM flag_segment_members m WHERE m.segment_key = s.key AND m.excluded) AS excluded
FROM flag_segments s ORDER BY s.key;

-- name: GetSegment :one
-- Index: flag_segments_pkey, flag_segment_members_pkey.
SELECT sqlc.embed(s),
  (SELECT count(*)::integer FROM flag_segment_members m WHERE m.segment_key = s.key AND NOT m.excluded) AS included,
  (SELECT count(*)::integer FROM flag_segment_members m WHERE m.segment_key = s.key AND m.excluded) AS excluded
FROM flag_segments s WHERE s.key = $1;

-- name: InsertSegment :execrows
-- None where there is one of this key. Index: flag_segments_pkey.
INSERT INTO flag_segments (key, name, description, condition, created_by, created_at, updated_by, updated_at)
VALUES (sqlc.arg(key), sqlc.arg(name), sqlc.arg(description), sqlc.arg(condition), sqlc.arg(by), sqlc.arg(now), sqlc.arg(by), sqlc.arg(now))
ON CONFLICT DO NOTHING;

-- name: CountSegments :one
-- Index: flag_segments_pkey.
SELECT count(*)::integer FROM flag_segments;

-- name: UpdateSegment :exec
-- Under LockSegments. Index: flag_segments_pkey.
UPDATE flag_segments SET name = sqlc.arg(name), description = sqlc.arg(description), condition = sqlc.arg(condition), updated_by = sqlc.arg(by), updated_at = sqlc.arg(now), version = version + 1
WHERE key = sqlc.arg(key);

-- name: DeleteSegment :exec
-- Under LockSegments; its members go with it. Index: flag_segments_pkey, flag_segment_members_pkey.
DELETE FROM flag_segments WHERE key = $1;

-- name: ListFlagsOfSegment :many
-- Whose rules ask for a segment, in any environment. Reads all rules of the tenant: at most three thousand rows.
SELECT DISTINCT flag_key FROM flag_targeting
WHERE jsonb_path_exists(rules, '$.**.segment ? (@ == $key)', jsonb_build_object('key', sqlc.arg(key)::text)) ORDER BY flag_key;

-- name: ListMemberships :many
-- What is in memory of all lists of the tenant. Reads them all: at most 200,000 rows.
SELECT segment_key, substring(targeting_index FROM 1 FOR 16)::bytea AS digest, excluded FROM flag_segment_members;

-- name: CountSegmentMembers :one
-- Of all segments. Index: flag_segment_members_index; at most 200,000 rows.
SELECT count(*)::integer FROM flag_segment_members;

-- name: PutSegmentMembers :execrows
-- Those that are there with the other sign get this one. Index: flag_segment_members_pkey.
INSERT INTO flag_segment_members AS m (segment_key, targeting_index, user_id, excluded, added_by, added_at)
SELECT sqlc.arg(segment_key), u.targeting_index, NULLIF(u.user_id, '')::uuid, sqlc.arg(excluded), sqlc.arg(by), sqlc.arg(now)
FROM (SELECT unnest(sqlc.arg(targeting_indexes)::bytea[]) AS targeting_index, unnest(sqlc.arg(user_ids)::text[]) AS user_id) u
ON CONFLICT (tenant_id, segment_key, targeting_index) DO UPDATE SET excluded = EXCLUDED.excluded, added_by = EXCLUDED.added_by, added_at = EXCLUDED.added_at
WHERE m.excluded <> EXCLUDED.excluded;

-- name: RemoveSegmentMembers :execrows
-- Index: flag_segment_members_pkey.
DELETE FROM flag_segment_members WHERE segment_key = sqlc.arg(segment_key) AND targeting_index = ANY(sqlc.arg(targeting_indexes)::bytea[]);

-- name: TouchSegment :exec
-- Whose members changed. Under LockSegments. Index: flag_segments_pkey.
UPDATE flag_segments SET updated_by = sqlc.arg(by), updated_at = sqlc.arg(now), version = version + 1 WHERE key = sqlc.arg(key);

-- name: GetSegmentMember :one
-- Index: flag_segment_members_pkey.
SELECT excluded, added_by, added_at FROM flag_segment_members WHERE segment_key = sqlc.arg(segment_key) AND targeting_index = sqlc.arg(targeting_index);

-- name: DeleteSegmentMembersOfUser :execrows
-- When a user is erased: listed by external id, or by id. Index: flag_segment_members_index, flag_segment_members_user.
DELETE FROM flag_segment_members WHERE targeting_index = sqlc.arg(external_index) OR user_id = sqlc.arg(user_id)::uuid;

-- name: InsertSegmentChange :exec
INSERT INTO flag_segment_changes (id, segment_key, action, before, after, members, reason, changed_by, changed_at)
VALUES (sqlc.arg(id), sqlc.arg(segment_key), sqlc.arg(action), sqlc.narg(before), sqlc.narg(after), sqlc.arg(members), sqlc.arg(reason), sqlc.arg(by), sqlc.arg(now));

-- name: ListSegmentChanges :many
-- Keyset by id, newest first. Index: flag_segment_changes_segment, backwards.
SELECT * FROM flag_segment_changes WHERE segment_key = sqlc.arg(segment_key) AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid)
ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: GetSegmentChange :one
-- Index: flag_segment_changes_pkey.
SELECT * FROM flag_segment_changes WHERE id = sqlc.arg(id) AND segment_key = sqlc.arg(segment_key);
