//! A simulated world in which the engine and the store that ship do their work, unchanged, and everything goes wrong.
//!
//! What is real: all of `engine`, all of `storage` above its trait `Disk`. What is a model: the disk ([`disk`]), the ledger's database
//! ([`ledger`]), devices, links and cameras ([`device`], [`link`], [`camera`]), and time. What may go wrong is written down in
//! `FAULTS.md` beside this crate; what must hold is checked by the [`oracle`].
//!
//! Everything happens on one thread and in simulated time, so that the same seed gives the same story, effect by effect.

pub mod camera;
pub mod clock;
pub mod collector;
pub mod conformance;
pub mod device;
pub mod disk;
pub mod faults;
pub mod ledger;
pub mod link;
pub mod naming;
pub mod oracle;
pub mod power;
pub mod rng;
pub mod scenario;
pub mod session;
pub mod timing;
pub mod trace;
pub mod world;
