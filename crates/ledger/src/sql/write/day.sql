INSERT OR REPLACE INTO day (device, day, stored_files, stored_bytes, released_files, released_bytes)
VALUES (:device, :day, :stored_files, :stored_bytes, :released_files, :released_bytes);
