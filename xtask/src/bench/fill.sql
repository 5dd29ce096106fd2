-- Records files FIRST to END in turn for each of the SLOTS devices, one every five seconds. Ten million files
-- take about twenty months.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -1000000;
BEGIN;
CREATE TEMP TABLE slot AS
SELECT row_number() OVER (ORDER BY source.id) - 1 AS number, source.id AS source, device.id AS device, device.name AS name
FROM source JOIN device ON device.id = source.device
WHERE device.name IN (DEVICES);
CREATE UNIQUE INDEX temp.slot_by_number ON slot (number);

CREATE TEMP TABLE made AS
WITH RECURSIVE counter (number) AS (SELECT FIRST UNION ALL SELECT number + 1 FROM counter WHERE number + 1 < END)
SELECT number, 1740000000000000000 + number * 5000000000 AS at FROM counter;

-- One pass and one batch for every hundred files of a device. After each pass, another one fails to reach the
-- device.
INSERT INTO batch (name)
SELECT printf('%016x-%06d', made.number, slot.number) FROM made JOIN slot ON slot.number = made.number % SLOTS
WHERE made.number / SLOTS % 100 = 0 OR made.number < FIRST + SLOTS;
INSERT INTO pass (device, begun, ended, outcome, class, message, released_files, released_bytes, stored_files, stored_bytes, took)
SELECT
    slot.device, made.at, made.at + 2000000000, column1, column2, column3, column4, column4 * 30000, column4, column4 * 30000, 2000000000
FROM made
JOIN slot ON slot.number = made.number % SLOTS
JOIN (VALUES ('well', NULL, NULL, 100), ('failed', 'timed-out', 'ssh: connect to host: Connection timed out', 0))
WHERE made.number / SLOTS % 100 = 0;

INSERT INTO file (
    source, path, size, modified, changed, device_number, inode, digest, device_digest, store_name, already_stored, batch, pass, state,
    stored_at, released_at
)
SELECT
    source, CAST(path AS BLOB), 25000 + number % 10000, at - 60000000000, at - 60000000000, 66306, 1000000 + number, randomblob(32), 1,
    CAST(name || '/' || path AS BLOB), 0, (SELECT max(id) FROM batch), (SELECT max(id) FROM pass), 'released', at, at + 1000000000
FROM (
    SELECT slot.source, slot.name, made.number, made.at, printf('day%05d/record%09d.np', made.number / SLOTS / 500, made.number) AS path
    FROM made JOIN slot ON slot.number = made.number % SLOTS
);
INSERT OR REPLACE INTO file_total (device, state, files, bytes)
SELECT source.device, state, count(*), sum(size) FROM file JOIN source ON source.id = file.source GROUP BY 1, 2;
INSERT OR REPLACE INTO day (device, day, stored_files, stored_bytes, released_files, released_bytes)
SELECT source.device, stored_at / 86400000000000, count(*), sum(size), count(*), sum(size)
FROM file JOIN source ON source.id = file.source
GROUP BY 1, 2;
COMMIT;
PRAGMA journal_mode = WAL;
