-- +goose Up
-- What was ordered of the credentials of one model of authenticators, by an administrator
-- or by the tenant's policy after a report of the FIDO Metadata Service. A job carries the
-- order out, batch by batch; the row says how far it has come.
CREATE TABLE dispositions (
  tenant_id   uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id          uuid NOT NULL,
  aaguid      uuid NOT NULL,
  disposition text NOT NULL CHECK (disposition IN ('NONE', 'FLAG', 'STEP_UP', 'SUSPEND')),
  automatic   boolean NOT NULL, -- by policy, after a report
  reports     text[] NOT NULL, -- the statuses that the metadata had then
  mds_number  integer NOT NULL DEFAULT 0, -- of that metadata
  reason      text NOT NULL DEFAULT '',
  created_by  text NOT NULL, -- kind:id
  created_at  timestamptz NOT NULL,
  credentials integer NOT NULL DEFAULT 0, -- how many it has changed
  finished_at timestamptz,
  PRIMARY KEY (tenant_id, id)
);
SELECT wall('dispositions');
CREATE INDEX dispositions_model ON dispositions (tenant_id, aaguid, id);
ALTER TABLE dispositions ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE (credentials, finished_at) ON dispositions TO bc_app;
