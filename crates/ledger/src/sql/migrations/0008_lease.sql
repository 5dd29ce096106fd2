-- The number of passes that were begun over a device identifies the lease of the last one.
ALTER TABLE device ADD COLUMN lease_token INTEGER NOT NULL DEFAULT 0;
