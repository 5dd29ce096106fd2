UPDATE device SET last_attempt = :at WHERE id = :device;
