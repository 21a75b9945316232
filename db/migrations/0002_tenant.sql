-- +goose Up
-- A tenant is a customer with one immutable mode. Its own row is all of this
-- table that it sees; bc_control (the platform plane) sees every row. Ids and
-- slugs never come back: rows stay when a tenant is deleted.
CREATE TABLE tenants (
  id             uuid PRIMARY KEY,
  slug           text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name           text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  mode           text NOT NULL CHECK (mode IN ('LIVE', 'TEST')),
  state          text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'SUSPENDED', 'DELETING')),
  rp_id          text NOT NULL,
  rp_name        text NOT NULL,
  origins        text[] NOT NULL,
  direct_tokens  boolean NOT NULL DEFAULT false, -- publishable keys get tokens at finish instead of a code
  policy_version integer NOT NULL DEFAULT 1 CHECK (policy_version > 0),
  suspend_reason text,
  created_at     timestamptz NOT NULL,
  updated_at     timestamptz NOT NULL,
  delete_after   timestamptz,
  version        integer NOT NULL DEFAULT 1 -- the etag
);
SELECT wall('tenants', 'id');
CREATE POLICY platform_plane ON tenants FOR ALL TO bc_control USING (true) WITH CHECK (true);
GRANT SELECT ON tenants TO bc_app;
GRANT SELECT, INSERT, UPDATE ON tenants TO bc_control;

-- The operators of this installation: scope.PlatformTenant. Its RP ID is that of
-- the console and is set when the console is configured.
INSERT INTO tenants (id, slug, name, mode, rp_id, rp_name, origins, created_at, updated_at)
VALUES ('00000000-0000-7000-8000-000000000001', 'platform', 'Biocore platform', 'LIVE', '', 'Biocore', '{}', now(), now());
