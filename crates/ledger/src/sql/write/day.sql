-- Adds the change to the totals of the day, up to the largest integer.
INSERT INTO day (device, day, stored_files, stored_bytes, released_files, released_bytes)
VALUES (:device, :day, :stored_files, :stored_bytes, :released_files, :released_bytes)
ON CONFLICT (device, day) DO UPDATE
SET stored_files = min(stored_files, 0x7fffffffffffffff - :stored_files) + :stored_files,
    stored_bytes = min(stored_bytes, 0x7fffffffffffffff - :stored_bytes) + :stored_bytes,
    released_files = min(released_files, 0x7fffffffffffffff - :released_files) + :released_files,
    released_bytes = min(released_bytes, 0x7fffffffffffffff - :released_bytes) + :released_bytes;
