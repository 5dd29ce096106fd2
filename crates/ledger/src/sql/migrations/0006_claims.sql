-- Which folder a source was when its device was last asked, links followed, and since when it has been that one. Boot id, device number
-- and inode together tell it from every other folder of the fleet.
CREATE TABLE claim (
    source INTEGER PRIMARY KEY REFERENCES source (id),
    boot_id TEXT NOT NULL,
    device_number INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;
