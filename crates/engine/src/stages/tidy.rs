//! Tidy: folders that withdrawn files left empty go from the device. A folder that is not empty stays: the device refuses.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;

use model::RelativePath;

use crate::ports::Session;
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// The folders of a batch that the files which lay at these places leave empty, innermost first. Those that other batches use, too, are
/// kept in mind for [`finish`] as long as another batch may be about to put files into them.
pub(crate) fn folders_of_batch<W: World>(
    visit: &SourceVisit<'_, W>,
    gone: &[RelativePath],
) -> Vec<RelativePath> {
    let (mut batch_folders, mut folder_before) = (Vec::new(), None);
    for place in gone {
        // Files of one age lie in one folder: what is left empty above them is said once.
        let folder = place.folder();
        if folder_before.replace(folder) == Some(folder) {
            continue;
        }
        let folders = withdrawn::folders_of(place);
        batch_folders.extend(folders.batch);
        visit.shared_folders.lock().extend(folders.shared);
    }
    if visit.is_last_batch.load(Ordering::Relaxed) {
        batch_folders.extend(std::mem::take(&mut *visit.shared_folders.lock()));
    }
    innermost_first(batch_folders)
}

/// Removes what is left when no batch is under way: the shared folders, and those that earlier passes left empty.
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

/// Each once, and after everything that is in it.
fn innermost_first(mut folders: Vec<RelativePath>) -> Vec<RelativePath> {
    folders.sort_unstable();
    folders.dedup();
    folders.sort_by_cached_key(|folder| Reverse(folder.components().count()));
    folders
}
