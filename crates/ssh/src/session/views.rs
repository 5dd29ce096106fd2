//! Whether SFTP and the shell of a device show the same folders.
//!
//! On a NAS, and wherever the root is changed for SFTP alone, one path means two folders. What the shell
//! renames could never be read by SFTP then. A folder that one makes and the other sees is the proof: it is
//! asked for before the first rename (`trial`). What costs no round trip says in most cases sooner that they
//! differ: the shell says when the source was last modified while connecting, and SFTP is asked the same
//! beside that. The two answers are compared once something lies in the source: a visit to an empty source
//! waits for nothing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use engine::ports::device::DeviceFailure;
use model::{SourcePath, Timestamp};
use sftp::StatusCode;
use tokio::task::JoinHandle;

use super::SshSession;
use super::inspect::{ask_to_look, beginning_of, endless_open_files};
use crate::lane::{LaneError, Lanes};
use crate::open_files::OpenFiles;
use crate::records::Record;
use crate::script::anchored;

/// How often a folder is looked at that changes from look to look, as one does to which a camera writes all
/// the time.
pub(super) const MAX_LOOKS: usize = 4;
/// Seconds by which a folder that was changed just now may seem older: FAT keeps every other second.
const COARSENESS: i64 = 3;

/// What is known of the two views.
#[derive(Debug, Default)]
pub(super) struct Views {
    differ: AtomicBool,
    compared: Mutex<HashSet<SourcePath>>,
    looks: HashMap<SourcePath, Look>,
    /// By what each source was listed last.
    listings: Mutex<HashMap<SourcePath, ListedBy>>,
    /// Sources for which a trial has proved that both show the same. Who wants to know waits for a trial
    /// under way.
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
struct Look {
    /// When the shell says that it was last modified; `None` where it sees no such folder.
    by_shell: Option<Timestamp>,
    /// The device's clock, told after that.
    told: Option<Timestamp>,
    by_sftp: Mutex<Option<Asked>>,
}

/// A question to SFTP that is under way.
#[derive(Debug)]
struct Asked(JoinHandle<Seen>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What SFTP sees in the place of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Something that was last modified then, in the seconds that SFTP has.
    Modified(u32),
    /// Nothing.
    Nothing,
    /// It says too little to be compared.
    Unclear,
}

impl Seen {
    fn is(self, by_shell: Timestamp) -> bool {
        match self {
            Self::Modified(modified) => i64::from(modified) == by_shell.seconds() & i64::from(u32::MAX),
            Self::Nothing => false,
            // The trial will tell.
            Self::Unclear => true,
        }
    }

    /// Whether it was changed since the device told its clock, as by the script, which asks for leases in it.
    fn is_since(self, told: Option<Timestamp>) -> bool {
        match (self, told) {
            (Self::Modified(modified), Some(told)) => i64::from(modified) >= told.seconds() - COARSENESS,
            _ => false,
        }
    }
}

impl Views {
    /// Has SFTP look at what the shell has looked at.
    pub(super) fn of(
        files: &sftp::Client,
        sources: &[SourcePath],
        (by_shell, told): (&[Option<Timestamp>], Option<Timestamp>),
    ) -> Self {
        let look = |(source, by_shell): (&SourcePath, &Option<Timestamp>)| {
            let (files, path) = (files.clone(), anchored(source.as_bytes()));
            let asked = tokio::spawn(async move { look_by_sftp(&files, &path).await });
            let look = Look {
                by_shell: *by_shell,
                told,
                by_sftp: Mutex::new(Some(Asked(asked))),
            };
            (source.clone(), look)
        };
        Self {
            looks: sources.iter().zip(by_shell).map(look).collect(),
            ..Self::default()
        }
    }

    /// Whether they are known to differ: then SFTP alone is used.
    pub(super) fn differ(&self) -> bool {
        self.differ.load(Ordering::Relaxed)
    }

    pub(super) fn note_listing(&self, source: &SourcePath, by: ListedBy) {
        let mut listings = self.listings.lock();
        listings.insert(source.clone(), by);
    }

    /// Whether what was listed last may be no file of SFTP's.
    pub(super) fn is_listed_by_another(&self, source: &SourcePath) -> bool {
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
        compared.contains(source) || !self.looks.contains_key(source)
    }

    fn note_agreement(&self, source: &SourcePath) {
        let mut compared = self.compared.lock();
        compared.insert(source.clone());
    }

