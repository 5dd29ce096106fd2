//! SFTP version 3 over any byte stream: a codec for both directions and a pipelining client.
//!
//! The wire format is draft-ietf-secsh-filexfer-02 as OpenSSH speaks it, with the extensions of OpenSSH's
//! `PROTOCOL` file. Names and handles are bytes, never text. All input from the other side is treated as
//! hostile: the decoder accepts any bytes, lengths and counts are bounded before memory is allocated, and a
//! reply that does not match a pending request ends the connection with an error that says so.
//!
//! This crate starts no process and opens no file. It has no policy: no retries, no time limits, no rules for
//! names. Begin reading at [`Client`]. [`codec`] can be used alone, for simulated servers and fuzzers.

pub mod client;
pub mod codec;
mod escape;

pub use client::{
    Budget, ChunkSink, Client, ConnectionError, DownloadOutcome, Entry, Error, FileChunk, Operation,
    ProtocolError, RemoteHandle, Traffic,
};
pub use codec::{Attributes, StatusCode};
pub use escape::Escaped;
