-- Files that may be why a session with their device ended, in the order in which they were last noted, and how often they were.
CREATE TABLE suspect (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    path BLOB NOT NULL,
    times INTEGER NOT NULL,
    UNIQUE (source, path)
) STRICT;
