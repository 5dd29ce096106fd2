//! The SFTP channels of one connection.
//!
//! The window of a channel limits its unacknowledged bytes, to 2 MiB in OpenSSH (`CHAN_SES_WINDOW_DEFAULT` in
//! its channels.h): 20 MB a second at 100 ms. It counts before compression, so a compressed connection needs
//! a second channel to fill the link.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::process::Child;

/// The first channel of the connection, and a second one if it was opened.
#[derive(Debug, Clone)]
pub(super) struct SftpChannels {
    first: sftp::Client,
    second: Arc<OnceLock<SftpChannel>>,
    turns: Arc<AtomicUsize>,
}

/// A channel with its process. Each ends with the other.
#[derive(Debug)]
pub(crate) struct SftpChannel {
    pub(crate) files: sftp::Client,
    pub(crate) _process: Child,
}

impl SftpChannels {
    pub(super) fn new(first: sftp::Client) -> Self {
        Self {
            first,
            second: Arc::default(),
            turns: Arc::default(),
        }
    }

    /// Adds the second channel.
    pub(super) fn add(&self, channel: SftpChannel) {
        // A third is never opened.
        self.second.set(channel).ok();
    }

    /// The channel for the next file: they take turns.
    pub(super) fn next(&self) -> &sftp::Client {
        match self.second.get() {
            Some(second) if self.turns.fetch_add(1, Ordering::Relaxed) % 2 == 1 => &second.files,
            _ => &self.first,
        }
    }

    /// Whether any of them has a pending reply.
    pub(super) fn has_pending(&self) -> bool {
        self.all().any(|files| files.pending_since().is_some())
    }

    /// The number of replies received.
    pub(super) fn replies(&self) -> u64 {
        self.all().map(sftp::Client::reply_count).sum()
    }

    fn all(&self) -> impl Iterator<Item = &sftp::Client> {
        let second = self.second.get().map(|second| &second.files);
        std::iter::once(&self.first).chain(second)
    }
}
