SELECT id, size, modified, changed, device_number, inode, digest, store_name, state
FROM file
WHERE source = :source AND path = :path
ORDER BY id DESC
LIMIT 1;