    /// Whether both saw the same while connecting. `None` for a source that was not looked at then.
    async fn agreed(&self, source: &SourcePath) -> Option<bool> {
        let look = self.looks.get(source)?;
        let by_shell = look.by_shell?;
        let asked = look.by_sftp.lock().take();
        let seen = (&mut asked?.0).await.ok()?;
        Some(seen.is(by_shell) || seen.is_since(look.told))
    }
}

impl SshSession {
    /// The shell, where it shows what SFTP shows.
    pub(super) fn shell(&self) -> Option<&Lanes> {
        self.lanes.as_ref().filter(|_| !self.views.differ())
    }

    /// Whether nothing stands against using the shell for this source, as far as was seen while connecting.
    pub(super) async fn seems_the_same(&self, source: &SourcePath) -> bool {
        if self.views.were_compared(source) {
            return true;
        }
        let agreed = self.views.agreed(source).await == Some(true);
        if agreed {
            self.views.note_agreement(source);
        }
        agreed
    }

    /// Looks by both until they agree, or one did not change while the other said otherwise. Notes a
    /// difference.
    pub(super) async fn is_the_same(&self, lanes: &Lanes, source: &SourcePath) -> Result<bool, LaneError> {
        let folder = anchored(source.as_bytes());
        // The folder itself, should its name be that of a link.
        let within = [&folder, &b"/."[..]].concat();
        let mut before = self.look_by_shell(lanes, &within).await?;
        for _ in 0..MAX_LOOKS {
            let seen = look_by_sftp(&self.files, &folder).await;
            let after = self.look_by_shell(lanes, &within).await?;
            let (Some(first), Some(second)) = (before, after) else {
                break;
            };
            if seen.is(first) || seen.is(second) {
                break;
            }
            if seen == Seen::Nothing || first == second {
                self.views.note_difference(source);
                return Ok(false);
            }
            before = after;
        }
        // What changes all the time cannot be compared: the trial will tell.
        self.views.note_agreement(source);
        Ok(true)
    }

    /// Whether SFTP shows a folder where the shell has none. Notes the difference.
    pub(super) async fn is_for_sftp_alone(&self, source: &SourcePath) -> Result<bool, DeviceFailure> {
        let look = self.views.looks.get(source);
        if look.is_none_or(|look| look.by_shell.is_some()) {
            return Ok(false);
        }
        match self.files.stat(&anchored(source.as_bytes())).await {
            Ok(attributes) if attributes.is_directory() => {
                self.views.note_difference(source);
                Ok(true)
            }
            Err(error) if error.status().is_none() => Err(self.lost(&error).await),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// When the shell says that it was last modified; `None` where it sees nothing.
    pub(super) async fn look_by_shell(
        &self,
        lanes: &Lanes,
        path: &[u8],
    ) -> Result<Option<Timestamp>, LaneError> {
        let mut lane = lanes.lease().await?;
        ask_to_look(&mut lane, &[path.to_vec()]).await?;
        let (mut open_files, mut modified) = (OpenFiles::default(), None);
        loop {
            let record = self.record(&mut lane).await?;
            if open_files.take(&record) {
                if open_files.is_endless() {
                    return Err(endless_open_files());
                }
                continue;
            }
            match record {
                Record::Status(status) if modified.is_none() => modified = Some(status.identity.modified),
                Record::End => break,
                Record::Status(status) => return Err(LaneError::Nonsense(beginning_of(&status.name))),
                _ => return Err(LaneError::Nonsense("an answer to another question".to_owned())),
            }
        }
        lane.put_back();
        Ok(modified)
    }
}

async fn look_by_sftp(files: &sftp::Client, folder: &[u8]) -> Seen {
    match files.stat(folder).await {
        Ok(attributes) => attributes
            .times
            .map_or(Seen::Unclear, |times| Seen::Modified(times.modified)),
        Err(error) if error.status() == Some(StatusCode::NoSuchFile) => Seen::Nothing,
        Err(_) => Seen::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_compared_in_the_seconds_that_sftp_has() {
        let at = Timestamp::from_nanoseconds(1_700_000_000_999_999_999);
        assert!(Seen::Modified(1_700_000_000).is(at) && !Seen::Modified(1_700_000_001).is(at));
        assert!(
            Seen::Modified(u32::MAX).is(Timestamp::from_seconds(-1)),
            "before 1970"
        );
        assert!(!Seen::Nothing.is(at) && Seen::Unclear.is(at));
    }

    #[test]
    fn a_folder_that_has_changed_since_the_clock_was_told_is_no_other() {
        let told = Some(Timestamp::from_seconds(1_700_000_000));
        assert!(Seen::Modified(1_700_000_001).is_since(told) && Seen::Modified(1_699_999_998).is_since(told));
        assert!(!Seen::Modified(1_699_999_000).is_since(told) && !Seen::Nothing.is_since(told));
        assert!(!Seen::Modified(1_700_000_001).is_since(None));
    }
}
