//! Files get their names.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use engine::ports::{Placement, Publication, PublishFault, StoreError};
use model::RelativePath;
use model::names::CONTROL_FOLDER;
use rustix::io::Errno;

use crate::areas::Area;
use crate::disk::{Access, Disk, EntryKind};
use crate::fault::{errno, is};
use crate::files::digest_range;
use crate::folders::{FlushPlan, FoundFolder, Trouble, is_gone};
use crate::marker::PublishMethod;
use crate::probe::is_unsupported;
use crate::shared::{Handles, Shared};
use crate::store::DirectoryStore;

type Answer = Result<Placement, PublishFault>;

/// How often a name or a folder that vanishes while we look at it is tried again, before it is left to the next pass.
const ATTEMPTS: usize = 3;

impl<D: Disk> DirectoryStore<D> {
    /// First every file gets its name, one job per folder; then each folder is flushed, one job per folder, so that the file system
    /// commits them together. A crash before the flushes leaves each name absent or whole, as the bytes were durable before.
    pub(crate) async fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<Answer>, StoreError> {
        let mut answers: Vec<Answer> = Vec::new();
        answers.resize_with(publications.len(), || {
            Err(PublishFault::Failed("not reached".to_owned()))
        });
        let mut parents = Vec::new();
        let jobs: Vec<_> = by_folder(publications)
            .into_iter()
            .map(|(folder, files)| self.start(move |shared| shared.place_in(&folder, files)))
            .collect();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(self.result_of(job).await);
        }
        let mut folder_of: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for outcome in outcomes {
            let placed = outcome?;
            for (index, answer) in placed.answers {
                if let (Some(folder), Ok(_)) = (&placed.folder, &answer) {
                    folder_of.insert(index, folder.path.clone());
                }
                if let Some(place) = answers.get_mut(index) {
                    *place = answer;
                }
            }
            parents.extend(placed.folder);
        }
        parents.retain(|parent| folder_of.values().any(|path| *path == parent.path));
        let flushed = self.flush_all(parents).await?;
        for (index, folder) in folder_of {
            if let Some(answer) = answers.get_mut(index).filter(|_| flushed.is_gone(&folder)) {
                *answer = Err(PublishFault::Failed(
                    "somebody moved its folder meanwhile".to_owned(),
                ));
            }
        }
        Ok(answers)
    }

    /// Flushes folders and those above them. The plan that comes back tells which are not in their place any more.
    async fn flush_all(&self, parents: Vec<FoundFolder>) -> Result<FlushPlan, StoreError> {
        let mut plan = self
            .run(move |shared| shared.plan_flushes(&shared.handles(), parents))
            .await?;
        let folders = plan.to_flush();
        let jobs: Vec<_> = folders
            .iter()
            .cloned()
            .map(|folder| self.start(move |shared| shared.flush(&shared.handles(), &folder)))
            .collect();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(self.result_of(job).await);
        }
        for (folder, outcome) in folders.into_iter().zip(outcomes) {
            if !outcome? {
                plan.gone.insert(folder.path);
            }
        }
        self.shared().learn(&plan);
        Ok(plan)
    }
}

type Numbered = (usize, Publication);

fn by_folder(publications: Vec<Publication>) -> BTreeMap<Vec<u8>, Vec<Numbered>> {
    let mut groups: BTreeMap<Vec<u8>, Vec<Numbered>> = BTreeMap::new();
    for (index, publication) in publications.into_iter().enumerate() {
        let folder = publication.name.parent();
        let folder = folder.map_or_else(Vec::new, |folder| folder.as_bytes().to_vec());
        groups.entry(folder).or_default().push((index, publication));
    }
    groups
}

/// What became of the files of one folder.
struct PlacedIn {
    /// The folder, if it could be opened.
    folder: Option<FoundFolder>,
    answers: Vec<(usize, Answer)>,
}

