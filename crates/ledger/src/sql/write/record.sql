INSERT INTO file (
    source, path, size, modified, changed, device_number, inode, digest, device_digest, store_name,
    already_stored, batch, pass, state, stored_at
)
VALUES (
    :source, :path, :size, :modified, :changed, :device_number, :inode, :digest, :device_digest, :store_name,
    :already_stored, :batch, :pass, 'stored', :stored_at
);
