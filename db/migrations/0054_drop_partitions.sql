-- drop_partitions read the date in a partition's name in the WHERE of a join with pg_class: a plan that filters pg_class
-- before it joins reads the names of all tables, and fails at the first that ends in other digits. The names of the
-- partitions are found first now, whatever the plan.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION drop_partitions(t timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dropped integer := 0;
  c text;
BEGIN
  t := least(t, now());
  SET LOCAL lock_timeout = '2s'; -- waiting for ACCESS EXCLUSIVE would queue sign-ins behind us
  FOR c IN
    WITH partition AS MATERIALIZED (
      SELECT k.relname, i.inhparent, substring(k.relname FROM '\d+$') AS stamp
      FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid
      WHERE i.inhparent IN ('spent_challenges'::regclass, 'event_outbox'::regclass))
    SELECT relname FROM partition
    WHERE CASE inhparent WHEN 'spent_challenges'::regclass THEN stamp::integer < floor(extract(epoch FROM t) / 3600)::integer - 2
      ELSE to_date(stamp, 'YYYYMMDD') < (t AT TIME ZONE 'UTC')::date - 14 END
  LOOP
    EXECUTE format('DROP TABLE public.%I', c);
    dropped := dropped + 1;
  END LOOP;
  RETURN dropped;
END $$;
-- +goose StatementEnd