impl<D: Disk> Shared<D> {
    fn place_in(&self, path: &[u8], files: Vec<Numbered>) -> Result<PlacedIn, StoreError> {
        let handles = self.handles();
        let mut placed = PlacedIn {
            folder: None,
            answers: Vec::with_capacity(files.len()),
        };
        let mut left = files.into_iter().peekable();
        for _ in 0..ATTEMPTS {
            let opened;
            let folder = if path.is_empty() {
                &*handles.root
            } else {
                match self.open_parent(&handles, path) {
                    Ok(folder) => opened = folder,
                    Err(Trouble::All(error)) => return Err(error),
                    Err(Trouble::One(fault)) => {
                        placed
                            .answers
                            .extend(left.map(|(index, _)| (index, Err(fault.clone()))));
                        return Ok(placed);
                    }
                }
                &opened
            };
            let status = self
                .disk
                .folder_status(folder)
                .map_err(|error| self.place.fault("look at a folder", error))?;
            placed.folder = Some(FoundFolder {
                path: path.to_vec(),
                identity: status.identity,
            });
            while let Some((index, publication)) = left.peek() {
                let answer = match self.place_one(&handles, folder, publication) {
                    Ok(Some(placed)) => Ok(placed),
                    // The folder was removed under our hands: make it again.
                    Ok(None) => break,
                    Err(Trouble::One(fault)) => Err(fault),
                    Err(Trouble::All(error)) => return Err(error),
                };
                placed.answers.push((*index, answer));
                left.next();
            }
            if left.peek().is_none() {
                break;
            }
        }
        let vanishing = || PublishFault::Failed("somebody removes its folder again and again".to_owned());
        placed
            .answers
            .extend(left.map(|(index, _)| (index, Err(vanishing()))));
        Ok(placed)
    }

    fn open_parent(&self, handles: &Handles<D>, path: &[u8]) -> Result<D::Folder, Trouble> {
        if is_control_folder(path) {
            return Err(Trouble::One(PublishFault::Unacceptable(
                "it would lie in the folder that belongs to gleaner".to_owned(),
            )));
        }
        self.open_or_make(handles, path)
    }

