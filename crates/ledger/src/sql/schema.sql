-- The schema of a new ledger. The files in migrations/ bring an older ledger to the same schema.
--
-- Times are nanoseconds since 1970-01-01 UTC. Names are bytes. Unsigned numbers (sizes, inodes, device
-- numbers) are stored as the signed number with the same 64 bits.

-- One row: the identity of this ledger and of its store.
CREATE TABLE ledger (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    store_id TEXT,
    created INTEGER NOT NULL
) STRICT;

-- The present status of each device, without history. `lease_token` identifies the last pass that was begun:
-- only that pass writes about the device.
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
    hung_up_on_command INTEGER,
    lease_token INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A folder on a device.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (id),
    path BLOB NOT NULL,
    UNIQUE (device, path)
) STRICT;

-- The disk use of a source at its last survey; NULL where the device does not report it.
CREATE TABLE disk (
    source INTEGER PRIMARY KEY REFERENCES source (id),
    total INTEGER,
    available INTEGER
) STRICT;

-- The folder that a source was at its last survey, links followed, and since when. Boot id, device number and
-- inode together distinguish it from every other folder of the fleet.
CREATE TABLE claim (
    source INTEGER PRIMARY KEY REFERENCES source (id),
    boot_id TEXT NOT NULL,
    device_number INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

-- The shortcomings of a device, as text.
CREATE TABLE shortcoming (
    device INTEGER NOT NULL REFERENCES device (id),
    position INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (device, position)
) STRICT, WITHOUT ROWID;

-- One visit to one device; `outcome` is NULL until the visit ends. `repeats` marks a pass with the same
-- outcome and class as the pass before it; only the newest of these are kept.
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

-- Files that were withdrawn together.
CREATE TABLE batch (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A file that is whole and durable in the store. Rows are never deleted; of several rows for one path the
-- newest counts. `already_stored`: the content was in the store before. `pass` may refer to a row that was
-- deleted since.
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
    already_stored INTEGER NOT NULL CHECK (already_stored IN (0, 1)),
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
-- For finishing the files that an earlier pass withdrew.
CREATE INDEX file_withdrawn ON file (source) WHERE batch IS NOT NULL AND state <> 'released';
-- For audits, and for finding the origin of a file in the store.
CREATE INDEX file_by_store_name ON file (store_name);

-- The files of each device in each state, updated with every change: counting millions of rows takes seconds.
-- Totals end at the largest integer; they are never negative.
CREATE TABLE file_total (
    device INTEGER NOT NULL REFERENCES device (id),
    state TEXT NOT NULL CHECK (state IN ('stored', 'released', 'kept')),
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, state)
) STRICT, WITHOUT ROWID;

-- The files stored and released on each day (days since 1970-01-01 in UTC). A file whose content was in the
-- store before does not count as stored.
CREATE TABLE day (
    device INTEGER NOT NULL REFERENCES device (id),
    day INTEGER NOT NULL,
    stored_files INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    released_files INTEGER NOT NULL,
    released_bytes INTEGER NOT NULL,
    PRIMARY KEY (device, day)
) STRICT, WITHOUT ROWID;

-- Files whose clock cannot be trusted, and since when their identity is unchanged.
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

-- Files that may have ended a session with their device, in the order in which they were last recorded, and
-- how often.
CREATE TABLE suspect (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    path BLOB NOT NULL,
    times INTEGER NOT NULL,
    UNIQUE (source, path)
) STRICT;

-- The first files that the last complete survey left on a device, up to a limit, in the order of the report.
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

-- How many files and bytes remain on a device for each reason.
CREATE TABLE remaining_total (
    device INTEGER NOT NULL REFERENCES device (id),
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, position)
) STRICT, WITHOUT ROWID;
