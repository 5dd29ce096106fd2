//! The SFTP channels of one connection.
//!
//! What a channel may carry unanswered is its window, 2 MiB in OpenSSH (`CHAN_SES_WINDOW_DEFAULT` in its channels.h): 20 MB a second at 100 ms. It
//! counts before compression, so that a compressed connection needs a second channel to fill the link.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::process::Child;

/// The channels: the one that the connection began with, and a second one where that was asked for.
#[derive(Debug, Clone)]
pub(super) struct SftpChannels {
    first: sftp::Client,
    second: Arc<OnceLock<SftpChannel>>,
    turns: Arc<AtomicUsize>,
}

/// A channel with the process that holds it. It ends with the process, and the process with it.
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

    /// Adds the second one.
    pub(super) fn add(&self, channel: SftpChannel) {
        // Nobody asks for a third.
        self.second.set(channel).ok();
    }

    /// The channel for the next file: they take turns.
    pub(super) fn next(&self) -> &sftp::Client {
        match self.second.get() {
            Some(second) if self.turns.fetch_add(1, Ordering::Relaxed) % 2 == 1 => &second.files,
            _ => &self.first,
        }
    }

    /// Whether a reply is owed on any of them.
    pub(super) fn has_pending(&self) -> bool {
        self.all().any(|files| files.owed_since().is_some())
    }

    /// How many replies have come.
    pub(super) fn replies(&self) -> u64 {
        self.all().map(sftp::Client::answers).sum()
    }

    fn all(&self) -> impl Iterator<Item = &sftp::Client> {
        let second = self.second.get().map(|second| &second.files);
        std::iter::once(&self.first).chain(second)
    }
}
