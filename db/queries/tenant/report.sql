-- name: LockReports :exec
-- Advisory: reports, schedules and catalogues of a tenant are counted and added one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore reports ' || current_setting('app.tenant_id'), 0));

-- name: CountOpenReports :one
-- Index: reports_due.
SELECT count(*)::integer FROM reports WHERE state IN ('QUEUED', 'RUNNING') AND due_at IS NOT NULL;

-- name: InsertReport :one
-- Index: reports_pkey.
INSERT INTO reports (id, catalogue, period_from, period_to, state, reason, asked_by, asked_name, scheduled, keep_days, created_at, due_at)
VALUES (sqlc.arg(id), sqlc.arg(catalogue), sqlc.arg(period_from), sqlc.arg(period_to), 'QUEUED', sqlc.arg(reason), sqlc.arg(asked_by), sqlc.arg(asked_name),
  sqlc.arg(scheduled), sqlc.arg(keep_days), sqlc.arg(now), sqlc.arg(now)::timestamptz)
RETURNING *;

-- name: GetReport :one
-- What is removed is not there. Index: reports_pkey.
SELECT * FROM reports WHERE id = $1 AND state <> 'REMOVED';

-- name: ListPrecedingReports :many
-- Reports of a catalogue whose period ends where another begins, that are made and not over: the newest first. Index: reports_pkey.
SELECT id, period_from, period_to, sha256 FROM reports WHERE catalogue = sqlc.arg(catalogue) AND state = 'DONE' AND period_to = sqlc.arg(ends)::timestamptz
  AND expires_at > sqlc.arg(now)::timestamptz ORDER BY id DESC LIMIT 20;

-- name: ListReports :many
-- Keyset by id, newest first; of one catalogue, or of all. Index: reports_pkey, backwards.
SELECT * FROM reports WHERE state <> 'REMOVED' AND (sqlc.narg(catalogue)::text IS NULL OR catalogue = sqlc.narg(catalogue)::text)
  AND (sqlc.narg(before_id)::uuid IS NULL OR id < sqlc.narg(before_id)::uuid) ORDER BY id DESC LIMIT sqlc.arg(max_rows);

-- name: RemoveReport :one
-- From here on nothing opens it: the key goes at once, object and row when no attempt can be on its way any more. Index: reports_pkey.
UPDATE reports SET state = 'REMOVED', report_key = NULL, due_at = sqlc.arg(clear_at)::timestamptz WHERE id = sqlc.arg(id) AND state <> 'REMOVED' RETURNING *;

-- name: ExpireReports :many
-- As RemoveReport, of those whose time is over. Index: reports_due.
UPDATE reports SET state = 'REMOVED', report_key = NULL, due_at = sqlc.arg(now)::timestamptz
WHERE state IN ('DONE', 'FAILED') AND expires_at <= sqlc.arg(now)::timestamptz RETURNING *;

-- name: ListRemovedReports :many
-- Whose object is to go. Index: reports_due.
SELECT id, attempt FROM reports WHERE state = 'REMOVED' AND due_at <= sqlc.arg(now)::timestamptz ORDER BY due_at LIMIT sqlc.arg(max_rows);

-- name: DeleteReport :exec
-- Its object is gone. Index: reports_pkey.
DELETE FROM reports WHERE id = $1 AND state = 'REMOVED';

-- name: PostponeRemovedReports :exec
-- Object storage does not serve: look again later. Index: reports_due.
UPDATE reports SET due_at = sqlc.arg(until)::timestamptz WHERE state = 'REMOVED' AND due_at <= sqlc.arg(now)::timestamptz;

-- name: RemoveAllReports :exec
-- The tenant is being destroyed. Index: reports_pkey.
UPDATE reports SET state = 'REMOVED', report_key = NULL, ended_at = coalesce(ended_at, sqlc.arg(now)::timestamptz), due_at = sqlc.arg(clear_at)::timestamptz WHERE state <> 'REMOVED';

-- name: ListAllRemovedReports :many
-- Index: reports_pkey.
SELECT id, attempt, ended_at FROM reports WHERE state = 'REMOVED' ORDER BY id;

