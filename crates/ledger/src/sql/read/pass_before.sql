-- The last finished pass of the device before this one.
SELECT outcome, class
FROM pass
WHERE device = :device AND id < :id AND outcome IS NOT NULL
ORDER BY id DESC
LIMIT 1;
