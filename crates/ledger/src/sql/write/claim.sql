INSERT INTO claim (source, boot_id, device_number, inode, since)
VALUES (:source, :boot_id, :device_number, :inode, :since);
