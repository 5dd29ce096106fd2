SELECT source.device AS device, file.state AS state, file.size AS size
FROM file JOIN source ON source.id = file.source
WHERE file.id = :id;
