SELECT device.name, source.path, claim.boot_id, claim.device_number, claim.inode, claim.since
FROM claim
JOIN source ON source.id = claim.source
JOIN device ON device.id = source.device;
