UPDATE device SET failing_since = coalesce(failing_since, :since) WHERE id = :device;
