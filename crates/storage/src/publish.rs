//! Gives sealed files their final names.

use std::collections::BTreeMap;
use std::io;

use engine::ports::{Placement, Publication, PublishFault, StoreError};
use rustix::io::Errno;

use crate::disk::{Access, Disk, EntryKind};
use crate::fault::{PublishError, errno, is, is_gone};
use crate::files::digest_range;
use crate::folders::{FlushPlan, FoundFolder, folder_of, is_control_folder};
use crate::marker::PublishMethod;
use crate::open_store::{Handles, OpenStore};
use crate::probe::is_unsupported;
use crate::staging_area::SealedEntry;
use crate::store::DirectoryStore;

type PublishResult = Result<Placement, PublishFault>;

/// Attempts for a name or a folder that vanishes meanwhile, before the file is left to the next pass.
const ATTEMPTS: usize = 3;

impl<D: Disk> DirectoryStore<D> {
    /// Gives every file its name, one job per folder; then flushes the folders, one job each, so that the
    /// file system commits them together.
    ///
    /// A crash before the flushes leaves each name absent or whole, because the bytes were durable before.
    pub(crate) async fn publish_all(
        &self,
        publications: Vec<Publication>,
    ) -> Result<Vec<PublishResult>, StoreError> {
        let mut results: Vec<PublishResult> = Vec::new();
        results.resize_with(publications.len(), || {
            Err(PublishFault::Failed("not reached".to_owned()))
        });
        let mut parents = Vec::new();
        let jobs: Vec<_> = by_folder(publications)
            .into_iter()
            .map(|(folder, files)| self.start(move |store| store.publish_in_folder(&folder, files)))
            .collect();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(self.result_of(job).await);
        }
        let mut folder_of: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for outcome in outcomes {
            let published = outcome?;
            for Indexed { index, value: result } in published.results {
                if let (Some(folder), Ok(_)) = (&published.folder, &result) {
                    folder_of.insert(index, folder.path.clone());
                }
                if let Some(entry) = results.get_mut(index) {
                    *entry = result;
                }
            }
            parents.extend(published.folder);
        }
        parents.retain(|parent| folder_of.values().any(|path| *path == parent.path));
        let flushed = self.flush_all(parents).await?;
        for (index, folder) in folder_of {
            if let Some(result) = results.get_mut(index).filter(|_| flushed.is_gone(&folder)) {
                *result = Err(PublishFault::Failed(
                    "another process moved its folder meanwhile".to_owned(),
                ));
            }
        }
        Ok(results)
    }

    /// Flushes folders and those above them. The returned plan names the folders that are gone.
    async fn flush_all(&self, parents: Vec<FoundFolder>) -> Result<FlushPlan, StoreError> {
        let mut plan = self
            .run(move |store| store.plan_flushes(&store.handles(), parents))
            .await?;
        let folders = plan.to_flush();
        let jobs: Vec<_> = folders
            .iter()
            .cloned()
            .map(|folder| self.start(move |store| store.flush(&store.handles(), &folder)))
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
        self.store().remember_flushed(&plan);
        Ok(plan)
    }
}

/// A value with its position in the caller's list.
struct Indexed<T> {
    index: usize,
    value: T,
}

fn by_folder(publications: Vec<Publication>) -> BTreeMap<Vec<u8>, Vec<Indexed<Publication>>> {
    let mut groups: BTreeMap<Vec<u8>, Vec<Indexed<Publication>>> = BTreeMap::new();
    for (index, value) in publications.into_iter().enumerate() {
        let folder = folder_of(&value.name);
        groups.entry(folder).or_default().push(Indexed { index, value });
    }
    groups
}

/// The results of the files of one folder.
struct FolderResults {
    /// The folder; `None` if it could not be opened.
    folder: Option<FoundFolder>,
    results: Vec<Indexed<PublishResult>>,
}

impl FolderResults {
    fn push(&mut self, index: usize, value: PublishResult) {
        self.results.push(Indexed { index, value });
    }
}

impl<D: Disk> OpenStore<D> {
    fn publish_in_folder(
        &self,
        path: &[u8],
        files: Vec<Indexed<Publication>>,
    ) -> Result<FolderResults, StoreError> {
        let handles = self.handles();
        let mut published = FolderResults {
            folder: None,
            results: Vec::with_capacity(files.len()),
        };
        let mut left = files.into_iter().peekable();
        for _ in 0..ATTEMPTS {
            let opened;
            let folder = if path.is_empty() {
                &*handles.root
            } else {
                match self.open_parent(&handles, path) {
                    Ok(folder) => opened = folder,
                    Err(PublishError::Store(error)) => return Err(error),
                    Err(PublishError::File(fault)) => {
                        left.for_each(|file| published.push(file.index, Err(fault.clone())));
                        return Ok(published);
                    }
                }
                &opened
            };
            let status = self
                .disk
                .folder_status(folder)
                .map_err(|error| self.label.fault("inspect a folder", error))?;
            published.folder = Some(FoundFolder {
                path: path.to_vec(),
                identity: status.identity,
            });
            while let Some(file) = left.peek() {
                let result = match self.publish_file(&handles, folder, &file.value) {
                    Ok(Some(placement)) => Ok(placement),
                    // Another process removed the folder: the next attempt makes it again.
                    Ok(None) => break,
                    Err(PublishError::File(fault)) => Err(fault),
                    Err(PublishError::Store(error)) => return Err(error),
                };
                published.push(file.index, result);
                left.next();
            }
            if left.peek().is_none() {
                break;
            }
        }
        let text = "another process keeps removing its folder";
        left.for_each(|file| published.push(file.index, Err(PublishFault::Failed(text.to_owned()))));
        Ok(published)
    }

