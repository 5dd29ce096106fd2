SELECT *
FROM pass
WHERE device = :device AND outcome IS NOT NULL
ORDER BY id DESC
LIMIT 1;
