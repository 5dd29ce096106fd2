//! A simulated world that runs the shipped engine and store unchanged while everything goes wrong.
//!
//! Real: all of `engine`, and all of `storage` above its trait `Disk`. Modelled: the disk ([`disk`]), the
//! ledger's database ([`ledger`]), devices, links and cameras ([`device`], [`link`], [`camera`]), and time.
//! `FAULTS.md` in this crate lists what can go wrong; the [`oracle`] checks what must hold.
//!
//! Everything runs on one thread and in simulated time, so the same seed gives the same scenario, effect by
//! effect. The simulator never uses real time, threads, sockets or files.

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
