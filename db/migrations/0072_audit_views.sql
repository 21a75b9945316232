-- +goose Up
-- Views of the audit log that a tenant's people have saved: a name, and what is looked for; '' and 0 for anything.
CREATE TABLE audit_views (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL,
  name        text NOT NULL CHECK (char_length(name) <= 80),
  outcome     text NOT NULL,
  target_kind text NOT NULL,
  target      text NOT NULL,
  action      text NOT NULL,
  actor       text NOT NULL,
  days        smallint NOT NULL CHECK (days >= 0), -- back from now
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX audit_views_name ON audit_views (tenant_id, lower(name));
SELECT wall('audit_views');
GRANT SELECT, INSERT, DELETE ON audit_views TO bc_app;
