-- +goose Up
-- Audit entries as their business transactions commit them. They are not yet
-- sequenced into the tenant's log: until then they are not tamper-evident.
-- entry is the exact JSON that will be hashed, so it is text and never jsonb.
CREATE TABLE audit_inbox (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id        uuid NOT NULL,
  at        timestamptz NOT NULL,
  action    text NOT NULL,
  entry     text NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('audit_inbox');
GRANT SELECT, INSERT ON audit_inbox TO bc_app;
GRANT INSERT ON audit_inbox TO bc_writer, bc_control;
