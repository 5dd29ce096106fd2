//! How a store is used.

use std::fmt;
use std::sync::Arc;

use engine::ports::{Clock, StoreProperties};
use model::{CollectorId, LedgerId};

use crate::executor::Executor;

/// How a store is used.
#[derive(Clone)]
pub struct StoreSettings {
    /// The collector whose staging folders are used.
    pub collector: CollectorId,
    /// The ledger of this collector, if a staging folder with the ledger's id is this collector's too:
    /// earlier releases named it so. Such a folder is renamed when it is opened.
    pub former_staging: Option<LedgerId>,
    /// Bytes that must stay free on the file system of the store.
    pub min_free: u64,
    /// The mode of published files; `None` leaves what the process's umask leaves.
    pub file_mode: Option<u32>,
    /// The mode of new folders; `None` leaves what the process's umask leaves.
    pub dir_mode: Option<u32>,
    /// Bytes of a range: [`engine::ports::store::RANGE_LENGTH`] in production, less in a simulation.
    pub range_length: u64,
    /// Where system calls run.
    pub executor: Executor,
    /// The clock by which the age of staged files is measured.
    pub clock: Arc<dyn Clock>,
}

/// The longest file name that Linux file systems accept, in bytes (`NAME_MAX`).
const MAX_COMPONENT: usize = 255;

impl StoreSettings {
    pub(crate) const fn properties(&self) -> StoreProperties {
        StoreProperties {
            range_length: self.range_length,
            max_component: MAX_COMPONENT,
        }
    }
}

impl fmt::Debug for StoreSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoreSettings")
            .field("collector", &self.collector)
            .field("min_free", &self.min_free)
            .finish_non_exhaustive()
    }
}
