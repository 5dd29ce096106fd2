//! Lies of an SFTP server.
