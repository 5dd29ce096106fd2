//! The store: a directory made safe.
//!
//! [`DirectoryStore`] implements the engine's ports `Store` and `StoreInspection` on a local disk or a mount.
//! A dry run, and an audit that moves nothing, use an [`UntouchedStore`] instead. Of the crates that ship,
//! only this one renames or unlinks files on the collector, except for the ledger's backup. It does so
//! through [`Disk`], a list of system calls, so that a simulated disk runs the code that ships. It knows
//! neither devices nor the ledger, and chooses no names.
//!
//! It never overwrites, changes or removes anything visible in the store, except in `quarantine`, which an
//! operator must request. It never follows a symbolic link and never leaves the store.
//!
//! Begin reading with [`store`], then `staged` (which lists the order of effects) and `publish`.

pub mod store;

mod areas;
mod block_writer;
mod condition;
mod destinations;
mod durable_folders;
mod folders;
mod open_store;
mod partial;
mod publish;
mod quarantine;
mod range_proof;
mod relocate;
mod reprove;
mod resume;
mod settings;
mod staged;
mod staging_area;
mod stream_hasher;
mod take_over;
mod tidy;
mod untouched;

mod audit;
mod inspection;

pub mod folder;
pub mod holder;
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
pub use holder::Holder;
pub use init::{InitError, InitOptions, Initialised, init};
pub use ledgers::{Adoption, KnownLedger};
pub use settings::StoreSettings;
pub use staged::StagedFile;
pub use store::DirectoryStore;
pub use take_over::{LeftArea, TakenOver};
pub use untouched::UntouchedStore;