    /// `None` if the folder is not there any more.
    fn place_one(
        &self,
        handles: &Handles<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, Trouble> {
        if is_control_folder(publication.name.as_bytes()) {
            return Err(Trouble::One(PublishFault::Unacceptable(
                "it is the name of the folder that belongs to gleaner".to_owned(),
            )));
        }
        let Some((area, name)) = self.sealed_at(handles, &publication.token) else {
            return Err(failed("its sealed file is gone from staging"));
        };
        let mut sealed = Sealed {
            area,
            name: name.as_bytes().to_vec(),
            is_copy: false,
        };
        let placed = self.place_sealed(handles, &mut sealed, folder, publication);
        if sealed.is_copy {
            // The record is about the one that was copied. What cannot be removed now is tidied later.
            self.in_turn(|| self.disk.remove_file(&sealed.area.sealed, &sealed.name))
                .unwrap_or_default();
        }
        placed
    }

    fn place_sealed(
        &self,
        handles: &Handles<D>,
        sealed: &mut Sealed<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, Trouble> {
        for _ in 0..ATTEMPTS {
            match self.give_name(sealed, publication, folder) {
                Ok(()) => return Ok(Some(Placement::New)),
                Err(error) if is(&error, Errno::EXIST) => {
                    if let Some(placed) = self.compare(sealed, folder, publication)? {
                        return Ok(Some(placed));
                    }
                }
                Err(error) if is(&error, Errno::XDEV) && !sealed.is_beside(publication) => {
                    *sealed = self.bring_beside(handles, sealed, publication)?;
                }
                Err(error) if is(&error, Errno::NOENT) => {
                    return match self.disk.status_at(&sealed.area.sealed, &sealed.name) {
                        Ok(_) => Ok(None),
                        Err(_) => Err(failed("its sealed file is gone from staging")),
                    };
                }
                Err(error) => return Err(self.trouble("give a file its name", error)),
            }
        }
        Err(failed("somebody takes and gives up its name again and again"))
    }

    /// A link leaves the sealed name for the record; where there are none, the file is renamed. Neither ever replaces anything.
    fn give_name(&self, sealed: &Sealed<D>, publication: &Publication, folder: &D::Folder) -> io::Result<()> {
        let (from, token) = (&sealed.area.sealed, sealed.name.as_slice());
        let name = publication.name.file_name();
        if self.method == PublishMethod::Link {
            match self.disk.link(from, token, folder, name) {
                Err(error) if is_unsupported(&error) => {}
                linked => return linked,
            }
        }
        self.disk.rename_without_replacing(from, token, folder, name)
    }

    /// What has the name that should be free. `None` if nothing has it any more.
    ///
    /// The same content is flushed before it is claimed: whoever wrote it may not have done so.
    fn compare(
        &self,
        sealed: &Sealed<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, Trouble> {
        let name = publication.name.file_name();
        let there = match self.disk.status_at(folder, name) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            found => found.map_err(|error| self.trouble("look at what has the name", error))?,
        };
        let sealed = self.disk.status_at(&sealed.area.sealed, &sealed.name);
        if sealed.is_ok_and(|sealed| sealed.identity == there.identity) {
            // Ours: a network file system made the link, lost its answer and asked again.
            return Ok(Some(Placement::New));
        }
        if there.kind != EntryKind::File || there.size != publication.size {
            return Err(Trouble::One(PublishFault::Taken));
        }
        let file = match self.disk.open_file(folder, name, Access::Read) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            Err(error) if is_gone(&error) => return Err(Trouble::One(PublishFault::Taken)),
            opened => opened.map_err(|error| self.not_comparable(error))?,
        };
        let is_same = self
            .is_same(&file, publication)
            .map_err(|error| self.not_comparable(error))?;
        if is_same {
            Ok(Some(Placement::Same))
        } else {
            Err(Trouble::One(PublishFault::Taken))
        }
    }

    fn is_same(&self, file: &D::File, publication: &Publication) -> io::Result<bool> {
        let status = self.disk.file_status(file)?;
        if status.kind != EntryKind::File || status.size != publication.size {
            return Ok(false);
        }
        self.disk.flush_file(file)?;
        self.disk.drop_cache(file, 0, status.size);
        let found = digest_range(&*self.disk, file, 0, status.size)?;
        Ok(found == (publication.digest, publication.size))
    }

    /// One file that cannot be read is not the store's fault; a lack of room is.
    fn not_comparable(&self, error: io::Error) -> Trouble {
        match errno(&error) {
            Some(Errno::IO | Errno::NXIO) => failed(&format!("failed to compare what has the name: {error}")),
            _ => self.trouble("compare what has the name", error),
        }
    }
}

fn failed(reason: &str) -> Trouble {
    Trouble::One(PublishFault::Failed(reason.to_owned()))
}

/// A sealed file, where it lies.
pub(crate) struct Sealed<D: Disk> {
    pub(crate) area: Arc<Area<D>>,
    pub(crate) name: Vec<u8>,
    /// Whether it was made to lie nearer to the folder that it is bound for.
    pub(crate) is_copy: bool,
}

impl<D: Disk> Sealed<D> {
    /// Whether it lies beside the very folder that it is bound for, and could lie no nearer.
    fn is_beside(&self, publication: &Publication) -> bool {
        let folder = publication.name.parent();
        let folder = folder.as_ref().map(RelativePath::as_bytes);
        // The store's own area is beside the root.
        self.area.beside.as_deref() == folder
    }
}

/// Whether a path leads into a control folder, also on file systems that fold case or drop dots and blanks at
/// the end of a name. A folder of that name may lie anywhere, since files are received beside folders. The
/// engine never asks for such a name; this is the second lock on the same door.
pub(crate) fn is_control_folder(path: &[u8]) -> bool {
    let is_control = |name: &[u8]| {
        let end = name
            .trim_ascii_end()
            .iter()
            .rposition(|byte| !matches!(byte, b'.' | b' '))
            .map_or(0, |last| last + 1);
        name.get(..end)
            .is_some_and(|name| name.eq_ignore_ascii_case(CONTROL_FOLDER))
    };
    path.split(|byte| *byte == b'/').any(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_folder_is_known_in_every_spelling_that_a_file_system_may_take_for_it() {
        for name in [
            ".gleaner",
            ".GLEANER/a",
            ".Gleaner. ./b/c",
            ".gleaner ",
            "a/.gleaner/b",
        ] {
            assert!(is_control_folder(name.as_bytes()), "{name}");
        }
        for name in [
            ".gleaner~",
            "a/.gleaner-x",
            ".gleaner-withdrawn/x",
            "gleaner",
            "...",
        ] {
            assert!(!is_control_folder(name.as_bytes()), "{name}");
        }
    }
}
