INSERT INTO ledger (only, id, created) VALUES (1, :id, :created);
