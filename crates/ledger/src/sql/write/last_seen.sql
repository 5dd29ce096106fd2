UPDATE device SET last_seen = :at, hung_up_on_command = :hung_up WHERE id = :device;
