//! Whether SFTP and the shell of a device show the same folders.
//!
//! On a NAS, and wherever the root is changed for SFTP alone, one path means two folders. Then SFTP could
//! never read what the shell renames. The proof is a folder that one makes and the other sees, before the
//! first rename (`trial`).
//!
//! Usually a difference shows earlier, without a round trip. While connecting, the shell reports when the
//! source was last modified, and SFTP is asked for the same. The two answers are compared once the source has
//! an entry, so that a visit to an empty source waits for nothing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use model::{SourcePath, Timestamp};
use sftp::StatusCode;
use tokio::task::JoinHandle;

use crate::script::anchored;

/// How often to compare a folder that changes all the time, like one to which a camera writes.
pub(super) const MAX_COMPARISONS: usize = 4;
/// By how many seconds a folder that was just changed may seem older: FAT keeps only every other second.
const COARSENESS: i64 = 3;

/// What is known of the two views.
#[derive(Debug, Default)]
pub(super) struct Views {
    differ: AtomicBool,
    compared: Mutex<HashSet<SourcePath>>,
    sources: HashMap<SourcePath, SourceView>,
    /// How each source was listed last.
    listings: Mutex<HashMap<SourcePath, ListedBy>>,
    /// Sources for which a trial has proved that both show the same. Locked during a trial, so that others
    /// wait for it.
    pub(super) proved: tokio::sync::Mutex<HashSet<SourcePath>>,
}

/// What listed a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListedBy {
    Shell,
    Sftp,
}

/// One source, as both saw it while connecting.
#[derive(Debug)]
struct SourceView {
    /// When it was last modified according to the shell; `None` if the shell sees no such folder.
    by_shell: Option<Timestamp>,
    /// The device's clock, reported after that.
    clock: Option<Timestamp>,
    by_sftp: Mutex<Option<PendingStat>>,
}

/// A request to SFTP in progress.
#[derive(Debug)]
struct PendingStat(JoinHandle<SftpView>);

impl Drop for PendingStat {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What SFTP shows at the path of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SftpView {
    /// An entry last modified at this time, in the seconds that SFTP has.
    Modified(u32),
    /// Nothing.
    Missing,
    /// Too little to compare.
    Unclear,
}

impl SftpView {
    pub(super) fn is(self, by_shell: Timestamp) -> bool {
        match self {
            Self::Modified(modified) => i64::from(modified) == by_shell.seconds() & i64::from(u32::MAX),
            Self::Missing => false,
            // The trial decides.
            Self::Unclear => true,
        }
    }

    /// Whether it was changed since the device reported its clock. The script itself may do so, when it tries
    /// leases in it.
    fn is_since(self, clock: Option<Timestamp>) -> bool {
        match (self, clock) {
            (Self::Modified(modified), Some(clock)) => i64::from(modified) >= clock.seconds() - COARSENESS,
            _ => false,
        }
    }
}

impl Views {
    /// Asks SFTP about the sources that the shell has inspected.
    pub(super) fn of(
        files: &sftp::Client,
        paths: &[SourcePath],
        by_shell: &[Option<Timestamp>],
        clock: Option<Timestamp>,
    ) -> Self {
        let view = |(source, by_shell): (&SourcePath, &Option<Timestamp>)| {
            let (files, path) = (files.clone(), anchored(source.as_bytes()));
            let pending = tokio::spawn(async move { view_by_sftp(&files, &path).await });
            let view = SourceView {
                by_shell: *by_shell,
                clock,
                by_sftp: Mutex::new(Some(PendingStat(pending))),
            };
            (source.clone(), view)
        };
        Self {
            sources: paths.iter().zip(by_shell).map(view).collect(),
            ..Self::default()
        }
    }

    /// Whether they are known to differ: then only SFTP is used.
    pub(super) fn differ(&self) -> bool {
        self.differ.load(Ordering::Relaxed)
    }

    pub(super) fn note_listing(&self, source: &SourcePath, by: ListedBy) {
        let mut listings = self.listings.lock();
        listings.insert(source.clone(), by);
    }

    /// Whether the last listing may name files that SFTP does not show.
    pub(super) fn was_listed_in_other_view(&self, source: &SourcePath) -> bool {
        let listings = self.listings.lock();
        self.differ() && listings.get(source) == Some(&ListedBy::Shell)
    }

    pub(super) fn note_difference(&self, source: &SourcePath) {
        tracing::warn!(
            source = %source,
            "the SFTP server shows other folders than the shell: SFTP alone is used from here on"
        );
        self.differ.store(true, Ordering::Relaxed);
    }

    fn were_compared(&self, source: &SourcePath) -> bool {
        let compared = self.compared.lock();
        compared.contains(source) || !self.sources.contains_key(source)
    }

    pub(super) fn note_agreement(&self, source: &SourcePath) {
        let mut compared = self.compared.lock();
        compared.insert(source.clone());
    }

    /// Whether the shell sees no folder there, as it said while connecting.
    pub(super) fn is_unseen_by_shell(&self, source: &SourcePath) -> bool {
        let view = self.sources.get(source);
        view.is_some_and(|view| view.by_shell.is_none())
    }

    /// Whether both saw the same while connecting. `None` for a source that was not inspected then.
    async fn agreed(&self, source: &SourcePath) -> Option<bool> {
        let view = self.sources.get(source)?;
        let by_shell = view.by_shell?;
        let pending = view.by_sftp.lock().take();
        let view_by_sftp = (&mut pending?.0).await.ok()?;
        Some(view_by_sftp.is(by_shell) || view_by_sftp.is_since(view.clock))
    }

    /// Whether both saw the same folder while connecting, so that the shell may list it.
    pub(super) async fn seem_same(&self, source: &SourcePath) -> bool {
        if self.were_compared(source) {
            return true;
        }
        let agreed = self.agreed(source).await == Some(true);
        if agreed {
            self.note_agreement(source);
        }
        agreed
    }
}

pub(super) async fn view_by_sftp(files: &sftp::Client, folder: &[u8]) -> SftpView {
    match files.stat(folder).await {
        Ok(attributes) => attributes
            .times
            .map_or(SftpView::Unclear, |times| SftpView::Modified(times.modified)),
        Err(error) if error.status() == Some(StatusCode::NoSuchFile) => SftpView::Missing,
        Err(_) => SftpView::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_in_the_seconds_that_sftp_has() {
        let at = Timestamp::from_nanoseconds(1_700_000_000_999_999_999);
        assert!(SftpView::Modified(1_700_000_000).is(at) && !SftpView::Modified(1_700_000_001).is(at));
        assert!(
            SftpView::Modified(u32::MAX).is(Timestamp::from_seconds(-1)),
            "before 1970"
        );
        assert!(!SftpView::Missing.is(at) && SftpView::Unclear.is(at));
    }

    #[test]
    fn a_folder_changed_since_the_clock_was_read_is_no_difference() {
        let clock = Some(Timestamp::from_seconds(1_700_000_000));
        assert!(
            SftpView::Modified(1_700_000_001).is_since(clock)
                && SftpView::Modified(1_699_999_998).is_since(clock)
        );
        assert!(!SftpView::Modified(1_699_999_000).is_since(clock) && !SftpView::Missing.is_since(clock));
        assert!(!SftpView::Modified(1_700_000_001).is_since(None));
    }
}
