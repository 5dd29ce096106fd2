-- Plain names: the outcome `home-failed` becomes `collector-failed`, `standing` becomes `remaining`, and
-- `was_there` becomes `already_stored`. SQLite cannot change a CHECK, so this creates the table of passes
-- anew and copies all rows. No foreign key refers to that table.
CREATE TABLE new_pass (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (id),
    begun INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT CHECK (outcome IN ('well', 'partial', 'failed', 'collector-failed', 'interrupted')),
    class TEXT,
    message TEXT,
    released_files INTEGER NOT NULL DEFAULT 0,
    released_bytes INTEGER NOT NULL DEFAULT 0,
    stored_files INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    took INTEGER,
    repeats INTEGER NOT NULL DEFAULT 0 CHECK (repeats IN (0, 1)),
    remedy TEXT
) STRICT;
INSERT INTO new_pass
SELECT
    id, device, begun, ended, CASE outcome WHEN 'home-failed' THEN 'collector-failed' ELSE outcome END,
    CASE class WHEN 'collector-failed' THEN 'local-failure' ELSE class END,
    message, released_files, released_bytes, stored_files, stored_bytes, took, repeats, remedy
FROM pass;
DROP TABLE pass;
ALTER TABLE new_pass RENAME TO pass;
CREATE INDEX pass_of_device ON pass (device);
CREATE INDEX pass_that_repeats ON pass (device) WHERE repeats = 1;

ALTER TABLE standing RENAME TO remaining;
ALTER TABLE standing_total RENAME TO remaining_total;

ALTER TABLE file RENAME COLUMN was_there TO already_stored;

-- Totals are now updated by increments and end at the largest integer. Older versions stored a larger total
-- as the negative number with the same 64 bits.
UPDATE file_total SET files = 0x7fffffffffffffff WHERE files < 0;
UPDATE file_total SET bytes = 0x7fffffffffffffff WHERE bytes < 0;
UPDATE day SET stored_files = 0x7fffffffffffffff WHERE stored_files < 0;
UPDATE day SET stored_bytes = 0x7fffffffffffffff WHERE stored_bytes < 0;
UPDATE day SET released_files = 0x7fffffffffffffff WHERE released_files < 0;
UPDATE day SET released_bytes = 0x7fffffffffffffff WHERE released_bytes < 0;
