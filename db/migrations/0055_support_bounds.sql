-- What bc_support and bc_control may write is narrowed to what they write.

-- +goose Up

-- An enrollment link ends with the access by which it was made.
DROP POLICY support_act ON recoveries;
CREATE POLICY support_act ON recoveries FOR INSERT TO bc_support WITH CHECK (
  tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND kind = 'LINK' AND requested_by = 'support:' || current_setting('app.actor_id', true)
  AND EXISTS (SELECT FROM support_grants g
    WHERE g.tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND g.person_id = NULLIF(current_setting('app.actor_id', true), '')::uuid
      AND g.state = 'GRANTED' AND g.expires_at > statement_timestamp() AND g.access = 'ACT' AND g.expires_at >= recoveries.expires_at));

-- bc_control tells that a grant is over, and revives none.
CREATE POLICY expires ON support_grants AS RESTRICTIVE FOR UPDATE TO bc_control USING (state IN ('REQUESTED', 'GRANTED')) WITH CHECK (state = 'EXPIRED');

-- bc_control makes the first owner of a tenant that is being founded, and nobody's colleague.
CREATE FUNCTION has_members(t uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS
  'SELECT EXISTS (SELECT FROM public.members m WHERE m.tenant_id = t)';
REVOKE ALL ON FUNCTION has_members(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION has_members(uuid) TO bc_control;
CREATE POLICY founder ON members AS RESTRICTIVE FOR INSERT TO bc_control WITH CHECK (role = 'owner' AND NOT has_members(tenant_id));
