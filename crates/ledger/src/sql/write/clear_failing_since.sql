UPDATE device SET failing_since = NULL WHERE id = :device;
