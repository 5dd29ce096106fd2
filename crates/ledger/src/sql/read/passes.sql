SELECT * FROM pass WHERE device = :device ORDER BY id DESC LIMIT :limit;
