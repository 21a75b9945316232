-- +goose Up
-- What the FIDO Metadata Service says of models of authenticators: the newest BLOBs that
-- were verified, as they were signed. They are the platform's, and nobody's secret; only
-- the platform plane reads and writes them. Every server verifies what it loads again.
CREATE TABLE metadata_blobs (
  number      integer NOT NULL PRIMARY KEY CHECK (number >= 0), -- no: it never goes back
  blob        bytea NOT NULL CHECK (octet_length(blob) <= 67108864), -- a JWS
  next_update timestamptz NOT NULL,
  entries     integer NOT NULL,
  unparsed    integer NOT NULL, -- of them, those that could not be read
  source      text NOT NULL, -- where it came from: a URL, a file's name
  fetched_at  timestamptz NOT NULL, -- and verified at that time
  checked_at  timestamptz NOT NULL, -- when its source had nothing newer, last
  applied_at  timestamptz -- when jobs were made that compare tenants' credentials with it, last
);
GRANT SELECT, INSERT, UPDATE (checked_at, applied_at), DELETE ON metadata_blobs TO bc_control;
