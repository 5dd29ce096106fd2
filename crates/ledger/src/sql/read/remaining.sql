SELECT source.path AS source, remaining.path AS path, reason, size, detail
FROM remaining JOIN source ON source.id = remaining.source
WHERE remaining.device = :device
ORDER BY position
LIMIT :limit;
