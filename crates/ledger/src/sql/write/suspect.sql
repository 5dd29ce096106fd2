-- A replaced row gets a new id, so that ids follow the order of the last recording.
INSERT OR REPLACE INTO suspect (source, path, times)
VALUES (:source, :path, 1 + coalesce((SELECT times FROM suspect WHERE source = :source AND path = :path), 0));
