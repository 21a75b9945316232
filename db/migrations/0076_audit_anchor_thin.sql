-- +goose Up
-- A row for each minute that the heads of audit logs were anchored: 500,000 a year. Of what is 30 days old one an hour stays,
-- of what is a year old one a day (ADR 0053). Objects stay, all of them, and with them what nobody can change.

-- thin_anchors removes up to max_rows of the oldest rows of anchors that are stored and that nobody needs: it keeps the last of
-- each hour, or day, the last of all, and those that a tenant's last anchored head is in. Answers how many it removed.
-- +goose StatementBegin
CREATE FUNCTION thin_anchors(max_rows integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  removed integer;
BEGIN
  DELETE FROM audit_anchors d USING (
    SELECT o.id FROM (
      SELECT id, size, at, lead(at) OVER (ORDER BY size) AS next_at FROM audit_anchors WHERE stored_at IS NOT NULL) o
    WHERE o.at < now() - interval '30 days'
      AND date_trunc(CASE WHEN o.at < now() - interval '1 year' THEN 'day' ELSE 'hour' END, o.at, 'UTC')
        = date_trunc(CASE WHEN o.at < now() - interval '1 year' THEN 'day' ELSE 'hour' END, o.next_at, 'UTC')
      AND NOT EXISTS (SELECT FROM audit_anchor_heads h WHERE h.anchor_id = o.id)
    ORDER BY o.size LIMIT max_rows) gone
  WHERE d.id = gone.id;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION thin_anchors(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION thin_anchors(integer) TO bc_jobs;
