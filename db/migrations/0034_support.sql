-- +goose Up
-- People of the staff in a tenant that is not theirs: they ask, the tenant lets them in for
-- an hour at most, and while that lasts they look through a role of their own, bc_support.
-- Nobody has standing access: without a running grant the role's policies show nothing.

-- +goose StatementBegin
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bc_support') THEN
    RAISE EXCEPTION 'the role bc_support is missing: biocore migrate up --bootstrap file:ADMIN_URL makes it';
  END IF;
END $$;
-- +goose StatementEnd

-- What was asked and what was granted. What is over is written down as EXPIRED when somebody
-- asks anew; it is over by the clock before that. Names stand here as
-- people had them then: the tenant must still know who it was when the account is gone.
CREATE TABLE support_grants (
  tenant_id      uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id             uuid NOT NULL, -- UUIDv7
  person_id      uuid NOT NULL, -- users.id of the reserved tenant: who looks
  person_name    text NOT NULL,
  state          text NOT NULL DEFAULT 'REQUESTED' CHECK (state IN ('REQUESTED', 'GRANTED', 'REFUSED', 'REVOKED', 'ENDED', 'EXPIRED')),
  reason         text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 256),
  ticket         text NOT NULL CHECK (char_length(ticket) BETWEEN 1 AND 100),
  wanted_access  text NOT NULL CHECK (wanted_access IN ('VIEW', 'ACT')),
  wanted_minutes integer NOT NULL CHECK (wanted_minutes BETWEEN 1 AND 60),
  requested_by   text NOT NULL, -- kind:id: the person, or the platform key that asked for them
  requested_at   timestamptz NOT NULL,
  open_until     timestamptz NOT NULL, -- a request that nobody decides about is over then
  access         text CHECK (access IN ('VIEW', 'ACT')),
  decided_by     text NOT NULL DEFAULT '', -- kind:id of who granted or refused
  decided_name   text NOT NULL DEFAULT '',
  decided_at     timestamptz,
  decide_reason  text NOT NULL DEFAULT '',
  expires_at     timestamptz, -- of the access
  ended_by       text NOT NULL DEFAULT '', -- kind:id of who revoked it or gave it back
  ended_name     text NOT NULL DEFAULT '',
  ended_at       timestamptz,
  end_reason     text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant_id, id),
  CONSTRAINT support_grants_hour CHECK (expires_at <= decided_at + interval '60 minutes'),
  CONSTRAINT support_grants_granted CHECK (state <> 'GRANTED' OR (access IS NOT NULL AND decided_at IS NOT NULL AND expires_at IS NOT NULL AND decided_by <> ''))
);
SELECT wall('support_grants');
-- One that runs, or waits to be decided, a person: the policies below look for it too.
CREATE UNIQUE INDEX support_grants_open ON support_grants (tenant_id, person_id) WHERE state IN ('REQUESTED', 'GRANTED');
CREATE INDEX support_grants_person ON support_grants (person_id, id); -- of one of the staff, in all tenants
GRANT SELECT, UPDATE (state, access, decided_by, decided_name, decided_at, decide_reason, expires_at, ended_by, ended_name, ended_at, end_reason)
  ON support_grants TO bc_app;

-- The platform plane asks, and writes down what is over; it cannot grant, since it cannot
-- write what support_grants_granted demands. It sees which grants one of the staff has, and
-- in which tenants.
CREATE POLICY staff ON support_grants FOR SELECT TO bc_control USING (true);
GRANT SELECT, INSERT (tenant_id, id, person_id, person_name, reason, ticket, wanted_access, wanted_minutes, requested_by, requested_at, open_until), UPDATE (state)
  ON support_grants TO bc_control;

GRANT USAGE ON SCHEMA public TO bc_support;

