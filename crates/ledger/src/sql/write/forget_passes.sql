-- Deletes all but the newest :keep of the passes with the same outcome as the pass before.
DELETE FROM pass
WHERE device = :device
  AND repeats = 1
  AND id <= (
      SELECT id FROM pass WHERE device = :device AND repeats = 1 ORDER BY id DESC LIMIT 1 OFFSET :keep
  );
