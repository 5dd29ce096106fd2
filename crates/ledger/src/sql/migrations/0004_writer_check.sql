-- How a device proves that nobody writes to a file. Also new codes of reasons and failure classes, which older versions do not know.
ALTER TABLE device ADD COLUMN writer_check TEXT CHECK (writer_check IN ('blind', 'scan', 'leases'));
