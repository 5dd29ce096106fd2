-- One that is replaced gets a new number: the order is that of the last time.
INSERT OR REPLACE INTO suspect (source, path, times)
VALUES (:source, :path, 1 + coalesce((SELECT times FROM suspect WHERE source = :source AND path = :path), 0));
