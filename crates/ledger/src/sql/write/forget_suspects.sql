-- Keeps the newest :max suspects of the source.
DELETE FROM suspect
WHERE source = :source
  AND id NOT IN (SELECT id FROM suspect WHERE source = :source ORDER BY id DESC LIMIT :max);
