//! A simulated world in which the engine and the store that ship do their work, unchanged, and everything goes wrong.
//!
//! What is real: all of `engine`, all of `storage` above its trait `Disk`. What is a model: the disk ([`disk`]), the ledger's database
//! ([`ledger`]), devices, links and cameras ([`device`], [`link`], [`camera`]), and time. What may go wrong is written down in
//! `FAULTS.md` beside this crate; what must hold is checked by the [`book`].
//!
//! Everything happens on one thread and in simulated time, so that the same seed gives the same story, effect by effect.

pub mod book;
pub mod camera;
pub mod chronicle;
pub mod clock;
pub mod collector;
pub mod conformance;
pub mod device;
pub mod dice;
pub mod disk;
pub mod faults;
pub mod ledger;
pub mod link;
pub mod power;
pub mod session;
pub mod story;
pub mod turns;
pub mod world;
