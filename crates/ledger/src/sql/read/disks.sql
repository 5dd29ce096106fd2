SELECT source.path AS path, total, available
FROM source JOIN disk ON disk.source = source.id
WHERE source.device = :device
ORDER BY source.path;
