//! The limits of the server: how much one READ may request, and how many handles may be open.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SetOnce};

use super::connection::Connection;
use super::error::{Failure, ProtocolError};
use super::pending::{Expected, Reservation};
use crate::codec::{Extension, Limits, Request, Response};

/// Bytes that one READ requests if the server reports no limit: every server in use returns that many (draft,
/// section 3).
const DEFAULT_READ_LENGTH: u32 = 32 * 1024;
/// OpenSSH's own `SFTP_MAX_READ_LENGTH`; larger limits are not used.
const MAX_READ_LENGTH: u32 = 255 * 1024;
/// The least that a READ requests, whatever the server reports or returns. Each request costs memory here
/// until its reply arrives, and a budget of bytes does not bound requests of one byte each. A server with a
/// lower limit returns less.
pub(super) const MIN_READ_LENGTH: u32 = 4096;
/// Bytes of a DATA packet besides its data, rounded up generously.
const DATA_OVERHEAD: u64 = 1024;
/// Open handles if the server reports no limit.
const DEFAULT_OPEN_HANDLES: usize = 100;
/// Open handles at most, whatever the server reports: more gain nothing.
const MAX_OPEN_HANDLES: u64 = 1024;

/// The server's limits, once they are known. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct LearnedLimits {
    read_length: Arc<SetOnce<u32>>,
    /// Handles that may still be opened: none before the limits are known.
    slots: Arc<Semaphore>,
}

impl LearnedLimits {
    pub(super) fn unknown() -> Self {
        Self {
            read_length: Arc::default(),
            slots: Arc::new(Semaphore::new(0)),
        }
    }

    /// Requests the server's limits and allows handles to be opened once the reply has arrived.
    pub(super) async fn query(self, connection: Arc<Connection>) {
        let request = Request::Extended(Extension::Limits);
        let reply = connection
            .request(&request, Expected::Extended, Reservation::Nothing)
            .await;
        let limits = match reply {
            Ok(Response::ExtendedReply(data)) => Limits::decode(data).map_err(|malformed| {
                connection.fail(ProtocolError::from(malformed).into());
            }),
            // A server that announces the extension and then refuses it has reported no limits.
            Ok(_) | Err(Failure::Status(_)) => Ok(Limits::default()),
            // The connection has failed, and with it every request that waits to open something.
            Err(_) => Err(()),
        };
        self.set(&limits.unwrap_or_default());
    }

    /// Must be called once.
    pub(super) fn set(&self, limits: &Limits) {
        self.read_length.set(read_length(limits)).ok();
        self.slots.add_permits(open_handles(limits));
    }

    /// The most bytes that one READ requests. Waits until the limits are known.
    pub(super) async fn read_length(&self) -> u32 {
        *self.read_length.wait().await
    }

    /// Waits until another handle may be opened.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.slots.clone().acquire_owned().await.ok()
    }
}

fn open_handles(limits: &Limits) -> usize {
    match limits.open_handles {
        0 => DEFAULT_OPEN_HANDLES,
        reported => usize::try_from(reported.min(MAX_OPEN_HANDLES)).unwrap_or(1),
    }
}

fn read_length(limits: &Limits) -> u32 {
    let reported = match limits.read_length {
        0 => DEFAULT_READ_LENGTH,
        reported => u32::try_from(reported).unwrap_or(u32::MAX),
    };
    let fits = match limits.packet_length {
        0 => u32::MAX,
        length => u32::try_from(length.saturating_sub(DATA_OVERHEAD)).unwrap_or(u32::MAX),
    };
    reported.min(fits).clamp(MIN_READ_LENGTH, MAX_READ_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_requests_no_more_than_the_limit_and_at_least_a_page() {
        let requested = |packet_length, read_length| {
            super::read_length(&Limits {
                packet_length,
                read_length,
                ..Limits::default()
            })
        };
        assert_eq!(requested(0, 0), 32 * 1024);
        assert_eq!(requested(256 * 1024, 255 * 1024), 255 * 1024);
        assert_eq!(requested(34_000, 0), 32 * 1024);
        assert_eq!(requested(34_000, 64 * 1024), 34_000 - 1024);
        assert_eq!(requested(u64::MAX, u64::MAX), 255 * 1024);
    }

    #[test]
    fn a_limit_of_one_byte_does_not_cause_a_million_requests() {
        for (packet_length, read_length) in [(10, 10), (0, 1), (1024, 0), (1025, 1)] {
            let limits = Limits {
                packet_length,
                read_length,
                ..Limits::default()
            };
            assert_eq!(super::read_length(&limits), MIN_READ_LENGTH);
        }
    }
}