-- support_wall lets bc_support look at t's rows while a grant runs: of the tenant that the
-- transaction is in, for the person who acts in it, not over by the clock of this database
-- at this statement. The grant is looked for once a statement, not for each row: nothing in
-- it depends on the row. What may be read of t at all, column by column, is granted apart.
-- support_grants is looked at by its own policy, or the policies would go round in a circle.
-- +goose StatementBegin
CREATE FUNCTION support_wall(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  same text := format('%I = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid', tenant_column);
BEGIN
  EXECUTE format('CREATE POLICY support_view ON %s FOR SELECT TO bc_support USING (%s AND %s)', t, same, support_granted(false));
END $$;
-- +goose StatementEnd

-- support_granted is the text of that condition; acts narrows it to grants that allow more
-- than looking.
-- +goose StatementBegin
CREATE FUNCTION support_granted(acts boolean) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, public AS $$
  SELECT 'EXISTS (SELECT FROM public.support_grants g
    WHERE g.tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid
      AND g.person_id = NULLIF(current_setting(''app.actor_id'', true), '''')::uuid
      AND g.state = ''GRANTED'' AND g.expires_at > statement_timestamp()' || CASE WHEN acts THEN ' AND g.access = ''ACT''' ELSE '' END || ')'
$$;
-- +goose StatementEnd

-- From here on each walled table is one that support may look at, unless nothing of it is granted.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION wall(t regclass, tenant_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  same text := format('%I = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid', tenant_column);
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
  EXECUTE format('CREATE POLICY tenant_isolation ON %s FOR ALL TO bc_app, bc_writer, bc_control USING (%s) WITH CHECK (%s)', t, same, same);
  -- FORCE binds the owner too; migrations must see the rows that they backfill.
  EXECUTE format('CREATE POLICY owner_backfill ON %s FOR ALL TO bc_owner USING (true) WITH CHECK (true)', t);
  -- Of partitions nothing is granted to anybody: support sees them through their parent.
  IF NOT (SELECT relispartition FROM pg_class WHERE oid = t) THEN
    PERFORM support_wall(t, tenant_column);
  END IF;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION support_wall(regclass, name), support_granted(boolean) FROM PUBLIC;

-- +goose StatementBegin
DO $$
DECLARE
  t regclass;
BEGIN
  SET LOCAL lock_timeout = '5s';
  FOR t IN
    SELECT c.oid::regclass FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relispartition AND c.relname <> 'support_grants'
  LOOP
    PERFORM support_wall(t, CASE t::text WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END);
  END LOOP;
END $$;
-- +goose StatementEnd

-- Of grants, support sees its own.
CREATE POLICY support_view ON support_grants FOR SELECT TO bc_support
  USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND person_id = NULLIF(current_setting('app.actor_id', true), '')::uuid);
GRANT SELECT ON support_grants TO bc_support;

-- What support may look at. Left out: keys and what is kept of them, sealed contacts,
-- browsers' cookies, what opens evidence, hashes of recovery codes and API keys, answers
-- kept for repeats. db/wall.go has the list; a new table is in it, one way or the other.
GRANT SELECT ON tenants, policies, users, credentials, sessions, ceremonies, audit_inbox, recoveries,
  imports, import_findings, dispositions, attestation_roots, members, invitations, owner_recoveries TO bc_support;
GRANT SELECT (tenant_id, id, key_id, kind, name, prefix, scopes, allowed_cidrs, created_by, created_at, last_used_at, expires_at, revoked_at) ON api_keys TO bc_support;
GRANT SELECT (tenant_id, kid, algorithm, state, location, public_key, created_at, activate_at, activated_at, retired_at, revoke_at, revoked_at, revoke_reason, due_at)
  ON signing_keys TO bc_support;
GRANT SELECT (tenant_id, user_id, created_at, used_at) ON recovery_codes TO bc_support;

-- What was done by a grant is found by it. Every other entry has none, and is in no index of it.
ALTER TABLE audit_inbox ADD COLUMN support_grant_id uuid;
CREATE INDEX audit_inbox_support ON audit_inbox (tenant_id, support_grant_id, id) WHERE support_grant_id IS NOT NULL;

-- Who was let in leaves entries of what they saw and did in the tenant's audit trail, under
-- their own name and by their own grant.
-- +goose StatementBegin
DO $$
DECLARE
  same text := 'tenant_id = NULLIF(current_setting(''app.tenant_id'', true), '''')::uuid';
  own text := '((entry::json -> ''actor'') ->> ''kind'') = ''support'' AND ((entry::json -> ''actor'') ->> ''id'') = current_setting(''app.actor_id'', true)';
BEGIN
  EXECUTE format('CREATE POLICY support_record ON audit_inbox FOR INSERT TO bc_support WITH CHECK (%s AND %s AND %s)', same, own, replace(support_granted(false), 'g.state', 'g.id = support_grant_id AND g.state'));
  -- Who was let in to act does what a help desk does: block and unblock, suspend and revoke
  -- credentials, revoke sessions, make enrollment links. These columns, and no others.
  EXECUTE format('CREATE POLICY support_act ON users FOR UPDATE TO bc_support USING (%s AND %s) WITH CHECK (%1$s AND %2$s)', same, support_granted(true));
  EXECUTE format('CREATE POLICY support_act ON credentials FOR UPDATE TO bc_support USING (%s AND %s) WITH CHECK (%1$s AND %2$s)', same, support_granted(true));
  EXECUTE format('CREATE POLICY support_act ON sessions FOR UPDATE TO bc_support USING (%s AND %s) WITH CHECK (%1$s AND %2$s)', same, support_granted(true));
  EXECUTE format('CREATE POLICY support_act ON recoveries FOR INSERT TO bc_support WITH CHECK (%s AND kind = ''LINK'' AND requested_by = ''support:'' || current_setting(''app.actor_id'', true) AND %s)', same, support_granted(true));
  EXECUTE format('CREATE POLICY support_act ON event_outbox FOR INSERT TO bc_support WITH CHECK (%s AND %s)', same, support_granted(true));
END $$;
-- +goose StatementEnd
GRANT INSERT ON audit_inbox, event_outbox TO bc_support;
GRANT INSERT (tenant_id, id, user_id, kind, state, rp_id, reason, requested_by, created_at, expires_at) ON recoveries TO bc_support;
GRANT UPDATE (state, updated_at, version) ON users TO bc_support;
GRANT UPDATE (state, user_blocked, revoked_at, updated_at, version) ON credentials TO bc_support;
GRANT UPDATE (revoked_at, revoke_reason) ON sessions TO bc_support;
