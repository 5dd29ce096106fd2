//! The right to write about a device.

use model::DeviceName;

use super::files::RowId;

/// The right of one pass to write about its device, from [`super::Ledger::begin_pass`] until the next
/// `begin_pass` of the same device. Then this lease is stale, and its holder can write nothing more.
///
/// It guards the rows of the ledger, not the files of the device: a pass that was taken over may still rename
/// or remove files there until its next write. That loses nothing, because each removal has its own proof.
///
/// Only a ledger makes leases. They have no time limit, so that there is nothing to renew: a pass that died
/// holds up no other one, because the next `begin_pass` takes the device over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassLease {
    row: RowId,
    device: DeviceName,
    token: u64,
}

impl PassLease {
    /// The lease of the pass in `row`. Each lease of a device has another `token`.
    pub const fn new(row: RowId, device: DeviceName, token: u64) -> Self {
        Self { row, device, token }
    }

    /// The row of the pass.
    pub const fn row(&self) -> RowId {
        self.row
    }

    /// The device.
    pub const fn device(&self) -> &DeviceName {
        &self.device
    }

    /// Identifies the lease among all leases of its device: the ledger compares it with each write.
    pub const fn token(&self) -> u64 {
        self.token
    }
}
