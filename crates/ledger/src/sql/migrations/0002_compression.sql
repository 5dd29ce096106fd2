-- Whether files came sooner where the connection compresses, and when that was found out.
ALTER TABLE device ADD COLUMN compression_paid INTEGER CHECK (compression_paid IN (0, 1));
ALTER TABLE device ADD COLUMN compression_found INTEGER;
