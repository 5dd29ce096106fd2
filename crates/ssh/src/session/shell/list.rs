//! Lists a source by the script.

use engine::ports::device::{Entry, ListingEnd, SurveyItem, SurveySender};
use model::SourcePath;
use tokio::time::Instant;

use super::ShellFiles;
use super::requests::{endless_open_files, next_record};
use crate::open_files::{OpenFiles, listed_openness};
use crate::records::{Record, Status, path_in_error};
use crate::session::files::Listing;
use crate::session::items::{BATCH, named, shown};
use crate::shell_channel::{PooledChannel, ShellError};

/// The most errors of find: the script sends the last hundred.
const MAX_FIND_ERRORS: usize = 100;
/// The most bytes of a listing to discard because SFTP may show other folders: a hundred thousand names.
const MAX_DISCARDED_LISTING: usize = 16 * 1024 * 1024;

/// Lists the source, unless SFTP may show another folder in its place.
pub(super) async fn list(
    shell: &ShellFiles,
    source: &SourcePath,
    items: SurveySender,
) -> Result<Listing, ShellError> {
    let mut channel = shell.pool.acquire_for_listing(source).await?;
    channel.request_listing(source).await?;
    let mut open_files = OpenFiles::default();
    let (mut batch, mut is_inaccessible, mut find_errors) = (Vec::new(), false, 0);
    let mut last_sent = Instant::now();
    loop {
        let record = next_record(&mut channel, shell.dialect).await?;
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
        if names_something && !shell.views.seem_same(source).await {
            discard(shell, channel).await?;
            return Ok(Listing::Doubtful);
        }
        match record {
            Record::Status(status) => batch.push(item(shell, &open_files, &status)),
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
        let is_due = batch.len() >= BATCH || last_sent.elapsed() > shell.failures.stall_timeout / 4;
        // While the consumer is busy, the device's output waits in the channel, and no reply is pending.
        if is_due && items.send(std::mem::take(&mut batch)).await.is_err() {
            // The receiver is gone.
            return Ok(Listing::Ended(ListingEnd::Whole));
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
        Listing::Inaccessible
    } else {
        Listing::Ended(ListingEnd::Whole)
    })
}

/// Reads the rest of a listing. The device may permit no other channel, so this one is used again unless the
/// rest is too long.
async fn discard(shell: &ShellFiles, mut channel: PooledChannel<'_>) -> Result<(), ShellError> {
    match channel
        .discard_listing(shell.dialect, MAX_DISCARDED_LISTING)
        .await
    {
        Ok(()) => channel.put_back(),
        Err(ShellError::Excess(_)) => drop(channel),
        Err(error) => return Err(error),
    }
    Ok(())
}

fn item(shell: &ShellFiles, open_files: &OpenFiles, status: &Status) -> SurveyItem {
    let openness = listed_openness(open_files, status, shell.login);
    let (kind, identity) = (status.kind, shell.identity(status));
    named(&status.name, |path| {
        SurveyItem::Entry(Entry {
            path,
            kind,
            identity,
            openness,
        })
    })
}

/// Usually a folder that a failing disk can no longer read.
fn find_error(message: &[u8]) -> Option<SurveyItem> {
    tracing::warn!(error = shown(message), "the device's find");
    path_in_error(message).map(|path| named(&path, SurveyItem::Unlistable))
}
