-- The last pass whose outcome says something about the device.
SELECT *
FROM pass
WHERE device = :device AND outcome IN ('well', 'partial', 'failed')
ORDER BY id DESC
LIMIT 1;
