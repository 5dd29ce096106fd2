SELECT size, modified, changed, device_number, inode, since
FROM sighting
WHERE source = :source AND path = :path;
