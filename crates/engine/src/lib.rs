//! The way of a file: survey, plan, withdraw, fetch, verify, publish, record, release.
//!
//! The engine opens no socket and no file, speaks no SQL and reads no clock: it asks its [`ports`].

pub mod event;
pub mod placement;
pub mod plan;
pub mod ports;
pub mod recourse;
pub mod rules;
pub mod selection;
pub mod withdrawn;
