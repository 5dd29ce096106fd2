//! The way of a file: survey, plan, withdraw, fetch, verify, publish, record, release.
//!
//! The engine opens no socket and no file, speaks no SQL and reads no clock: it asks its [`ports`]. A [`fleet`] sweep makes a pass over each
//! device; for each source a pass surveys, [plans](plan) and runs batches; a batch goes through the stages, each of which takes the proof of
//! the one before. Begin reading with `pass.rs`.

pub mod fleet;

mod claims;

mod file_system;

mod pass;

mod source;

mod suspects;

mod batch;

mod stages;

pub mod plan;

pub mod oldest;

mod remaining;

pub mod placement;

pub mod withdrawn;

pub mod exclude;

pub mod rules;

pub mod ports;

pub mod event;

pub mod recourse;

pub mod schedule;

pub mod world;

mod visit;
