//! Lists a source.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ports::device::{
    DeviceFailure, Entry, EntryKind, ListingEnd, Openness, SurveyItem, SurveySender,
};
use model::{FailureClass, RelativePath, SourcePath, escaped};
use sftp::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::SshSession;
use super::inspect::{endless_open_files, identity_of, kind_of};
use super::views::ListedBy;
use crate::open_files::{OpenFiles, listed_openness};
use crate::records::{Record, Status, path_in_error};
use crate::script::anchored;
use crate::shell_channel::{ShellError, ShellPool};

/// The most items in one message.
const BATCH: usize = 256;
/// The most errors of find: the script sends the last hundred.
const MAX_FIND_ERRORS: usize = 100;
/// The most bytes of a listing to discard because SFTP may show other folders: a hundred thousand names.
const MAX_DISCARDED_LISTING: usize = 16 * 1024 * 1024;
/// The most bytes of an invalid name, or of find's message, to show.
const MAX_SHOWN: usize = 256;
/// The message for a source that only the shell sees.
const NOT_FOR_SFTP: &str = "does not exist for the device's SFTP server, which shows other folders than its shell: write `source` as `sftp` shows it";
/// Folders that SFTP lists at once.
const FOLDERS_AT_ONCE: usize = 8;
/// The most bytes of names of folders that wait to be listed: a hundred thousand folders with ordinary names.
/// No real tree has more, and each must be remembered.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// Replies of the server that may wait for each folder.
const LISTING_QUEUE: usize = 2;

/// How a listing by the script ended.
enum ScriptListing {
    /// All of it was sent on, or the receiver is gone.
    Whole,
    /// The source cannot be entered.
    Inaccessible,
    /// SFTP may show other folders in its place. Nothing was sent on.
    Doubtful,
}

/// How the listing of one folder ended.
enum FolderEnd {
    /// It contains these folders.
    Complete(Vec<RelativePath>),
    /// More folders wait than may be remembered.
    Overfull,
    /// The receiver is gone.
    ReceiverGone,
    Failed(sftp::Error),
}

