//! Tidy: folders that withdrawn files left empty are removed from the device. The device refuses to remove
//! one that is not empty.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use model::RelativePath;

use crate::ports::Session;
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// The folders that removing these files of a batch leaves empty, innermost first.
///
/// Folders that other batches use too are remembered for [`finish`], while another batch may put files into
/// them.
pub(crate) fn folders_of_batch<W: World>(
    visit: &SourceVisit<'_, W>,
    gone: &[RelativePath],
) -> Vec<RelativePath> {
    let (mut batch_folders, mut folder_before) = (Vec::new(), None);
    for path in gone {
        // Files of one age are in one folder: the folders above are collected once.
        let folder = path.folder();
        if folder_before.replace(folder) == Some(folder) {
            continue;
        }
        let folders = withdrawn::folders_of(path);
        batch_folders.extend(folders.batch);
        visit.shared_folders.lock().extend(folders.shared);
    }
    if visit.is_last_batch.load(Ordering::Relaxed) {
        batch_folders.extend(std::mem::take(&mut *visit.shared_folders.lock()));
    }
    innermost_first(batch_folders)
}

/// Removes the shared folders, and those that earlier passes left empty, when no batch is in progress.
pub(crate) async fn finish<W: World>(
    visit: &SourceVisit<'_, W>,
    mut folders: Vec<RelativePath>,
) -> Result<(), PassError> {
    folders.extend(std::mem::take(&mut *visit.shared_folders.lock()));
    if !folders.is_empty() {
        visit
            .session
            .remove(visit.source, &[], &innermost_first(folders))
            .await?;
    }
    Ok(())
}

/// Each folder once, and after everything in it.
fn innermost_first(mut folders: Vec<RelativePath>) -> Vec<RelativePath> {
    folders.sort_unstable();
    folders.dedup();
    folders.sort_by_cached_key(|folder| Reverse(folder.components().count()));
    folders
}
