SELECT source.path AS source, standing.path AS path, reason, size, detail
FROM standing JOIN source ON source.id = standing.source
WHERE standing.device = :device
ORDER BY position
LIMIT :limit;