-- name: ClaimReport :one
-- The oldest that is open and due: the first time, or since nobody has noted anything of it for the length of a lease.
-- Lock: the row, so that of two servers one gets it. How far the attempt before was stays until this one is as far. Index: reports_due.
UPDATE reports SET state = 'RUNNING', attempt = attempt + 1, started_at = sqlc.arg(now)::timestamptz, due_at = sqlc.arg(lease)::timestamptz
WHERE id = (SELECT r.id FROM reports r WHERE r.state IN ('QUEUED', 'RUNNING') AND r.due_at <= sqlc.arg(now)::timestamptz ORDER BY r.due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- name: NoteReport :execrows
-- How far an attempt is, and that somebody is at it; it never goes back, also where the catalogue has other steps than an attempt before. 0: it is no
-- longer this attempt's to go on. Index: reports_pkey.
UPDATE reports SET done = LEAST(sqlc.arg(total)::integer, GREATEST(sqlc.arg(done)::integer, CASE WHEN total > 0 THEN (done * sqlc.arg(total)::integer + total - 1) / total ELSE 0 END)),
  total = sqlc.arg(total)::integer, due_at = sqlc.arg(lease)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: FinishReport :execrows
-- Its object is there. 0 as in NoteReport. Index: reports_pkey.
UPDATE reports SET state = 'DONE', ended_at = sqlc.arg(now)::timestamptz, expires_at = sqlc.arg(expires_at)::timestamptz, due_at = sqlc.arg(expires_at)::timestamptz, failure = '',
  done = total, met = sqlc.arg(met), not_met = sqlc.arg(not_met), no_evidence = sqlc.arg(no_evidence), size = sqlc.arg(size), sha256 = sqlc.arg(sha256)::bytea,
  report_key = sqlc.arg(report_key)::bytea, key_version = sqlc.arg(key_version)
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: PostponeReport :execrows
-- The attempt has failed and another follows at due_at. 0 as in NoteReport. Index: reports_pkey.
UPDATE reports SET failure = sqlc.arg(failure), due_at = sqlc.arg(due_at)::timestamptz WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: FailReport :execrows
-- No attempt follows. 0 as in NoteReport. Index: reports_pkey.
UPDATE reports SET state = 'FAILED', failure = sqlc.arg(failure), ended_at = sqlc.arg(now)::timestamptz, expires_at = sqlc.arg(expires_at)::timestamptz, due_at = sqlc.arg(expires_at)::timestamptz
WHERE id = sqlc.arg(id) AND attempt = sqlc.arg(attempt) AND state = 'RUNNING';

-- name: ListStaleReportKeys :many
-- Keys that another data key sealed than the one that seals now. Index: reports_pkey.
SELECT id, report_key FROM reports WHERE key_version <> sqlc.arg(key_version) AND report_key IS NOT NULL ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ReplaceReportKey :execrows
-- Compare and set. Index: reports_pkey.
UPDATE reports SET report_key = sqlc.arg(report_key), key_version = sqlc.arg(key_version) WHERE id = sqlc.arg(id) AND report_key = sqlc.arg(was);

-- name: ListReportCatalogues :many
-- There are at most twenty. Index: report_catalogues_pkey.
SELECT * FROM report_catalogues ORDER BY name;

-- name: GetReportCatalogue :one
-- Index: report_catalogues_pkey.
SELECT * FROM report_catalogues WHERE name = $1;

-- name: PutReportCatalogue :one
-- Under LockReports. Index: report_catalogues_pkey.
INSERT INTO report_catalogues (name, document, updated_by, updated_at) VALUES (sqlc.arg(name), sqlc.arg(document), sqlc.arg(by), sqlc.arg(now))
ON CONFLICT (tenant_id, name) DO UPDATE SET document = excluded.document, version = report_catalogues.version + 1, updated_by = excluded.updated_by, updated_at = excluded.updated_at
RETURNING *;

-- name: DeleteReportCatalogue :execrows
-- Under LockReports. Index: report_catalogues_pkey.
DELETE FROM report_catalogues WHERE name = $1;

-- name: ListReportSchedules :many
-- There is at most one of each catalogue. Index: report_schedules_pkey.
SELECT * FROM report_schedules ORDER BY catalogue;

-- name: GetReportSchedule :one
-- Index: report_schedules_pkey.
SELECT * FROM report_schedules WHERE catalogue = $1;

-- name: PutReportSchedule :one
-- Under LockReports. Index: report_schedules_pkey.
INSERT INTO report_schedules (catalogue, cadence, keep_days, updated_by, updated_at, due_at)
VALUES (sqlc.arg(catalogue), sqlc.arg(cadence), sqlc.arg(keep_days), sqlc.arg(by), sqlc.arg(now), sqlc.arg(due_at))
ON CONFLICT (tenant_id, catalogue) DO UPDATE SET cadence = excluded.cadence, keep_days = excluded.keep_days, updated_by = excluded.updated_by,
  updated_at = excluded.updated_at, due_at = excluded.due_at
RETURNING *;

-- name: DeleteReportSchedule :execrows
-- Under LockReports. Index: report_schedules_pkey.
DELETE FROM report_schedules WHERE catalogue = $1;

-- name: LockDueReportSchedule :one
-- One that is due. Lock: the row, so that of two servers one makes its report. Index: report_schedules_pkey.
SELECT * FROM report_schedules WHERE due_at <= sqlc.arg(now) ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED;

-- name: AdvanceReportSchedule :exec
-- Under LockDueReportSchedule. Index: report_schedules_pkey.
UPDATE report_schedules SET due_at = sqlc.arg(due_at) WHERE catalogue = sqlc.arg(catalogue);

-- name: MeasureMembers :one
-- Who works in the console: all, owners, and those with no change of rights since a time. Index: members_pkey.
SELECT count(*)::bigint AS members, count(*) FILTER (WHERE role = 'owner')::bigint AS owners, count(*) FILTER (WHERE role IN ('owner', 'admin'))::bigint AS mighty
FROM members;

-- name: MeasureAPIKeys :one
-- Keys that could be used at the end of the period: all server keys, those that never expire, that hold a whole plane, that nobody has used for 90 days. Index: api_keys_pkey.
SELECT count(*)::bigint AS keys, count(*) FILTER (WHERE expires_at IS NULL)::bigint AS unending,
  count(*) FILTER (WHERE scopes && ARRAY['*', 'admin:*'])::bigint AS whole_plane,
  count(*) FILTER (WHERE coalesce(last_used_at, created_at) < sqlc.arg(until)::timestamptz - interval '90 days')::bigint AS unused
FROM api_keys WHERE kind = 'SECRET' AND created_at < sqlc.arg(until)::timestamptz
  AND coalesce(revoked_at, 'infinity') >= sqlc.arg(until)::timestamptz AND coalesce(expires_at, 'infinity') >= sqlc.arg(until)::timestamptz;

-- name: MeasureSupportGrants :one
-- Support of the installation's staff that was let in during the period: all grants, those that nobody of the tenant has decided, those of more than an hour, those without a reason. Index: support_grants_pkey.
SELECT count(*)::bigint AS grants, count(*) FILTER (WHERE decided_by = '')::bigint AS undecided,
  count(*) FILTER (WHERE expires_at - decided_at > interval '1 hour')::bigint AS long, count(*) FILTER (WHERE reason = '')::bigint AS unreasoned
FROM support_grants WHERE access IS NOT NULL AND decided_at >= sqlc.arg(since)::timestamptz AND decided_at < sqlc.arg(until)::timestamptz;

-- name: MeasureSignIns :one
-- Sessions that began in the period, of those that are kept: all; by assurance level; at AAL2 and above without user verification; at AAL3 with a
-- passkey that may be copied; the longest, in seconds; those longer than 24 hours and than 12. first_id and last_id are ids before and after the period. Index: sessions_pkey.
SELECT count(*)::bigint AS sessions, count(*) FILTER (WHERE s.aal = 1)::bigint AS aal1, count(*) FILTER (WHERE s.aal = 2)::bigint AS aal2, count(*) FILTER (WHERE s.aal = 3)::bigint AS aal3,
  count(*) FILTER (WHERE s.aal >= 2 AND NOT s.user_verified)::bigint AS unverified, count(*) FILTER (WHERE NOT s.user_verified)::bigint AS unverified_any,
  count(*) FILTER (WHERE s.aal = 3 AND EXISTS (SELECT FROM credentials c WHERE c.id = s.credential_id AND c.backup_eligible))::bigint AS aal3_copied,
  coalesce(max(extract(epoch FROM s.expires_at - s.created_at)), 0)::bigint AS longest,
  count(*) FILTER (WHERE s.aal >= 2 AND s.expires_at - s.created_at > interval '24 hours')::bigint AS over_day,
  count(*) FILTER (WHERE s.aal = 3 AND s.expires_at - s.created_at > interval '12 hours')::bigint AS over_half_day
FROM sessions s WHERE s.id >= sqlc.arg(first_id)::uuid AND s.id < sqlc.arg(last_id)::uuid AND s.created_at >= sqlc.arg(since)::timestamptz AND s.created_at < sqlc.arg(until)::timestamptz;

-- name: MeasureCredentials :one
-- Passkeys that can sign somebody in: all; lowered by recovery, with nobody vouching since; flagged by a report on their model; without user discoverability;
-- whose attestation leads to a trusted root. Index: credentials_pkey.
SELECT count(*)::bigint AS active, count(*) FILTER (WHERE lowered AND vouched_at IS NULL)::bigint AS lowered, count(*) FILTER (WHERE disposition <> '')::bigint AS reported,
  count(*) FILTER (WHERE trust IN ('TENANT_ROOT', 'MDS'))::bigint AS attested, count(*) FILTER (WHERE backup_eligible)::bigint AS synced
FROM credentials WHERE state = 'ACTIVE';

-- name: MeasureSigningKeys :one
-- Keys that sign tokens: those that sign now; how old the oldest of these is at the end of the period, in days; those that are revoked in the period. Index: signing_keys_pkey.
SELECT count(*) FILTER (WHERE state = 'ACTIVE')::bigint AS active,
  coalesce(max(extract(day FROM sqlc.arg(until)::timestamptz - coalesce(activated_at, created_at))) FILTER (WHERE state = 'ACTIVE'), 0)::bigint AS oldest_days,
  count(*) FILTER (WHERE revoked_at >= sqlc.arg(since)::timestamptz AND revoked_at < sqlc.arg(until)::timestamptz)::bigint AS revoked,
  count(*) FILTER (WHERE state = 'ACTIVE' AND algorithm NOT IN ('ES256', 'EdDSA', 'RS256'))::bigint AS weak
FROM signing_keys;

-- name: MeasureDataKeys :one
-- Keys that seal stored fields: all that are kept, how old the newest is at the end of the period, in days. Index: data_keys_pkey.
SELECT count(*)::bigint AS keys, coalesce(extract(day FROM sqlc.arg(until)::timestamptz - max(created_at)), 0)::bigint AS newest_days,
  count(*) FILTER (WHERE kms_key = '')::bigint AS unwrapped FROM data_keys WHERE version > 0;

-- name: MeasureRecoveries :one
-- Recoveries that ended with a passkey in the period: all, and those by a code or link that nobody approved where approval was asked for. Index: recoveries_pkey.
SELECT count(*) FILTER (WHERE state = 'COMPLETED')::bigint AS completed, count(*) FILTER (WHERE state = 'COMPLETED' AND decided_at IS NULL)::bigint AS undecided, count(*)::bigint AS asked
FROM recoveries WHERE created_at >= sqlc.arg(since)::timestamptz AND created_at < sqlc.arg(until)::timestamptz;

-- name: MeasureLogStreams :one
-- Where the audit log is sent: streams that are active, and those of them whose last delivery has failed. Index: siem_sinks_pkey.
SELECT count(*) FILTER (WHERE state = 'ACTIVE')::bigint AS active, count(*) FILTER (WHERE state = 'ACTIVE' AND failures > 0)::bigint AS failing FROM siem_sinks;

-- name: MeasureEvidence :one
-- Evidence of registrations in the period that is kept, and of what is kept that object storage does not have yet. Index: evidence_pkey.
SELECT count(*)::bigint AS kept, count(*) FILTER (WHERE stored_at IS NULL)::bigint AS waiting FROM evidence
WHERE record_key IS NOT NULL AND at >= sqlc.arg(since)::timestamptz AND at < sqlc.arg(until)::timestamptz;

-- name: MeasureDomain :one
-- Whether the relying party's domain is proven, and since when that was not found. Index: domain_proofs_pkey.
SELECT count(*) FILTER (WHERE p.proven_at IS NOT NULL)::bigint AS proven, count(*) FILTER (WHERE p.failing_since IS NOT NULL)::bigint AS failing
FROM domain_proofs p JOIN tenants t ON t.rp_id = p.rp_id;

-- name: ListReportAPIKeys :many
-- Server keys that could be used at the end of the period, in the order of their making. Index: api_keys_pkey.
SELECT id, name, prefix, scopes, created_by, created_at, last_used_at, expires_at FROM api_keys
WHERE kind = 'SECRET' AND created_at < sqlc.arg(until)::timestamptz AND coalesce(revoked_at, 'infinity') >= sqlc.arg(until)::timestamptz
  AND coalesce(expires_at, 'infinity') >= sqlc.arg(until)::timestamptz ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListReportGrants :many
-- Support grants that were asked for in the period. Index: support_grants_pkey.
SELECT id, person_name, state, reason, ticket, wanted_access, requested_at, access, decided_by, decided_name, decided_at, expires_at FROM support_grants
WHERE requested_at >= sqlc.arg(since)::timestamptz AND requested_at < sqlc.arg(until)::timestamptz ORDER BY id LIMIT sqlc.arg(max_rows);

-- name: ListReportSigningKeys :many
-- Index: signing_keys_pkey.
SELECT kid, algorithm, state, location, created_at, activated_at, retired_at, revoked_at FROM signing_keys ORDER BY created_at, kid LIMIT sqlc.arg(max_rows);

-- name: ListReportDataKeys :many
-- Index: data_keys_pkey.
SELECT version, kms_key, created_at FROM data_keys WHERE version > 0 ORDER BY version LIMIT sqlc.arg(max_rows);
