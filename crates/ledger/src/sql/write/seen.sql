UPDATE device SET last_seen = :at WHERE id = :device;
