DELETE FROM disk WHERE source IN (SELECT id FROM source WHERE device = :device);
