//! Devices that lie: each in one thing, beside an honest one that must not notice. The server is ours, so that every byte is ours to
//! forge; gleaner and ssh are real, and behind the lie is a real shell and a real SFTP server.
//!
//! `door`, `files` and `shell` are the three places where a device can lie, `lie` is what can be said there, `server` puts them
//! together, and `siege` sweeps a fleet of such devices and checks what must hold whatever they say. The other modules are the tests: lies
//! by theme, each with its name and with what must become of it.

mod door;
mod files;
mod lie;
mod server;
mod shell;
mod siege;

mod answers;
mod endless;
mod names;
mod script;
mod silence;
