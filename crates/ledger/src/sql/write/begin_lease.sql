UPDATE device
SET last_attempt = :at,
    lease_token = lease_token + 1
WHERE id = :device
RETURNING lease_token;
