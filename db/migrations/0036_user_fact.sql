-- +goose Up
-- What lists of users are ordered and narrowed by, kept beside them so that every list is a
-- walk along an index. Rows are kept by triggers: whoever writes users or credentials need
-- not know of them.
SET LOCAL lock_timeout = '5s';
CREATE TABLE user_facts (
  tenant_id       uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  user_id         uuid NOT NULL,
  state           text NOT NULL,      -- users.state
  created_at      timestamptz NOT NULL, -- users.created_at
  passkeys        integer NOT NULL DEFAULT 0, -- credentials that are ACTIVE
  bare            boolean NOT NULL GENERATED ALWAYS AS (passkeys <= 0) STORED,
  -- The newest session that has been looked at: see sign_in_marks. 1970 is never. A sign-in
  -- writes no row of users, so this runs behind; what people see is read from credentials.
  last_sign_in_at timestamptz NOT NULL DEFAULT 'epoch',
  PRIMARY KEY (tenant_id, user_id)
);
SELECT wall('user_facts');
CREATE INDEX user_facts_sign_in ON user_facts (tenant_id, last_sign_in_at, user_id);
CREATE INDEX user_facts_state ON user_facts (tenant_id, state, user_id);
CREATE INDEX user_facts_bare ON user_facts (tenant_id, bare, user_id);
GRANT SELECT, UPDATE (last_sign_in_at) ON user_facts TO bc_app;
GRANT SELECT ON user_facts TO bc_support;

-- How far a tenant's sessions have been looked at for user_facts.
CREATE TABLE sign_in_marks (
  tenant_id  uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  session_id uuid NOT NULL, -- sessions.id, which are in the order of time
  ordered_at timestamptz,   -- when a job was made of what was left
  PRIMARY KEY (tenant_id)
);
SELECT wall('sign_in_marks');
ALTER TABLE sign_in_marks ADD FOREIGN KEY (tenant_id) REFERENCES tenants (id);
GRANT SELECT, INSERT, UPDATE ON sign_in_marks TO bc_app;

-- By what a user is searched for: 16 bits of a keyed hash of how each word of the names, and
-- the external id, begin. So few bits that many beginnings share them: a row narrows a search
-- and names nobody. NULL: not yet made.
ALTER TABLE users ADD COLUMN terms integer[];
CREATE TABLE user_terms (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  term      integer NOT NULL,
  user_id   uuid NOT NULL,
  PRIMARY KEY (tenant_id, term, user_id)
);
SELECT wall('user_terms');
GRANT SELECT ON user_terms TO bc_app, bc_support;

-- note_user writes what there is to know of a user, counted anew: what went wrong once does
-- not stay wrong. It and the triggers run with their owner's rights, on the row that was
-- written and no other: whoever may write users or credentials need have no rights here.
-- +goose StatementBegin
CREATE FUNCTION note_user(tenant uuid, who uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO user_facts (tenant_id, user_id, state, created_at, passkeys)
  SELECT u.tenant_id, u.id, u.state, u.created_at,
    (SELECT count(*)::integer FROM credentials c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.state = 'ACTIVE')
  FROM users u WHERE u.tenant_id = tenant AND u.id = who
  ON CONFLICT (tenant_id, user_id) DO UPDATE SET state = EXCLUDED.state, passkeys = EXCLUDED.passkeys
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION user_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM user_facts WHERE tenant_id = OLD.tenant_id AND user_id = OLD.id;
  ELSE
    PERFORM note_user(NEW.tenant_id, NEW.id);
  END IF;
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM user_terms WHERE tenant_id = OLD.tenant_id AND term = ANY (OLD.terms) AND user_id = OLD.id;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO user_terms (tenant_id, term, user_id) SELECT DISTINCT NEW.tenant_id, t, NEW.id FROM unnest(NEW.terms) t;
  END IF;
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER user_written AFTER INSERT OR DELETE OR UPDATE OF state, terms ON users FOR EACH ROW EXECUTE FUNCTION user_written();

-- Not for a sign-in, which does not set the state.
-- +goose StatementBegin
CREATE FUNCTION credential_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM note_user(COALESCE(NEW.tenant_id, OLD.tenant_id), COALESCE(NEW.user_id, OLD.user_id));
  RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER credential_written AFTER INSERT OR DELETE OR UPDATE OF state ON credentials FOR EACH ROW EXECUTE FUNCTION credential_written();

REVOKE ALL ON FUNCTION note_user(uuid, uuid), user_written(), credential_written() FROM PUBLIC;
