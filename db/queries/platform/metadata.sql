-- name: GetMetadataState :one
-- Everything of the newest BLOB but itself. As bc_control. Index: metadata_blobs_pkey, backwards.
SELECT number, next_update, entries, unparsed, source, fetched_at, checked_at, applied_at
FROM metadata_blobs ORDER BY number DESC LIMIT 1;

-- name: GetMetadataBlob :one
-- As bc_control. Index: metadata_blobs_pkey.
SELECT * FROM metadata_blobs WHERE number = $1;

-- name: InsertMetadataBlob :execrows
-- None when the number is there already: the one that came first stays. As bc_control.
INSERT INTO metadata_blobs (number, blob, next_update, entries, unparsed, source, fetched_at, checked_at)
VALUES (sqlc.arg(number), sqlc.arg(blob), sqlc.arg(next_update), sqlc.arg(entries), sqlc.arg(unparsed), sqlc.arg(source), sqlc.arg(now), sqlc.arg(now))
ON CONFLICT (number) DO NOTHING;

-- name: SetMetadataChecked :exec
-- As bc_control. Index: metadata_blobs_pkey.
UPDATE metadata_blobs SET checked_at = sqlc.arg(now)::timestamptz WHERE number = sqlc.arg(number);

-- name: SetMetadataApplied :exec
-- As bc_control. Index: metadata_blobs_pkey.
UPDATE metadata_blobs SET applied_at = sqlc.arg(now)::timestamptz WHERE number = sqlc.arg(number);

-- name: DeleteOldMetadataBlobs :exec
-- All but the newest and the one before it. As bc_control. Index: metadata_blobs_pkey, backwards.
DELETE FROM metadata_blobs WHERE number < (SELECT min(newest.number) FROM (SELECT m.number FROM metadata_blobs m ORDER BY m.number DESC LIMIT 2) newest);

-- name: DeleteMetadataBlobs :exec
-- All of them: they are not what the configured roots vouch for. As bc_control.
DELETE FROM metadata_blobs;
