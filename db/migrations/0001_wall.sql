-- +goose Up
-- The wall: what makes a table a tenant's table. Every later migration calls
-- wall() once for each table that it makes; db/wall_test.go walks pg_catalog and
-- fails on a table that is neither walled nor listed as platform with a reason.
--
-- The policy compares with the setting inline: no subselect (slower on plain
-- Postgres, refused by Citus) and no function call (it would hide the setting
-- from the planner). After a commit the setting is '' and not NULL, hence NULLIF:
-- without a tenant the comparison is NULL and no row is seen or written.

-- +goose StatementBegin
CREATE FUNCTION wall(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  same text := format('%I = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid', tenant_column);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
  EXECUTE format('CREATE POLICY tenant_isolation ON %s FOR ALL TO bc_app, bc_writer, bc_control USING (%s) WITH CHECK (%s)', t, same, same);
  -- FORCE binds the owner too; migrations must see the rows that they backfill.
  EXECUTE format('CREATE POLICY owner_backfill ON %s FOR ALL TO bc_owner USING (true) WITH CHECK (true)', t);
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION wall(regclass, name) FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO bc_app, bc_writer, bc_control, bc_jobs;
