-- The ledger, as a new one is made. An older one comes to the same by the files in migrations/.
--
-- Times are nanoseconds since 1970-01-01 UTC. Names are bytes. Numbers without a sign that a device states (sizes, inodes, device
-- numbers) stand as the signed number of the same 64 bits.

-- One row: what this ledger is.
CREATE TABLE ledger (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    store_id TEXT,
    created INTEGER NOT NULL
) STRICT;

-- What is known of each device; the state of now, not its history.
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_attempt INTEGER,
    last_seen INTEGER,
    failing_since INTEGER,
    clock_offset INTEGER,
    boot_id TEXT,
    clock_read INTEGER,
    compression_paid INTEGER CHECK (compression_paid IN (0, 1)),
    compression_found INTEGER,
    writer_check TEXT CHECK (writer_check IN ('blind', 'scan', 'leases')),
    hung_up_on_command INTEGER
) STRICT;

-- A folder on a device.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (id),
    path BLOB NOT NULL,
    UNIQUE (device, path)
) STRICT;

-- How full the file system of a source was when the device was last asked; NULL where it could not tell.
CREATE TABLE disk (
    source INTEGER PRIMARY KEY REFERENCES source (id),
    total INTEGER,
    available INTEGER
) STRICT;

-- Which folder a source was when its device was last asked, links followed, and since when it has been that one. Boot id, device number
-- and inode together tell it from every other folder of the fleet.
CREATE TABLE claim (
    source INTEGER PRIMARY KEY REFERENCES source (id),
    boot_id TEXT NOT NULL,
    device_number INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

-- What a lesser device lacks.
CREATE TABLE shortcoming (
    device INTEGER NOT NULL REFERENCES device (id),
    position INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (device, position)
) STRICT, WITHOUT ROWID;

-- One visit to one device; `outcome` is NULL until it has ended.
-- `repeats` marks one that ended like the one before it: of these only the newest are kept.
CREATE TABLE pass (
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
CREATE INDEX pass_of_device ON pass (device);
CREATE INDEX pass_that_repeats ON pass (device) WHERE repeats = 1;

-- A batch of files that were withdrawn together.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A file that is whole and durable in the store. Rows are never deleted; of several for one path the newest counts.
-- `pass` refers to a row that may have been forgotten.
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    changed INTEGER,
    device_number INTEGER,
    inode INTEGER,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    device_digest INTEGER NOT NULL CHECK (device_digest IN (0, 1)),
    store_name BLOB NOT NULL,
    was_there INTEGER NOT NULL CHECK (was_there IN (0, 1)),
    batch INTEGER REFERENCES batch (id),
    pass INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('stored', 'released', 'kept')),
    reason TEXT,
    stored_at INTEGER NOT NULL,
    released_at INTEGER
) STRICT;
-- For planning.
CREATE INDEX file_by_path ON file (source, path);
-- For listing.
CREATE INDEX file_by_time ON file (source, stored_at);
CREATE INDEX file_unreleased ON file (source, stored_at) WHERE state <> 'released';
-- For finishing what an earlier pass withdrew.
CREATE INDEX file_withdrawn ON file (source) WHERE batch IS NOT NULL AND state <> 'released';
-- For auditing, and for finding out where something in the store came from.
CREATE INDEX file_by_store_name ON file (store_name);

-- How many files of each device are in each state, kept up with every change: counting millions takes seconds.
CREATE TABLE file_total (
    device INTEGER NOT NULL REFERENCES device (id),
    state TEXT NOT NULL CHECK (state IN ('stored', 'released', 'kept')),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, state)
) STRICT, WITHOUT ROWID;

-- What was stored and released on each day (days since 1970 in UTC). Content that was there before is not counted as stored.
CREATE TABLE day (
    device INTEGER NOT NULL REFERENCES device (id),
    day INTEGER NOT NULL,
    stored_files INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    released_files INTEGER NOT NULL,
    released_bytes INTEGER NOT NULL,
    PRIMARY KEY (device, day)
) STRICT, WITHOUT ROWID;

-- Files whose clock cannot be trusted, and since when they have been seen unchanged.
CREATE TABLE sighting (
    source INTEGER NOT NULL REFERENCES source (id),
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    changed INTEGER,
    device_number INTEGER,
    inode INTEGER,
    since INTEGER NOT NULL,
    PRIMARY KEY (source, path)
) STRICT, WITHOUT ROWID;

-- Files that may be why a session with their device ended, in the order in which they were last noted, and how often they were.
CREATE TABLE suspect (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    path BLOB NOT NULL,
    times INTEGER NOT NULL,
    UNIQUE (source, path)
) STRICT;

-- The first some of the files that the last survey left on a device, in the order in which they were reported.
CREATE TABLE remaining (
    device INTEGER NOT NULL REFERENCES device (id),
    position INTEGER NOT NULL,
    source INTEGER NOT NULL REFERENCES source (id),
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    size INTEGER NOT NULL,
    detail TEXT,
    PRIMARY KEY (device, position)
) STRICT, WITHOUT ROWID;

-- For each reason: how many files and bytes it left on a device.
CREATE TABLE remaining_total (
    device INTEGER NOT NULL REFERENCES device (id),
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, position)
) STRICT, WITHOUT ROWID;
