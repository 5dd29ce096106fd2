//! Devices that lie: each in one thing, beside an honest one that must not notice. They are the simulated devices
//! of `sim` with a misbehaviour. gleaner and ssh are real; behind the lie are a real shell and an honest SFTP server.
//!
//! `lie` is the vocabulary, `suspect` is a device that lies, and `siege` sweeps a fleet of them and checks what
//! must hold whatever they say. The other modules are the tests: lies by theme, each with what must become of it.

mod lie;
mod siege;
mod suspect;

mod answers;
mod endless;
mod names;
mod script;
mod silence;
