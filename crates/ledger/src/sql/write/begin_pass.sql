INSERT INTO pass (device, begun) VALUES (:device, :begun);
