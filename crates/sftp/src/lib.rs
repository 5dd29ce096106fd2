//! SFTP version 3 over any byte stream: a codec for both directions and a pipelining client.
//!
//! The wire format is draft-ietf-secsh-filexfer-02 as OpenSSH speaks it, with the extensions of OpenSSH's
//! `PROTOCOL` file. Names and handles are bytes, never text. Everything that comes from the other side is
//! taken as hostile: the decoder is total, lengths and counts are bounded before anything is allocated, and a
//! reply that answers no question, or another question than the one asked, ends the connection with an error
//! that says so.
//!
//! This crate starts no process, opens no file and decides nothing: no retries, no time limits, no judgement
//! of names. Begin reading at [`Client`]; [`codec`] stands alone, for simulated servers and fuzzers.

pub mod client;
pub mod codec;
mod escape;

pub use client::{
    Budget, ChunkSink, Client, ConnectionError, DownloadOutcome, Entry, Error, FileChunk, Operation,
    ProtocolError, RemoteHandle, Traffic,
};
pub use codec::{Attributes, StatusCode};
pub use escape::Escaped;
