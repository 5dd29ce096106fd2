-- All of the source but the newest :most.
DELETE FROM suspect
WHERE source = :source AND id NOT IN (SELECT id FROM suspect WHERE source = :source ORDER BY id DESC LIMIT :most);
