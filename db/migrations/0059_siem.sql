-- +goose Up
-- Where a tenant's audit log is streamed to. next_seq is the whole of a stream's progress: the number of
-- the first entry that its sink has not acknowledged, moved in a transaction of its own after it has (ADR 0051).
CREATE TABLE siem_sinks (
  tenant_id       uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  id              uuid NOT NULL, -- UUIDv7
  name            text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 80),
  kind            text NOT NULL CHECK (kind IN ('SPLUNK_HEC', 'ELASTICSEARCH', 'SYSLOG_TLS', 'HTTPS')),
  format          text NOT NULL CHECK (format IN ('JSON', 'OCSF', 'ECS')),
  address         text NOT NULL CHECK (octet_length(address) <= 2048), -- a URL, or host:port
  index_name      text NOT NULL DEFAULT '' CHECK (octet_length(index_name) <= 255), -- where Splunk or Elasticsearch puts events
  acknowledge     boolean NOT NULL DEFAULT false, -- Splunk: wait until events are indexed
  credential      bytea, -- sealed; NULL: none
  key_version     bigint NOT NULL DEFAULT 0, -- of the data key that sealed credential
  ca_certificates text NOT NULL DEFAULT '' CHECK (octet_length(ca_certificates) <= 65536), -- PEM; empty: the system's
  actions         text[] NOT NULL, -- prefixes of actions that are sent; none: all
  outcomes        text[] NOT NULL, -- that are sent; none: all
  redact          text[] NOT NULL, -- members of entries that are left out
  state           text NOT NULL CHECK (state IN ('ACTIVE', 'PAUSED')),
  version         integer NOT NULL DEFAULT 1, -- of what people change
  created_by      text NOT NULL, -- kind:id
  created_at      timestamptz NOT NULL,
  updated_by      text NOT NULL,
  updated_at      timestamptz NOT NULL,

  next_seq        bigint NOT NULL CHECK (next_seq >= 0),
  sent            bigint NOT NULL DEFAULT 0, -- entries that the sink has acknowledged, repeats included
  rejected        bigint NOT NULL DEFAULT 0, -- entries that it will never take: siem_rejects
  missed          bigint NOT NULL DEFAULT 0, -- entries that were archived before they could be sent
  failures        integer NOT NULL DEFAULT 0, -- in a row
  last_success_at timestamptz,
  last_error      text NOT NULL DEFAULT '', -- in our words; kept when it works again
  last_error_at   timestamptz,
  due_at          timestamptz NOT NULL, -- not before this
  lease           uuid, -- who delivers just now; a change takes it away
  leased_until    timestamptz,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, name)
);
SELECT wall('siem_sinks');
GRANT SELECT, INSERT, DELETE ON siem_sinks TO bc_app;
GRANT UPDATE (name, format, address, index_name, acknowledge, credential, key_version, ca_certificates, actions, outcomes, redact, state, version, updated_by, updated_at,
  next_seq, sent, rejected, missed, failures, last_success_at, last_error, last_error_at, due_at, lease, leased_until) ON siem_sinks TO bc_app;

-- What a sink has refused for good: which entry, and what it said. The latest thousand of each sink are kept.
CREATE TABLE siem_rejects (
  tenant_id uuid NOT NULL DEFAULT NULLIF(current_setting('app.tenant_id', true), '')::uuid,
  sink_id   uuid NOT NULL,
  seq       bigint NOT NULL,
  at        timestamptz NOT NULL,
  reason    text NOT NULL CHECK (octet_length(reason) <= 1024),
  PRIMARY KEY (tenant_id, sink_id, seq),
  FOREIGN KEY (tenant_id, sink_id) REFERENCES siem_sinks (tenant_id, id)
);
SELECT wall('siem_rejects');
GRANT SELECT, INSERT, UPDATE (at, reason), DELETE ON siem_rejects TO bc_app;

-- Servers ask which streams have something to send, and see no more: as bc_control, which crosses tenants.
CREATE POLICY streams ON siem_sinks FOR SELECT TO bc_control USING (state = 'ACTIVE');
GRANT SELECT (tenant_id, id, state, next_seq, failures, due_at, leased_until) ON siem_sinks TO bc_control;
CREATE POLICY streams ON audit_logs FOR SELECT TO bc_control USING (true);
GRANT SELECT (tenant_id, size, sequenced_at) ON audit_logs TO bc_control;
