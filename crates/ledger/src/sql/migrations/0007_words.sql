-- Plain names: the outcome `home-failed` is now `collector-failed`, and the files that a pass leaves are the remaining ones.
-- SQLite cannot change a CHECK, so the table of passes is made again. Nothing refers to it by a foreign key.
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
SELECT id, device, begun, ended, CASE outcome WHEN 'home-failed' THEN 'collector-failed' ELSE outcome END, class, message,
    released_files, released_bytes, stored_files, stored_bytes, took, repeats, remedy
FROM pass;
DROP TABLE pass;
ALTER TABLE new_pass RENAME TO pass;
CREATE INDEX pass_of_device ON pass (device);
CREATE INDEX pass_that_repeats ON pass (device) WHERE repeats = 1;

ALTER TABLE standing RENAME TO remaining;
ALTER TABLE standing_total RENAME TO remaining_total;
