INSERT OR REPLACE INTO sighting (source, path, size, modified, changed, device_number, inode, since)
VALUES (:source, :path, :size, :modified, :changed, :device_number, :inode, :since);
