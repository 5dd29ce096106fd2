SELECT source.id AS id, device.name AS device, source.path AS path
FROM source JOIN device ON device.id = source.device
ORDER BY device.name, source.path;
