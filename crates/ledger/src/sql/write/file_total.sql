INSERT OR REPLACE INTO file_total (device, state, files, bytes) VALUES (:device, :state, :files, :bytes);
