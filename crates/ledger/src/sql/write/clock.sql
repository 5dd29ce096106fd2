UPDATE device
SET clock_offset = :offset,
    boot_id = :boot_id,
    clock_read = :at
WHERE id = :device;
