//! The store at home: a directory made safe.
//!
//! [`DirectoryStore`] is the engine's port `Store` on a local disk or a mount; a dry run has an [`UntouchedStore`] in its place. This
//! crate is the only place of gleaner that renames or unlinks anything at home, and it does so through [`Disk`], a list of system calls,
//! so that a simulated disk runs the very code that ships. It knows neither devices nor the ledger, and decides no names.
//!
//! What it never does: overwrite, alter or remove anything that is visible in the store (but for [`DirectoryStore`]'s `quarantine`, which
//! a person asks for); follow a symbolic link; reach outside the store.
//!
//! Begin reading with [`store`], then `staged` and `publish`.

pub mod store;

mod areas;
mod beside;
mod blocks;
mod condition;
mod flushed;
mod folders;
mod foresee;
mod partial;
mod publish;
mod received;
mod reprove;
mod shared;
mod staged;
mod tidy;
mod untouched;

pub mod audit;
pub mod folder;
pub mod init;
pub mod ledgers;
pub mod marker;
mod probe;

mod aligned;
pub mod disk;
pub mod executor;
mod fault;
mod files;

#[cfg(feature = "fuzzing")]
pub mod fuzzing;

pub use disk::{Disk, SystemDisk};
pub use executor::Executor;
pub use folder::StoreFolder;
pub use init::{InitError, InitOptions, Initialised, init};
pub use ledgers::KnownLedger;
pub use shared::Settings;
pub use staged::Staged;
pub use store::DirectoryStore;
pub use untouched::UntouchedStore;
