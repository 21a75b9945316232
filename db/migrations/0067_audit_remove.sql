-- +goose Up
-- What is archived of audit logs leaves the database (ADR 0054). Nobody is granted to delete entries: these functions of the
-- owner remove what audit_archives has, is 90 days old at least, and is in a complete tile, whose hashes stay.

-- The number below which a tenant's entries are in archives that were noted before t, rounded down to a tile. 0 where archives
-- do not follow one another from entry 0 on.
-- +goose StatementBegin
CREATE FUNCTION archived_below(tenant uuid, t timestamptz) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
  SELECT coalesce(CASE WHEN sum(to_seq - from_seq) = max(to_seq) THEN max(to_seq) / 256 * 256 END, 0) FROM audit_archives WHERE tenant_id = tenant AND archived_at <= t;
$$;
-- +goose StatementEnd

-- remove_audit_entries removes up to max_rows of the first entries of the tenant that the transaction is of, a week after they
-- were archived: until then they may go with their month, which costs nothing. Answers how many it removed.
-- +goose StatementBegin
CREATE FUNCTION remove_audit_entries(max_rows integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  tenant uuid := NULLIF(current_setting('app.tenant_id', true), '')::uuid;
  low bigint;
  removed integer;
BEGIN
  SELECT seq INTO low FROM audit_entries WHERE tenant_id = tenant ORDER BY seq LIMIT 1;
  DELETE FROM audit_entries WHERE tenant_id = tenant AND seq >= low AND seq < least(low + max_rows, archived_below(tenant, now() - interval '7 days'))
    AND sequenced_at < now() - interval '90 days';
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION archived_below(uuid, timestamptz), remove_audit_entries(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION remove_audit_entries(integer) TO bc_app;

-- drop_partitions drops months of audit_entries, too: those that ended 90 days ago, and of which no tenant has an entry that is not archived.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION drop_partitions(t timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  dropped integer := 0;
  c text;
  kept boolean;
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
  FOR c IN
    WITH partition AS MATERIALIZED (
      SELECT k.relname, to_date(substring(k.relname FROM '\d+$'), 'YYYYMM') AS month
      FROM pg_inherits i JOIN pg_class k ON k.oid = i.inhrelid WHERE i.inhparent = 'audit_entries'::regclass)
    SELECT relname FROM partition WHERE (month + interval '1 month')::date < (t AT TIME ZONE 'UTC')::date - 90 ORDER BY month
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM audit_logs l WHERE EXISTS (SELECT FROM public.%I e WHERE e.tenant_id = l.tenant_id AND e.seq >= archived_below(l.tenant_id, $1)))', c)
      INTO kept USING t;
    CONTINUE WHEN kept;
    BEGIN
      EXECUTE format('DROP TABLE public.%I', c);
      dropped := dropped + 1;
    EXCEPTION WHEN lock_not_available THEN
      EXIT; -- somebody reads the log for long: in an hour again
    END;
  END LOOP;
  RETURN dropped;
END $$;
-- +goose StatementEnd