    fn open_parent(&self, handles: &Handles<D>, path: &[u8]) -> Result<D::Folder, PublishError> {
        if is_control_folder(path) {
            return Err(PublishError::File(PublishFault::Unacceptable(
                "it would be in the folder that belongs to gleaner".to_owned(),
            )));
        }
        self.open_or_make(handles, path)
    }

    /// `None` if the folder is not there any more.
    fn publish_file(
        &self,
        handles: &Handles<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, PublishError> {
        if is_control_folder(publication.name.as_bytes()) {
            return Err(PublishError::File(PublishFault::Unacceptable(
                "it is the name of the folder that belongs to gleaner".to_owned(),
            )));
        }
        let Some((area, name)) = self.sealed_at(handles, &publication.token) else {
            return Err(PublishError::failed("its sealed file is gone from staging"));
        };
        let mut sealed = SealedEntry {
            area,
            name: name.as_bytes().to_vec(),
            is_copy: false,
        };
        let placement = self.publish_sealed(handles, &mut sealed, folder, publication);
        if sealed.is_copy {
            // The engine knows only the sealed file that was copied. If the copy cannot be removed now, the
            // next sweep removes it.
            self.with_naming_lock(|| self.disk.remove_file(&sealed.area.sealed, &sealed.name))
                .unwrap_or_default();
        }
        placement
    }

    /// Where no link leads to the folder, `sealed` becomes a copy from which one does.
    fn publish_sealed(
        &self,
        handles: &Handles<D>,
        sealed: &mut SealedEntry<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, PublishError> {
        for _ in 0..ATTEMPTS {
            match self.give_name(sealed, publication, folder) {
                Ok(()) => return Ok(Some(Placement::New)),
                Err(error) if is(&error, Errno::EXIST) => {
                    if let Some(placement) = self.compare(sealed, folder, publication)? {
                        return Ok(Some(placement));
                    }
                }
                Err(error) if is(&error, Errno::XDEV) && !sealed.is_beside(publication) => {
                    *sealed = self.relocate(handles, sealed, publication)?;
                }
                Err(error) if is(&error, Errno::NOENT) => {
                    return match self.disk.status_at(&sealed.area.sealed, &sealed.name) {
                        Ok(_) => Ok(None),
                        Err(_) => Err(PublishError::failed("its sealed file is gone from staging")),
                    };
                }
                Err(error) => return Err(self.label.publish_error("give a file its name", error)),
            }
        }
        Err(PublishError::failed(
            "another process keeps taking and freeing its name",
        ))
    }

    /// Links the file, which keeps its sealed name until the file is recorded; without links, renames it.
    /// Neither ever replaces anything. A crash leaves the final name absent or whole.
    fn give_name(
        &self,
        sealed: &SealedEntry<D>,
        publication: &Publication,
        folder: &D::Folder,
    ) -> io::Result<()> {
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

    /// Compares the file that has the name with the sealed one. `None` if the name is free again.
    ///
    /// Equal content is flushed before it counts as stored, because its writer may not have done so.
    fn compare(
        &self,
        sealed: &SealedEntry<D>,
        folder: &D::Folder,
        publication: &Publication,
    ) -> Result<Option<Placement>, PublishError> {
        let name = publication.name.file_name();
        let found = match self.disk.status_at(folder, name) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            found => found.map_err(|error| {
                self.label
                    .publish_error("inspect the file that has the name", error)
            })?,
        };
        let sealed = self.disk.status_at(&sealed.area.sealed, &sealed.name);
        if sealed.is_ok_and(|sealed| sealed.identity == found.identity) {
            // Our own link: a network file system made it, lost the reply and repeated the request.
            return Ok(Some(Placement::New));
        }
        if found.kind != EntryKind::File || found.size != publication.size {
            return Err(PublishError::File(PublishFault::Taken));
        }
        let file = match self.disk.open_file(folder, name, Access::Read) {
            Err(error) if is(&error, Errno::NOENT) => return Ok(None),
            Err(error) if is_gone(&error) => return Err(PublishError::File(PublishFault::Taken)),
            opened => opened.map_err(|error| self.comparison_error(error))?,
        };
        let is_same = self
            .is_same(&file, publication)
            .map_err(|error| self.comparison_error(error))?;
        if is_same {
            Ok(Some(Placement::Same))
        } else {
            Err(PublishError::File(PublishFault::Taken))
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

    /// A single unreadable file does not concern the store; a full disk does.
    fn comparison_error(&self, error: io::Error) -> PublishError {
        match errno(&error) {
            Some(Errno::IO | Errno::NXIO) => {
                PublishError::failed(&format!("failed to compare the file that has the name: {error}"))
            }
            _ => self
                .label
                .publish_error("compare the file that has the name", error),
        }
    }
}
