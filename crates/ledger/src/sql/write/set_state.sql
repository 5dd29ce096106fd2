UPDATE file
SET state = :state,
    reason = :reason,
    released_at = CASE WHEN :state = 'released' THEN coalesce(released_at, :at) END
WHERE id = :id;
