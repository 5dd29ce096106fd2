SELECT id FROM device WHERE name = :name AND lease_token = :token;
