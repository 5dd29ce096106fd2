-- Of the passes that ended like the one before, keeps the newest.
DELETE FROM pass
WHERE device = :device
  AND repeats = 1
  AND id <= (
      SELECT id FROM pass WHERE device = :device AND repeats = 1 ORDER BY id DESC LIMIT 1 OFFSET :keep
  );
