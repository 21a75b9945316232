-- name: AdmitKeys :one
-- Comes before every statement with a key in its transaction: whether Postgres would
-- log the key, and whether it is needed at all. With generic plans parameters stay $1
-- wherever plans are shown (auto_explain, debug_print_plan); a custom plan holds their
-- values. Bound parameters get into a log by the settings named here; Bootstrap switches
-- that off for our roles.
-- Index: contacts_pkey.
SELECT set_config('plan_cache_mode', 'force_generic_plan', true) AS plan_cache_mode,
  (current_setting('log_parameter_max_length_on_error') <> '0'
   OR coalesce(current_setting('pgaudit.log_parameter', true), 'off') = 'on'
   OR (coalesce(current_setting('auto_explain.log_parameter_max_length', true), '0') <> '0'
       AND current_setting('auto_explain.log_min_duration', true) <> '-1')
   OR (current_setting('log_parameter_max_length') <> '0'
       AND (current_setting('log_statement') IN ('mod', 'all') OR current_setting('log_min_duration_statement') <> '-1'
            OR current_setting('log_min_duration_sample') <> '-1' OR current_setting('log_transaction_sample_rate') <> '0')))::boolean AS logged,
  EXISTS (SELECT FROM contacts WHERE user_id = ANY (sqlc.arg(user_ids)::uuid[])) AS found;

-- name: PutContact :exec
-- Under the user's lock. The blind index is of the value as it is compared. Index: contacts_pkey.
INSERT INTO contacts (user_id, kind, sealed, match_index, key_version, created_at, updated_at)
VALUES (sqlc.arg(user_id), sqlc.arg(kind),
  contact_seal(sqlc.arg(value)::text, contact_passphrase(
    NULLIF(current_setting('app.tenant_id', true), '')::uuid, sqlc.arg(user_id)::uuid, sqlc.arg(kind)::text, sqlc.arg(key)::bytea)),
  sealing.hmac(convert_to(sqlc.arg(compared)::text, 'UTF8'), sqlc.arg(index_key)::bytea, 'sha256'),
  sqlc.arg(key_version), sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (tenant_id, user_id, kind) DO UPDATE
SET sealed = EXCLUDED.sealed, match_index = EXCLUDED.match_index, key_version = EXCLUDED.key_version, updated_at = EXCLUDED.updated_at;

-- name: DeleteContact :execrows
-- Under the user's lock. Index: contacts_pkey.
DELETE FROM contacts WHERE user_id = sqlc.arg(user_id) AND kind = sqlc.arg(kind);

-- name: DeleteContactsOfUser :execrows
-- Under the user's lock, when the user is erased. Index: contacts_pkey.
DELETE FROM contacts WHERE user_id = $1;

-- name: OpenContacts :many
-- Opens the contacts of a page of users; value is empty where one does not open.
-- keys are those of versions, in the same order. Index: contacts_pkey.
SELECT c.user_id, c.kind, c.match_index, coalesce(contact_open(c.sealed, contact_passphrase(c.tenant_id, c.user_id, c.kind,
  (sqlc.arg(keys)::bytea[])[array_position(sqlc.arg(versions)::integer[], c.key_version)])), '')::text AS value
FROM contacts c WHERE c.user_id = ANY (sqlc.arg(user_ids)::uuid[]);

-- name: ListUsersOfContact :many
-- Who has one address: keyset by user, newest first. A second address of the other kind
-- narrows it. Index: contacts_match, backwards; user_facts_pkey.
SELECT f.user_id, f.last_sign_in_at
FROM contacts c
JOIN user_facts f ON f.tenant_id = c.tenant_id AND f.user_id = c.user_id
WHERE c.kind = sqlc.arg(kind) AND c.match_index = sealing.hmac(convert_to(sqlc.arg(compared)::text, 'UTF8'), sqlc.arg(index_key)::bytea, 'sha256')
  AND (sqlc.narg(other_kind)::text IS NULL OR EXISTS (
    SELECT FROM contacts o WHERE o.user_id = c.user_id AND o.kind = sqlc.narg(other_kind)::text
      AND o.match_index = sealing.hmac(convert_to(sqlc.narg(other_compared)::text, 'UTF8'), sqlc.arg(index_key)::bytea, 'sha256')))
  AND (sqlc.narg(after_id)::uuid IS NULL OR c.user_id < sqlc.narg(after_id)::uuid)
  AND (sqlc.narg(state)::text IS NULL OR f.state = sqlc.narg(state)::text)
  AND (sqlc.narg(bare)::boolean IS NULL OR f.bare = sqlc.narg(bare)::boolean)
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR f.created_at >= sqlc.narg(created_from)::timestamptz)
  AND (sqlc.narg(created_before)::timestamptz IS NULL OR f.created_at < sqlc.narg(created_before)::timestamptz)
  AND (sqlc.narg(sign_in_from)::timestamptz IS NULL OR f.last_sign_in_at >= sqlc.narg(sign_in_from)::timestamptz)
  AND (sqlc.narg(sign_in_before)::timestamptz IS NULL OR f.last_sign_in_at < sqlc.narg(sign_in_before)::timestamptz)
ORDER BY c.user_id DESC LIMIT sqlc.arg(max_rows);

