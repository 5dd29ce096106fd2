-- As files.sql, without the released files, which are the majority.
SELECT file.*, batch.name AS batch_name
FROM file LEFT JOIN batch ON batch.id = file.batch
WHERE source = :source AND (stored_at, file.id) > (:stored_at, :id) AND state <> 'released'
ORDER BY stored_at, file.id
LIMIT :limit;
