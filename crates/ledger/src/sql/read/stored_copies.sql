-- A page of all rows in the order of their names in the store, after the given row.
SELECT id, store_name, size, digest
FROM file
WHERE (store_name, id) > (:store_name, :id)
ORDER BY store_name, id
LIMIT :limit;
