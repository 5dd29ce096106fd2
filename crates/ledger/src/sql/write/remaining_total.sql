INSERT INTO remaining_total (device, position, reason, files, bytes)
VALUES (:device, :position, :reason, :files, :bytes);
