-- Adds the change to the total, between 0 and the largest integer.
INSERT INTO file_total (device, state, files, bytes)
VALUES (:device, :state, max(0, :entered_files - :left_files), max(0, :entered_bytes - :left_bytes))
ON CONFLICT (device, state) DO UPDATE
SET files = max(0, min(files, 0x7fffffffffffffff - :entered_files) + :entered_files - :left_files),
    bytes = max(0, min(bytes, 0x7fffffffffffffff - :entered_bytes) + :entered_bytes - :left_bytes);
