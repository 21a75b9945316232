-- name: LockScans :exec
-- Advisory: scans and findings of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore dlp ' || current_setting('app.tenant_id'), 0));

-- name: CountOpenScans :one
-- Index: dlp_scans_due.
SELECT count(*)::integer FROM dlp_scans WHERE state IN ('QUEUED', 'RUNNING') AND due_at IS NOT NULL;

-- name: InsertScan :one
-- Index: dlp_scans_pkey.
INSERT INTO dlp_scans (id, state, reason, days, asked_by, created_at, due_at)
VALUES (sqlc.arg(id), 'QUEUED', sqlc.arg(reason), sqlc.arg(days), sqlc.arg(asked_by), sqlc.arg(now), sqlc.arg(now)::timestamptz) RETURNING *;

-- name: TrimScans :exec
-- All but the newest that have ended. Index: dlp_scans_pkey.
DELETE FROM dlp_scans s WHERE s.state IN ('DONE', 'FAILED', 'CANCELLED') AND s.id < (SELECT id FROM dlp_scans ORDER BY id DESC OFFSET sqlc.arg(keep)::int - 1 LIMIT 1);

-- name: GetScan :one
-- Index: dlp_scans_pkey.
SELECT * FROM dlp_scans WHERE id = $1;

-- name: LockScan :one
-- Lock: the row, so that of a scan that ends and somebody who ends it one comes second. Index: dlp_scans_pkey.
SELECT * FROM dlp_scans WHERE id = $1 FOR UPDATE;

-- name: CancelScan :one
-- Under LockScan. The server that is at it sees at its next page that it is not its any more. Index: dlp_scans_pkey.
UPDATE dlp_scans SET state = 'CANCELLED', ended_at = sqlc.arg(now)::timestamptz, due_at = NULL, place = '', after_key = NULL WHERE id = sqlc.arg(id) RETURNING *;

-- name: ListScans :many
-- The newest first; some hundred are kept. Index: dlp_scans_pkey, backwards.
SELECT * FROM dlp_scans ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: ClaimScan :one
-- The oldest that is open and due: the first time, or since nobody has noted anything of it for the length of a lease.
-- Lock: the row, so that of two servers one gets it. Index: dlp_scans_due.
UPDATE dlp_scans SET state = 'RUNNING', attempt = attempt + 1, started_at = sqlc.arg(now)::timestamptz, due_at = sqlc.arg(lease)::timestamptz
WHERE id = (SELECT s.id FROM dlp_scans s WHERE s.state IN ('QUEUED', 'RUNNING') AND s.due_at <= sqlc.arg(now)::timestamptz ORDER BY s.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: NoteScan :execrows
-- A page is done, with its findings, in their transaction. 0: it is no longer this attempt's. Index: dlp_scans_pkey.
UPDATE dlp_scans SET place = sqlc.arg(place), after_key = sqlc.narg(after_key)::text[], done = sqlc.arg(done), total = sqlc.arg(total), texts = texts + sqlc.arg(texts)::bigint,
  found = found + sqlc.arg(found)::bigint, cut = sqlc.arg(cut)::text[], unseen = sqlc.arg(unseen)::jsonb, due_at = sqlc.arg(lease)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: FinishScan :execrows
-- 0 as in NoteScan. Index: dlp_scans_pkey.
UPDATE dlp_scans SET state = 'DONE', ended_at = sqlc.arg(now)::timestamptz, due_at = NULL, failure = '', done = total, place = '', after_key = NULL
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: FailScan :execrows
-- due_at: when another attempt goes on where this one was; NULL with FAILED: never. 0 as in NoteScan. Index: dlp_scans_pkey.
UPDATE dlp_scans SET state = sqlc.arg(state), failure = sqlc.arg(failure), due_at = sqlc.narg(due_at)::timestamptz, ended_at = sqlc.narg(ended_at)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: CountFindings :one
-- All of a tenant's. Index: dlp_findings_pkey.
SELECT count(*)::integer FROM dlp_findings;

-- name: PutFinding :exec
-- One finding, or what is known of it anew: one that was resolved is open again, one that was dismissed stays so.
-- Index: dlp_findings_tenant_id_source_place_item_kind_key.
INSERT INTO dlp_findings AS f (id, source, place, item, kind, count, shape, state, first_at, last_at, scan_id)
VALUES (sqlc.arg(id), sqlc.arg(source), sqlc.arg(place), sqlc.arg(item), sqlc.arg(kind), sqlc.arg(count), sqlc.arg(shape), 'OPEN', sqlc.arg(first_at), sqlc.arg(last_at), sqlc.narg(scan_id))
ON CONFLICT (tenant_id, source, place, item, kind) DO UPDATE SET count = EXCLUDED.count, shape = EXCLUDED.shape, last_at = greatest(f.last_at, EXCLUDED.last_at), scan_id = EXCLUDED.scan_id,
  version = f.version + (f.state = 'RESOLVED')::int, reason = CASE f.state WHEN 'RESOLVED' THEN '' ELSE f.reason END, decided_by = CASE f.state WHEN 'RESOLVED' THEN '' ELSE f.decided_by END,
  decided_at = CASE f.state WHEN 'RESOLVED' THEN NULL ELSE f.decided_at END, state = CASE f.state WHEN 'RESOLVED' THEN 'OPEN' ELSE f.state END;

-- name: HasFinding :one
-- Index: dlp_findings_tenant_id_source_place_item_kind_key.
SELECT EXISTS (SELECT FROM dlp_findings WHERE source = sqlc.arg(source) AND place = sqlc.arg(place) AND item = sqlc.arg(item) AND kind = sqlc.arg(kind));

-- name: ResolveGone :execrows
-- Open findings in tables that a whole scan did not see any more. Index: dlp_findings_pkey.
UPDATE dlp_findings SET state = 'RESOLVED', decided_by = '', decided_at = sqlc.arg(now)::timestamptz, version = version + 1
WHERE source = 'SCAN' AND state = 'OPEN' AND scan_id <> sqlc.arg(scan_id)::uuid AND NOT split_part(split_part(place, '.', 1), '/', 1) = ANY (sqlc.arg(cut)::text[]);

-- name: ListFindings :many
-- Keyset by id, newest first; narrowed by what is not NULL. Index: dlp_findings_pkey, backwards.
SELECT * FROM dlp_findings WHERE (sqlc.narg(state)::text IS NULL OR state = sqlc.narg(state)::text) AND (sqlc.narg(kind)::text IS NULL OR kind = sqlc.narg(kind)::text)
  AND (sqlc.narg(source)::text IS NULL OR source = sqlc.narg(source)::text) AND (sqlc.narg(place)::text IS NULL OR place = sqlc.narg(place)::text)
  AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid) ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: GetFinding :one
