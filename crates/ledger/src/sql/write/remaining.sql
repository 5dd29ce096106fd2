INSERT INTO remaining (device, position, source, path, reason, size, detail)
VALUES (:device, :position, :source, :path, :reason, :size, :detail);