impl SshSession {
    pub(super) async fn list(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> Result<ListingEnd, DeviceFailure> {
        let Some(pool) = self.shell().filter(|_| self.dialect.lists()) else {
            return self.list_by_sftp(source, items).await;
        };
        self.views.note_listing(source, ListedBy::Shell);
        let listed = async {
            match self.list_by_script(pool, source, items.clone()).await? {
                // The discarded listing may not be what SFTP shows.
                ScriptListing::Doubtful if self.is_same_view(pool, source).await? => {
                    self.list_by_script(pool, source, items.clone()).await
                }
                ended => Ok(ended),
            }
        };
        match listed.await {
            Ok(ScriptListing::Whole) => Ok(ListingEnd::Whole),
            Ok(ScriptListing::Doubtful) => self.list_by_sftp(source, items).await,
            Ok(ScriptListing::Inaccessible) if self.is_visible_by_sftp_only(source).await? => {
                self.list_by_sftp(source, items).await
            }
            Ok(ScriptListing::Inaccessible) => Err(self.why_inaccessible(source).await),
            Err(error) => Err(self.shell_lost(error).await),
        }
    }

    async fn list_by_script(
        &self,
        pool: &ShellPool,
        source: &SourcePath,
        items: SurveySender,
    ) -> Result<ScriptListing, ShellError> {
        let mut channel = pool.acquire_for_listing(source).await?;
        channel.request_listing(source).await?;
        let mut open_files = OpenFiles::default();
        let (mut batch, mut is_inaccessible, mut find_errors) = (Vec::new(), false, 0);
        let mut last_sent = Instant::now();
        loop {
            let record = self.record(&mut channel).await?;
            if open_files.add(&record) {
                if open_files.is_endless() {
                    return Err(endless_open_files());
                }
                continue;
            }
            let names_something = matches!(
                record,
                Record::Status(_) | Record::Unlistable(_) | Record::FindError(_)
            );
            if names_something && !self.seems_same_view(source).await {
                // The device may permit no other channel, so this one is used again.
                match channel.discard_listing(self.dialect, MAX_DISCARDED_LISTING).await {
                    Ok(()) => channel.put_back(),
                    Err(ShellError::Excess(_)) => drop(channel),
                    Err(error) => return Err(error),
                }
                return Ok(ScriptListing::Doubtful);
            }
            match record {
                Record::Status(status) => batch.push(self.item(&open_files, &status)),
                Record::Unlistable(name) => batch.push(named(&name, SurveyItem::Unlistable)),
                Record::FindError(message) => {
                    find_errors += 1;
                    if find_errors > MAX_FIND_ERRORS {
                        return Err(ShellError::Unexpected(
                            "endless error messages of find".to_owned(),
                        ));
                    }
                    batch.extend(find_error(&message));
                }
                Record::Inaccessible => is_inaccessible = true,
                Record::End => break,
                // Records about open files were handled above.
                _ => {}
            }
            // On a slow link, a partial batch is sent too: the caller may not want to wait for the rest.
            let is_due = batch.len() >= BATCH || last_sent.elapsed() > self.stall_timeout / 4;
            // While the consumer is busy, the device's output waits in the channel, and no reply is pending.
            if is_due && items.send(std::mem::take(&mut batch)).await.is_err() {
                // The receiver is gone.
                return Ok(ScriptListing::Whole);
            }
            if is_due {
                last_sent = Instant::now();
            }
        }
        channel.put_back();
        if open_files.is_overflowed() {
            tracing::warn!(
                "more files are open on the device than can be remembered: its files wait for settle_blind"
            );
        }
        if !is_inaccessible && !batch.is_empty() {
            items.send(batch).await.ok();
        }
        Ok(if is_inaccessible {
            ScriptListing::Inaccessible
        } else {
            ScriptListing::Whole
        })
    }

    fn item(&self, open_files: &OpenFiles, status: &Status) -> SurveyItem {
        let openness = listed_openness(open_files, status, self.login);
        let (kind, identity) = (status.kind, self.identity(status));
        named(&status.name, |path| {
            SurveyItem::Entry(Entry {
                path,
                kind,
                identity,
                openness,
            })
        })
    }

    /// Lists folder by folder, several at once. Remembers the folders that wait to be listed, but no files.
    async fn list_by_sftp(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> Result<ListingEnd, DeviceFailure> {
        self.views.note_listing(source, ListedBy::Sftp);
        let mut waiting: Vec<Option<RelativePath>> = vec![None];
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let mut listings = JoinSet::new();
        loop {
            while listings.len() < FOLDERS_AT_ONCE
                && let Some(folder) = waiting.pop()
            {
                let path = match &folder {
                    Some(folder) => {
                        waiting_bytes.fetch_sub(weight(folder), Ordering::Relaxed);
                        Self::path(source, folder)
                    }
                    None => anchored(source.as_bytes()),
                };
                let (items, waiting_bytes) = (items.clone(), waiting_bytes.clone());
                listings.spawn(list_folder(
                    self.files.clone(),
                    path,
                    folder,
                    items,
                    waiting_bytes,
                ));
            }
            let Some(listed) = listings.join_next().await else {
                return Ok(ListingEnd::Whole);
            };
            let Ok((folder, ended)) = listed else {
                continue;
            };
            let error = match ended {
                FolderEnd::Complete(folders) => {
                    waiting.extend(folders.into_iter().map(Some));
                    continue;
                }
                FolderEnd::ReceiverGone => return Ok(ListingEnd::Whole),
                FolderEnd::Overfull => return Ok(ListingEnd::Cut(folders_without_end(source))),
                FolderEnd::Failed(error) => error,
            };
            match (error.status(), folder) {
                (None, _) => return Err(self.lost(&error).await),
                (Some(_), None) => return Err(self.why_inaccessible(source).await),
                // Removed between its parent's listing and its own.
                (Some(StatusCode::NoSuchFile), _) => {}
                (Some(_), Some(folder)) => {
                    if items.send(vec![SurveyItem::Unlistable(folder)]).await.is_err() {
                        return Ok(ListingEnd::Whole);
                    }
                }
            }
        }
    }

    /// Why a source cannot be listed.
    async fn why_inaccessible(&self, source: &SourcePath) -> DeviceFailure {
        let path = anchored(source.as_bytes());
        let (class, problem) = match self.files.stat(&path).await {
            Ok(attributes) if attributes.is_directory() => {
                (FailureClass::Permission, "cannot be listed".to_owned())
            }
            Ok(_) => (FailureClass::SourceMissing, "is not a folder".to_owned()),
            Err(error) => match error.status() {
                None => return self.lost(&error).await,
                Some(StatusCode::NoSuchFile) if self.views.differ() => {
                    (FailureClass::SourceMissing, NOT_FOR_SFTP.to_owned())
                }
                Some(StatusCode::NoSuchFile) => (FailureClass::SourceMissing, "does not exist".to_owned()),
                Some(StatusCode::PermissionDenied) => {
                    (FailureClass::Permission, "cannot be reached".to_owned())
                }
                Some(code) => (FailureClass::Permission, format!("cannot be inspected: {code}")),
            },
        };
        // The session continues: another source may be fine.
        DeviceFailure {
            class,
            message: format!("the source {source} {problem}"),
            remedy: None,
        }
    }
}

/// The session continues: what was listed can be gathered.
fn folders_without_end(source: &SourcePath) -> DeviceFailure {
    DeviceFailure {
        class: FailureClass::Protocol,
        message: format!("the source {source} has endless folders"),
        remedy: None,
    }
}

/// Usually a folder that a failing disk can no longer read.
fn find_error(message: &[u8]) -> Option<SurveyItem> {
    tracing::warn!(error = shown(message), "the device's find");
    path_in_error(message).map(|path| named(&path, SurveyItem::Unlistable))
}

/// Lists one folder into `items`.
async fn list_folder(
    files: sftp::Client,
    path: Vec<u8>,
    folder: Option<RelativePath>,
    items: SurveySender,
    waiting_bytes: Arc<AtomicUsize>,
) -> (Option<RelativePath>, FolderEnd) {
    let (sink, entries) = mpsc::channel::<Vec<sftp::Entry>>(LISTING_QUEUE);
    let mut folders = Vec::new();
    // Owns its end of the channel.
    let consume = async {
        let mut entries = entries;
        while let Some(entries) = entries.recv().await {
            let batch = entries
                .iter()
                .map(|entry| item_of(folder.as_ref(), entry))
                .collect::<Vec<_>>();
            for item in &batch {
                if let SurveyItem::Entry(entry) = item
                    && entry.kind == EntryKind::Folder
                {
                    waiting_bytes.fetch_add(weight(&entry.path), Ordering::Relaxed);
                    folders.push(entry.path.clone());
                }
            }
            if send_all(&items, batch).await.is_err() {
                return Some(FolderEnd::ReceiverGone);
            }
            // Other tasks may reduce the number of waiting bytes at any time, so the task that sees too many
            // reports it.
            if waiting_bytes.load(Ordering::Relaxed) > MAX_WAITING {
                return Some(FolderEnd::Overfull);
            }
        }
        None
    };
    // When no more entries are taken, the listing ends: the receiving end is dropped with `consume`.
    let produce = async move { files.list(&path, &sink).await };
    let (listed, stopped) = tokio::join!(produce, consume);
    let ended = match (stopped, listed) {
        (Some(stopped), _) => stopped,
        (None, Ok(_)) => FolderEnd::Complete(folders),
        (None, Err(error)) => FolderEnd::Failed(error),
    };
    (folder, ended)
}

/// Sends items in small batches, because these are what waits for a slow consumer.
async fn send_all(items: &SurveySender, batch: Vec<SurveyItem>) -> Result<(), ()> {
    let mut rest = batch.into_iter();
    loop {
        let some: Vec<_> = rest.by_ref().take(BATCH).collect();
        if some.is_empty() {
            return Ok(());
        }
        items.send(some).await.map_err(drop)?;
    }
}

/// The cost of a folder that waits to be listed: its name, and the memory around it.
fn weight(folder: &RelativePath) -> usize {
    folder.as_bytes().len() + 64
}

fn item_of(folder: Option<&RelativePath>, entry: &sftp::Entry) -> SurveyItem {
    let name = match folder {
        Some(folder) => [folder.as_bytes(), b"/", &entry.name].concat(),
        None => entry.name.to_vec(),
    };
    // A name with a slash would be a path that was never listed.
    if entry.name.contains(&b'/') {
        return SurveyItem::Refused(shown(&name), model::NameError::Absolute);
    }
    named(&name, |path| {
        SurveyItem::Entry(Entry {
            path,
            kind: kind_of(&entry.attributes),
            identity: identity_of(&entry.attributes),
            openness: Openness::Unknown,
        })
    })
}

/// An item about a valid path, otherwise a refusal. find's names may begin with `./`.
fn named(name: &[u8], item: impl FnOnce(RelativePath) -> SurveyItem) -> SurveyItem {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    match RelativePath::new(name) {
        Ok(path) => item(path),
        Err(error) => SurveyItem::Refused(shown(name), error),
    }
}

/// The beginning of the device's text, escaped. A name may be of any length.
fn shown(bytes: &[u8]) -> String {
    let mut shown = escaped(bytes.get(..MAX_SHOWN).unwrap_or(bytes));
    if bytes.len() > MAX_SHOWN {
        shown.push('…');
    }
    shown
}
