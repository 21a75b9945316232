-- +goose Up
-- One JSON document a version, never changed once written. The active version is
-- tenants.policy_version.
CREATE TABLE policies (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  version    integer NOT NULL CHECK (version > 0),
  document   jsonb NOT NULL,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, version)
);
SELECT wall('policies');
ALTER TABLE policies ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT ON policies TO bc_app, bc_control;
