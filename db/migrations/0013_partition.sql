-- +goose Up
-- Partitions are made ahead by a job and dropped when old. The job's role owns
-- nothing, so both steps are functions of the owner. They take a time and answer
-- a count: nothing of a tenant goes in or comes out.

-- +goose StatementBegin
CREATE FUNCTION make_partition(parent regclass, name text, bounds text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  IF to_regclass(format('public.%I', name)) IS NOT NULL THEN
    RETURN 0;
  END IF;
  EXECUTE format('CREATE TABLE public.%I PARTITION OF %s FOR VALUES %s', name, parent, bounds);
  PERFORM wall(format('public.%I', name)::regclass); -- a partition inherits no row-level security
  RETURN 1;
END $$;
-- +goose StatementEnd

-- make_partitions makes what is needed from an hour before t on: 75 hours of
-- spent_challenges (a registration token lives 24 h, and a weekend without the job
-- must not stop sign-ins), 4 months of ceremonies, 8 days of event_outbox.
-- Safe to run by several servers at once; answers how many it made.
-- +goose StatementBegin
CREATE FUNCTION make_partitions(t timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  made integer := 0;
  slot integer := floor(extract(epoch FROM t) / 3600)::integer;
  d timestamp;
BEGIN
  PERFORM pg_advisory_xact_lock(7163093017); -- one maker at a time: CREATE races would fail, not wait
  FOR i IN -1..75 LOOP
    made := made + make_partition('spent_challenges', format('spent_challenges_%s', slot + i), format('IN (%s)', slot + i));
  END LOOP;
  FOR i IN 0..3 LOOP
    d := date_trunc('month', t AT TIME ZONE 'UTC') + make_interval(months => i);
    made := made + make_partition('ceremonies', format('ceremonies_%s', to_char(d, 'YYYYMM')),
      format('FROM (%L) TO (%L)', d::text || '+00', (d + interval '1 month')::text || '+00'));
  END LOOP;
  FOR i IN -1..7 LOOP
    d := date_trunc('day', t AT TIME ZONE 'UTC') + make_interval(days => i);
    made := made + make_partition('event_outbox', format('event_outbox_%s', to_char(d, 'YYYYMMDD')),
      format('FROM (%L) TO (%L)', d::text || '+00', (d + interval '1 day')::text || '+00'));
  END LOOP;
  RETURN made;
END $$;
-- +goose StatementEnd

-- drop_partitions drops spent_challenges two hours after their expiry and
-- event_outbox after 14 days, counted from t or from now, whichever is earlier: a
-- time to come would drop what still guards against replays. Answers how many it
-- dropped. pg_temp stands last in both functions: unnamed it would come first, and
-- the caller's temporary tables with it.
-- +goose StatementBegin
CREATE FUNCTION drop_partitions(t timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dropped integer := 0;
  c text;
BEGIN
  t := least(t, now());
  SET LOCAL lock_timeout = '2s'; -- waiting for ACCESS EXCLUSIVE would queue sign-ins behind us
  FOR c IN
    SELECT k.relname FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
    WHERE i.inhparent = 'spent_challenges'::regclass
      AND substring(k.relname FROM '\d+$')::integer < floor(extract(epoch FROM t) / 3600)::integer - 2
    UNION ALL
    SELECT k.relname FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
    WHERE i.inhparent = 'event_outbox'::regclass
      AND to_date(substring(k.relname FROM '\d+$'), 'YYYYMMDD') < (t AT TIME ZONE 'UTC')::date - 14
  LOOP
    EXECUTE format('DROP TABLE public.%I', c);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
-- +goose StatementEnd

REVOKE ALL ON FUNCTION make_partition(regclass, text, text), make_partitions(timestamptz), drop_partitions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_partitions(timestamptz), drop_partitions(timestamptz) TO bc_jobs;

SELECT make_partitions(now());
