UPDATE ledger SET store_id = :store_id WHERE only = 1;
