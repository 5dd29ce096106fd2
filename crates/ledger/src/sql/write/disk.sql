INSERT OR REPLACE INTO disk (source, total, available) VALUES (:source, :total, :available);
