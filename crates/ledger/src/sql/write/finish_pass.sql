UPDATE pass
SET ended = :ended,
    outcome = :outcome,
    class = :class,
    message = :message,
    remedy = :remedy,
    released_files = :released_files,
    released_bytes = :released_bytes,
    stored_files = :stored_files,
    stored_bytes = :stored_bytes,
    took = :took,
    repeats = :repeats
WHERE id = :id AND device = :device;
