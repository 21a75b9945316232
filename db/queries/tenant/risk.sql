-- name: LockRiskRulesets :exec
-- Advisory: versions of a tenant are made one after the other.
SELECT pg_advisory_xact_lock(hashtextextended('biocore risk ' || current_setting('app.tenant_id'), 0));

-- name: GetRiskRuleset :one
-- The one in force. Index: risk_rulesets_pkey, backwards.
SELECT version, document, reason, created_by, created_at FROM risk_rulesets ORDER BY version DESC LIMIT 1;

-- name: GetRiskRulesetVersion :one
-- Index: risk_rulesets_pkey.
SELECT version, document, reason, created_by, created_at FROM risk_rulesets WHERE version = $1;

-- name: ListRiskRulesets :many
-- One page, the newest first. Keyset by version. Index: risk_rulesets_pkey, backwards.
SELECT version, document, reason, created_by, created_at FROM risk_rulesets
WHERE sqlc.narg(before)::integer IS NULL OR version < sqlc.narg(before)::integer
ORDER BY version DESC LIMIT sqlc.arg(max_rows);

-- name: InsertRiskRuleset :exec
-- Versions are never changed. Index: risk_rulesets_pkey.
INSERT INTO risk_rulesets (version, document, reason, created_by, created_at) VALUES ($1, $2, $3, $4, $5);

-- name: GetRiskProfile :one
-- Index: risk_profiles_pkey.
SELECT profile, updated_at FROM risk_profiles WHERE user_id = $1;

-- name: PutRiskProfile :execrows
-- Of a user who is there: they may have been erased since. The later sign-in stays. Index: users_pkey, risk_profiles_pkey.
INSERT INTO risk_profiles (user_id, profile, updated_at)
SELECT u.id, sqlc.arg(profile)::jsonb, sqlc.arg(updated_at)::timestamptz FROM users u WHERE u.id = sqlc.arg(user_id)::uuid
ON CONFLICT (tenant_id, user_id) DO UPDATE SET profile = EXCLUDED.profile, updated_at = EXCLUDED.updated_at
WHERE risk_profiles.updated_at < EXCLUDED.updated_at;

-- name: InsertRiskEvaluation :exec
-- Index: risk_evaluations_pkey.
INSERT INTO risk_evaluations (id, at, user_id, action, outcome, reason, facts, api_key_id)
VALUES (sqlc.arg(id), sqlc.arg(at), sqlc.narg(user_id), sqlc.arg(action), sqlc.arg(outcome), sqlc.arg(reason), sqlc.arg(facts), sqlc.narg(api_key_id));

-- name: GetRiskEvaluation :one
-- Index: risk_evaluations_pkey.
SELECT * FROM risk_evaluations WHERE id = $1;

-- name: RemoveRiskEvaluations :execrows
-- The oldest max_rows of before an id: ask again until it answers fewer. Index: risk_evaluations_pkey.
DELETE FROM risk_evaluations WHERE id IN (
  SELECT e.id FROM risk_evaluations e WHERE e.id < sqlc.arg(before_id)::uuid ORDER BY e.id LIMIT sqlc.arg(max_rows));

-- name: PutRiskFeedback :one
-- The later word stands; answers whether it is the first. Index: risk_feedback_pkey.
INSERT INTO risk_feedback (decision_id, verdict, note, given_by, given_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, decision_id) DO UPDATE SET verdict = EXCLUDED.verdict, note = EXCLUDED.note, given_by = EXCLUDED.given_by, given_at = EXCLUDED.given_at
RETURNING (xmax = 0)::boolean AS fresh;

-- name: GetRiskFeedback :one
-- Index: risk_feedback_pkey.
SELECT * FROM risk_feedback WHERE decision_id = $1;

-- name: ListRiskFeedback :many
-- Of decisions from an id on, whose ids are in the order of time; the newest first. Index: risk_feedback_pkey, backwards.
SELECT * FROM risk_feedback WHERE decision_id >= sqlc.arg(since_id)::uuid AND decision_id < sqlc.arg(before_id)::uuid
ORDER BY decision_id DESC LIMIT sqlc.arg(max_rows);

-- name: GetRiskProvider :one
-- Index: risk_providers_pkey.
SELECT * FROM risk_providers;

-- name: PutRiskProvider :one
-- The id stays. Index: risk_providers_pkey.
INSERT INTO risk_providers (id, config, credential, key_version, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant_id) DO UPDATE SET config = EXCLUDED.config, credential = EXCLUDED.credential, key_version = EXCLUDED.key_version,
  updated_by = EXCLUDED.updated_by, updated_at = EXCLUDED.updated_at, version = risk_providers.version + 1
RETURNING *;

-- name: DeleteRiskProvider :execrows
-- Index: risk_providers_pkey.
DELETE FROM risk_providers WHERE id = $1;

-- name: ReplaceRiskProviderCredential :execrows
-- Sealed anew, unless it was changed meanwhile. Index: risk_providers_pkey.
UPDATE risk_providers SET credential = sqlc.arg(credential), key_version = sqlc.arg(key_version) WHERE id = sqlc.arg(id) AND credential = sqlc.arg(was);
