SELECT file.id AS id, path, batch.name AS batch_name
FROM file JOIN batch ON batch.id = file.batch
WHERE source = :source AND file.batch IS NOT NULL AND state <> 'released'
ORDER BY file.id;
