//! Devices that lie: each in one thing, beside an honest one that must not notice. The server is `sim`'s, whose misbehaviour is data;
//! gleaner and ssh are real, and behind the lie are a real shell and an honest SFTP server.
//!
//! `lie` is the vocabulary, and `siege` sweeps a fleet of such devices and checks what must hold whatever they say. The other modules
//! are the tests: lies by theme, each with its name and with what must become of it.

mod lie;
mod siege;

mod answers;
mod endless;
mod names;
mod script;
mod silence;
