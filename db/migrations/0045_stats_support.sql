-- +goose Up
-- What support may look at of statistics and boards while a grant runs: all of it. Nobody
-- is in it.
GRANT SELECT ON stats_counts, stats_gauges, stats_marks, dashboards TO bc_support;
