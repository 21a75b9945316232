-- +goose Up
-- Risk: what a tenant says of it, what is known of its users, what was asked beside sign-ins, and what came of it all.
SET LOCAL lock_timeout = '5s';
-- One JSON document a version, never changed once written. The newest version is in force.
CREATE TABLE risk_rulesets (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  version    integer NOT NULL CHECK (version > 0),
  document   jsonb NOT NULL,
  reason     text NOT NULL CHECK (char_length(reason) <= 256), -- why, in words; may be empty
  created_by text NOT NULL, -- kind:id
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version)
);
SELECT wall('risk_rulesets');
GRANT SELECT, INSERT ON risk_rulesets TO bc_app;
GRANT SELECT ON risk_rulesets TO bc_support;

-- What a user's sign-ins are like: devices, countries, networks, hours. Written when there is news, or once a day. Redis
-- has the fresher copy.
CREATE TABLE risk_profiles (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  user_id    uuid NOT NULL,
  profile    jsonb NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, user_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
SELECT wall('risk_profiles');
GRANT SELECT, INSERT, UPDATE, DELETE ON risk_profiles TO bc_app;

-- What was asked of risk beside sign-ins, as facts and decisions.
CREATE TABLE risk_evaluations (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id         uuid NOT NULL, -- UUIDv7
  at         timestamptz NOT NULL,
  user_id    uuid, -- NULL: of nobody known
  action     text NOT NULL CHECK (octet_length(action) <= 64), -- in the tenant's words
  outcome    text NOT NULL CHECK (outcome IN ('ALLOW', 'STEP_UP', 'DENY')),
  reason     text NOT NULL, -- '' when allowed
  facts      text NOT NULL, -- JSON with the member risk, docs/facts.md
  api_key_id uuid,
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('risk_evaluations');
GRANT SELECT, INSERT, DELETE ON risk_evaluations TO bc_app;
GRANT SELECT ON risk_evaluations TO bc_support;

-- What came of a decision, as the tenant found out.
CREATE TABLE risk_feedback (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  decision_id uuid NOT NULL, -- of a ceremony or a risk_evaluations.id
  verdict     text NOT NULL CHECK (verdict IN ('FRAUD', 'LEGITIMATE')),
  note        text NOT NULL CHECK (char_length(note) <= 256), -- in words; may be empty
  given_by    text NOT NULL, -- kind:id
  given_at    timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, decision_id)
);
SELECT wall('risk_feedback');
GRANT SELECT, INSERT, UPDATE ON risk_feedback TO bc_app;
GRANT SELECT ON risk_feedback TO bc_support;
