-- +goose Up
-- What support may look at of usage while a grant runs: the numbers and the quotas. Who was
-- active in a month says nothing that the users do not.
GRANT SELECT ON quotas, usage_days, usage_alerts TO bc_support;