-- Index: dlp_findings_pkey.
SELECT * FROM dlp_findings WHERE id = $1;

-- name: LockFinding :one
-- Lock: the row. Index: dlp_findings_pkey.
SELECT * FROM dlp_findings WHERE id = $1 FOR UPDATE;

-- name: DecideFinding :one
-- Under LockFinding. Index: dlp_findings_pkey.
UPDATE dlp_findings SET state = sqlc.arg(state), reason = sqlc.arg(reason), decided_by = sqlc.arg(by), decided_at = sqlc.arg(now)::timestamptz, version = version + 1 WHERE id = sqlc.arg(id) RETURNING *;

-- name: GetScanSchedule :one
-- Index: dlp_schedules_pkey.
SELECT * FROM dlp_schedules;

-- name: LockScanSchedule :one
-- Lock: the row, so that of two servers one makes the scan that is due. Index: dlp_schedules_pkey.
SELECT * FROM dlp_schedules FOR UPDATE SKIP LOCKED;

-- name: PutScanSchedule :one
-- In the place of the one before. Index: dlp_schedules_pkey.
INSERT INTO dlp_schedules (cadence, days, updated_by, updated_at, set_at, due_at)
VALUES (sqlc.arg(cadence), sqlc.arg(days), sqlc.arg(by), sqlc.arg(now), sqlc.arg(now), sqlc.arg(due_at))
ON CONFLICT (tenant_id) DO UPDATE SET cadence = EXCLUDED.cadence, days = EXCLUDED.days, updated_by = EXCLUDED.updated_by, updated_at = EXCLUDED.updated_at,
  set_at = EXCLUDED.set_at, due_at = EXCLUDED.due_at RETURNING *;

-- name: AdvanceScanSchedule :exec
-- Under LockScanSchedule. Index: dlp_schedules_pkey.
UPDATE dlp_schedules SET set_at = sqlc.arg(now), due_at = sqlc.arg(due_at);

-- name: DeleteScanSchedule :execrows
-- Index: dlp_schedules_pkey.
DELETE FROM dlp_schedules;

-- name: CountUnscanned :one
-- What no scan opens: files of reports, pieces of the audit log that are archived, records of evidence. Index: reports_pkey, audit_archives_pkey, evidence_pkey.
SELECT (SELECT count(*) FROM reports WHERE state = 'DONE') AS reports, (SELECT count(*) FROM audit_archives) AS archives, (SELECT count(*) FROM evidence) AS evidence;
