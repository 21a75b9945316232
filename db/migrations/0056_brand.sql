-- +goose Up
-- How a tenant looks to its users. What is empty is not settled. The logo stands apart: tenants
-- is read with every request, and only who draws a page needs the picture.
SET LOCAL lock_timeout = '5s';
ALTER TABLE tenants
  ADD COLUMN accent_color      text NOT NULL DEFAULT '' CHECK (accent_color ~ '^(#[0-9a-f]{6})?$'),
  ADD COLUMN accent_color_dark text NOT NULL DEFAULT '' CHECK (accent_color_dark ~ '^(#[0-9a-f]{6})?$'),
  ADD COLUMN support_url       text NOT NULL DEFAULT '' CHECK (octet_length(support_url) <= 2048),
  ADD COLUMN support_email     text NOT NULL DEFAULT '' CHECK (octet_length(support_email) <= 254),
  ADD COLUMN logo_sha256       text NOT NULL DEFAULT '' CHECK (logo_sha256 ~ '^([0-9a-f]{64})?$'); -- of logos.png; empty: there is none
GRANT UPDATE (accent_color, accent_color_dark, support_url, support_email, logo_sha256) ON tenants TO bc_app;

CREATE TABLE logos (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  png       bytea NOT NULL CHECK (octet_length(png) <= 81920), -- drawn by us: tenancy/brand
  PRIMARY KEY (tenant_id)
);
ALTER TABLE logos ALTER COLUMN png SET STORAGE EXTERNAL; -- it is compressed
SELECT wall('logos');
GRANT SELECT, INSERT, UPDATE (png), DELETE ON logos TO bc_app;