-- name: SummarizeContacts :many
-- All of the tenant's contacts, opened and counted: a row for each kind, with part
-- empty, then the commonest parts of each: an e-mail's domain, a phone number's calling
-- code (ITU-T E.164: one digit in zones 1 and 7, else two or three; no code begins another).
-- Only the part is kept of a value, since rows that are grouped may go through a
-- temporary file. Reads the table once, no index.
WITH opened AS (
  SELECT kind, match_index, CASE kind WHEN 'EMAIL' THEN split_part(value, '@', 2) ELSE substring(value,
    '^(\+(?:1|7|2[07]|2[1-689]\d|3[0-469]|3[578]\d|4[013-9]|42\d|5[1-8]|5[09]\d|6[0-6]|6[7-9]\d|8[1246]|8[035789]\d|9[0-58]|9[679]\d))\d+$') END AS part
  FROM (
    SELECT c.kind, c.match_index, contact_open(c.sealed, contact_passphrase(c.tenant_id, c.user_id, c.kind,
      (sqlc.arg(keys)::bytea[])[array_position(sqlc.arg(versions)::integer[], c.key_version)])) AS value
    FROM contacts c
  ) v
), totals AS (
  SELECT kind, count(*) AS users, count(DISTINCT match_index) AS different, count(*) FILTER (WHERE part IS NULL) AS unopened
  FROM opened GROUP BY kind
), parts AS (
  SELECT kind, part, count(*) AS users, row_number() OVER (PARTITION BY kind ORDER BY count(*) DESC, part COLLATE "C") AS place
  FROM opened WHERE part IS NOT NULL GROUP BY kind, part
)
SELECT kind, ''::text AS part, users, different, unopened, 0::bigint AS place FROM totals
UNION ALL
SELECT kind, part, users, 0, 0, place FROM parts WHERE place <= sqlc.arg(max_parts)::bigint
ORDER BY kind, place;

-- name: ResealContacts :many
-- Opens contacts that an older data key sealed, and seals them under the newest;
-- answers what it looked at. Compare and set: a contact that was written
-- meanwhile keeps what was written. One that does not open stays as it is, and the
-- caller goes on behind it. At most 250: a generic plan takes a LIMIT that it does not
-- know for a tenth of the table, and would scan all of it for the update. Lock: the rows
-- written. Index: contacts_version, contacts_pkey.
WITH stale AS MATERIALIZED (
  SELECT c.key_version, c.user_id, c.kind, c.sealed, contact_open(c.sealed, contact_passphrase(c.tenant_id, c.user_id, c.kind,
    (sqlc.arg(keys)::bytea[])[array_position(sqlc.arg(versions)::integer[], c.key_version)])) AS value
  FROM (
    SELECT o.tenant_id, o.key_version, o.user_id, o.kind, o.sealed FROM contacts o
    WHERE o.key_version < sqlc.arg(key_version)::integer
      AND (o.key_version, o.user_id, o.kind) > (sqlc.arg(after_version)::integer, sqlc.arg(after_id)::uuid, sqlc.arg(after_kind)::text)
    ORDER BY o.key_version, o.user_id, o.kind LIMIT 250
  ) c
  ORDER BY c.key_version, c.user_id, c.kind LIMIT sqlc.arg(max_rows)
), written AS (
  UPDATE contacts c SET key_version = sqlc.arg(key_version)::integer,
    sealed = contact_seal(s.value, contact_passphrase(c.tenant_id, c.user_id, c.kind, sqlc.arg(key)::bytea))
  FROM stale s
  WHERE c.user_id = s.user_id AND c.kind = s.kind AND c.sealed = s.sealed AND s.value IS NOT NULL
  RETURNING c.user_id, c.kind
)
SELECT s.key_version, s.user_id, s.kind, (s.value IS NOT NULL)::boolean AS opened, (w.user_id IS NOT NULL)::boolean AS written
FROM stale s LEFT JOIN written w ON w.user_id = s.user_id AND w.kind = s.kind
ORDER BY s.key_version, s.user_id, s.kind;

-- name: FillProfileVersions :execrows
-- Profiles that no writer has touched since the column is there get their version, by
-- the trigger that sets it: the bytes stay. A row that is written meanwhile has one by
-- then, which the condition sees once this has waited. At most 250, as ResealContacts.
-- Lock: the rows written. Index: users_profile_version, users_pkey.
UPDATE users u SET profile_sealed = u.profile_sealed
FROM (
  SELECT o.id FROM (
    SELECT n.id FROM users n WHERE n.profile_version IS NULL ORDER BY n.id LIMIT 250
  ) o ORDER BY o.id LIMIT sqlc.arg(max_rows)
) s
WHERE u.id = s.id AND u.profile_version IS NULL;

-- name: ListStaleProfiles :many
-- Profiles that an older data key sealed, after FillProfileVersions. Index: users_profile_version.
SELECT id, profile_sealed, profile_version::bigint AS sealed_by FROM users
WHERE profile_version < sqlc.arg(profile_version)::bigint
  AND (profile_version, id) > (sqlc.arg(after_version)::bigint, sqlc.arg(after_id)::uuid)
ORDER BY profile_version, id LIMIT sqlc.arg(max_rows);

-- name: ReplaceProfile :execrows
-- The same profile, sealed anew, unless it was written meanwhile: the etag and the time
-- of change stay. Lock: the row. Index: users_pkey.
UPDATE users SET profile_sealed = sqlc.arg(profile_sealed)
WHERE id = sqlc.arg(id) AND profile_sealed = sqlc.arg(was);
