-- A page of the files of one source, oldest first, after the given row.
SELECT file.*, batch.name AS batch_name
FROM file LEFT JOIN batch ON batch.id = file.batch
WHERE source = :source AND (stored_at, file.id) > (:stored_at, :id)
ORDER BY stored_at, file.id
LIMIT :limit;
