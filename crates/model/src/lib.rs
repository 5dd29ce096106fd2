//! The vocabulary of gleaner: names, identities, digests, states, reasons and failure classes.
//!
//! Nothing here does input or output or knows the time. The texts of reasons and failure classes are here,
//! once, so that the log, `status` and JSON show the same.
//!
//! Begin reading with [`names`], then [`identity`].

pub mod amount;
pub mod device;
pub mod digest;
pub mod escape;
pub mod failure;
pub mod identity;
pub mod names;
pub mod reason;
pub mod state;
pub mod time;

pub use amount::Amount;
pub use device::{BatchId, CollectorId, DeviceName, LedgerId, StoreId};
pub use digest::{Digest, RangeDigest};
pub use escape::escaped;
pub use failure::FailureClass;
pub use identity::Identity;
pub use names::{NameError, RelativePath, SourcePath};
pub use reason::{LeaveReason, WaitReason};
pub use state::FileState;
pub use time::Timestamp;
