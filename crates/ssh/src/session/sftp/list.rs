//! Lists a source by SFTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::ports::device::{
    DeviceFailure, Entry, EntryKind, ListingEnd, Openness, SurveyItem, SurveySender,
};
use model::{FailureClass, RelativePath, SourcePath};
use sftp::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::SftpFiles;
use super::inspect::{identity_of, kind_of};
use crate::script::{anchored, device_path};
use crate::session::files::Listing;
use crate::session::items::{BATCH, named, shown};

/// Folders that SFTP lists at once.
const FOLDERS_AT_ONCE: usize = 8;
/// The most bytes of names of folders that wait to be listed: a hundred thousand folders with ordinary names.
/// No real tree has more, and each must be remembered.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// Replies of the server that may wait for each folder.
const LISTING_QUEUE: usize = 2;

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

/// Lists folder by folder, several at once. Remembers the folders that wait to be listed, but no files.
pub(super) async fn list(
    sftp: &SftpFiles,
    source: &SourcePath,
    items: SurveySender,
) -> Result<Listing, DeviceFailure> {
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
                    device_path(source, folder)
                }
                None => anchored(source.as_bytes()),
            };
            let (items, waiting_bytes) = (items.clone(), waiting_bytes.clone());
            listings.spawn(list_folder(
                sftp.client.clone(),
                path,
                folder,
                items,
                waiting_bytes,
            ));
        }
        let Some(listed) = listings.join_next().await else {
            return Ok(Listing::Ended(ListingEnd::Whole));
        };
        let Ok((folder, ended)) = listed else {
            continue;
        };
        let error = match ended {
            FolderEnd::Complete(folders) => {
                waiting.extend(folders.into_iter().map(Some));
                continue;
            }
            FolderEnd::ReceiverGone => return Ok(Listing::Ended(ListingEnd::Whole)),
            FolderEnd::Overfull => return Ok(Listing::Ended(ListingEnd::Cut(folders_without_end(source)))),
            FolderEnd::Failed(error) => error,
        };
        match (error.status(), folder) {
            (None, _) => return Err(sftp.failures.of_sftp(&error).await),
            (Some(_), None) => return Ok(Listing::Inaccessible),
            // Removed between its parent's listing and its own.
            (Some(StatusCode::NoSuchFile), _) => {}
            (Some(_), Some(folder)) => {
                if items.send(vec![SurveyItem::Unlistable(folder)]).await.is_err() {
                    return Ok(Listing::Ended(ListingEnd::Whole));
                }
            }
        }
    }
}

/// The session continues: what was listed can be gathered.
fn folders_without_end(source: &SourcePath) -> DeviceFailure {
    DeviceFailure::new(
        FailureClass::Protocol,
        format!("the source {source} has endless folders"),
    )
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
