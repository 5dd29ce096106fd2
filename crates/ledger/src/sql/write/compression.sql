UPDATE device
SET compression_paid = :paid,
    compression_found = :at
WHERE id = :device;
