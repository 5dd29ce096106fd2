DELETE FROM claim WHERE source IN (SELECT id FROM source WHERE device = :device);
