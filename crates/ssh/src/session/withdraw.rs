//! Renames and removes by SFTP: one request for each file, a thousand of them in flight.

use std::collections::{HashMap, HashSet};

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::{RelativePath, SourcePath};
use sftp::StatusCode;

use super::SshSession;
use super::fault::fault;
use crate::pipeline::in_order;
use crate::script::anchored;

/// Only the login user may enter folders that gleaner makes.
pub(super) const FOLDER_PERMISSIONS: u32 = 0o700;
/// Folders remembered as made. Beyond that, all are forgotten and made again, which is harmless.
const MAX_REMEMBERED: usize = 20_000;
/// How often to make folders again that another process removes while they are empty.
const MAX_TRIES: usize = 4;
/// The bit of `statvfs` for a read-only file system.
const READ_ONLY: u64 = 1;

/// Why files of a folder could not be renamed.
type Explanations = HashMap<Option<RelativePath>, FileFault>;

fn is_missing(error: &sftp::Error) -> bool {
    error.status() == Some(StatusCode::NoSuchFile)
}

/// Folders that could not be made, and why.
type Refusals = HashMap<Vec<u8>, sftp::Error>;

impl SshSession {
    /// Renames by one request for each file, as far as SFTP reports the reason.
    pub(super) async fn rename_each(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let mut renamed = self.try_each(source, moves).await?;
        let mut inspections = self.inspect_missing(source, moves, &renamed).await;
        // A timer that removes empty folders may have been quicker: then the folders are made again.
        for _ in 0..MAX_TRIES {
            let again = moves_with_vanished_folder(&renamed, &inspections);
            if again.is_empty() {
                break;
            }
            self.made_folders.lock().clear();
            let steps = again.iter().filter_map(|at| moves.get(*at).cloned());
            let results = self.try_each(source, &steps.collect::<Vec<_>>()).await?;
            for (at, result) in again.into_iter().zip(results) {
                if let Some(slot) = renamed.get_mut(at) {
                    *slot = result;
                }
            }
            inspections = self.inspect_missing(source, moves, &renamed).await;
        }
        let mut inspections = inspections.into_iter();
        let mut explanations = Explanations::new();
        let mut results = Vec::with_capacity(moves.len());
        for (result, step) in renamed.into_iter().zip(moves) {
            results.push(match result {
                Ok(()) => Ok(()),
                Err(error) => {
                    let inspection = is_missing(&error).then(|| inspections.next()).flatten();
                    Err(self
                        .why_not_moved(source, step, error, inspection, &mut explanations)
                        .await?)
                }
            });
        }
        Ok(results)
    }

    /// Makes the folders of the targets, and requests each rename once.
    async fn try_each(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<Result<(), sftp::Error>>, DeviceFailure> {
        let refusals = self.make_folders(source, moves).await?;
        let requests: Vec<_> = moves
            .iter()
            .map(|step| {
                let (from, to) = (Self::path(source, &step.from), Self::path(source, &step.to));
                let (files, refusal) = (self.files.clone(), outermost_refusal(source, step, &refusals));
                async move {
                    match refusal {
                        Some(refusal) => Err(refusal),
                        None => files.posix_rename(&from, &to).await,
                    }
                }
            })
            .collect();
        Ok(in_order(requests).await)
    }

    /// Checks whether the file itself was missing, for all renames that say so at once.
    async fn inspect_missing(
        &self,
        source: &SourcePath,
        moves: &[Move],
        renamed: &[Result<(), sftp::Error>],
    ) -> Vec<Result<(), sftp::Error>> {
        let missing = renamed
            .iter()
            .zip(moves)
            .filter(|(result, _)| result.as_ref().is_err_and(is_missing));
        let requests: Vec<_> = missing
            .map(|(_, step)| {
                let (files, path) = (self.files.clone(), Self::path(source, &step.from));
                async move { files.lstat(&path).await.map(drop) }
            })
            .collect();
        in_order(requests).await
    }

    /// Makes the folders of all targets, outermost first. Returns those that do not exist and cannot be made.
    ///
    /// All requests are sent at once, in order. A server that does not keep the order fails some of them,
    /// which are repeated.
    async fn make_folders(&self, source: &SourcePath, moves: &[Move]) -> Result<Refusals, DeviceFailure> {
        let missing = self.folders_to_make(source, moves);
        let mut refusals = Refusals::new();
        for _ in 0..2 {
            let requests: Vec<_> = missing
                .iter()
                .map(|folder| {
                    let (files, folder) = (self.files.clone(), folder.clone());
                    async move { files.mkdir(&folder, FOLDER_PERMISSIONS).await }
                })
                .collect();
            refusals.clear();
            for (result, folder) in in_order(requests).await.into_iter().zip(&missing) {
                match result {
                    Err(error) if error.status().is_none() => return Err(self.lost(&error).await),
                    // Version 3 has no better status for a folder that exists.
                    Ok(())
                    | Err(sftp::Error::Status {
                        code: StatusCode::Failure,
                        ..
                    }) => {}
                    Err(error) => drop(refusals.insert(folder.clone(), error)),
                }
            }
            let is_out_of_order = |error: &sftp::Error| error.status() == Some(StatusCode::NoSuchFile);
            if !refusals.values().any(is_out_of_order) {
                break;
            }
        }
        let mut made = self.made_folders.lock();
        if made.len() + missing.len() > MAX_REMEMBERED {
            made.clear();
        }
        made.extend(
            missing
                .into_iter()
                .filter(|folder| !refusals.contains_key(folder)),
        );
        Ok(refusals)
    }

    fn folders_to_make(&self, source: &SourcePath, moves: &[Move]) -> Vec<Vec<u8>> {
        let made = self.made_folders.lock();
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        for step in moves {
            let mut outwards = Vec::new();
            let mut folder = step.to.parent();
            while let Some(path) = folder {
                let whole = Self::path(source, &path);
                if made.contains(&whole) || !seen.insert(whole.clone()) {
                    break;
                }
                outwards.push(whole);
                folder = path.parent();
            }
            missing.extend(outwards.into_iter().rev());
        }
        missing
    }

    async fn why_not_moved(
        &self,
        source: &SourcePath,
        step: &Move,
        error: sftp::Error,
        inspection: Option<Result<(), sftp::Error>>,
        explanations: &mut Explanations,
    ) -> Result<FileFault, DeviceFailure> {
        match (error.status(), inspection) {
            (None, _) => Err(self.lost(&error).await),
            (_, Some(Err(inspection))) if inspection.status().is_none() => Err(self.lost(&inspection).await),
            (_, Some(Err(inspection))) => Ok(fault(&inspection).unwrap_or_else(|| other(&inspection))),
            (Some(StatusCode::Failure), _) => self.explained(source, step, &error, explanations).await,
            (_, Some(Ok(()))) => {
                // The target's folder is missing, and was not made: the next call tries again.
                self.made_folders.lock().clear();
                self.explained(source, step, &error, explanations).await
            }
            (Some(_), None) => Ok(fault(&error).unwrap_or_else(|| other(&error))),
        }
    }

    /// The explanation for one file of a folder holds for the others, and is found out once.
    async fn explained(
        &self,
        source: &SourcePath,
        step: &Move,
        error: &sftp::Error,
        explanations: &mut Explanations,
    ) -> Result<FileFault, DeviceFailure> {
        let folder = step.from.parent();
        if let Some(known) = explanations.get(&folder) {
            return Ok(known.clone());
        }
        let explanation = self.explain(source, step, error).await?;
        explanations.insert(folder, explanation.clone());
        Ok(explanation)
    }

    /// SFTP has one status for a target on another file system, a read-only one and a full one. The file
    /// systems of the two folders tell them apart.
    async fn explain(
        &self,
        source: &SourcePath,
        step: &Move,
        error: &sftp::Error,
    ) -> Result<FileFault, DeviceFailure> {
        let mut explained = other(error);
        if !self.files.supports(sftp::codec::names::STATVFS) {
            return Ok(explained);
        }
        let folder = |path: &RelativePath| match path.parent() {
            Some(parent) => Self::path(source, &parent),
            None => anchored(source.as_bytes()),
        };
        let from = match self.files.statvfs(&folder(&step.from)).await {
            Ok(from) => from,
            Err(error) if error.status().is_none() => return Err(self.lost(&error).await),
            Err(_) => return Ok(explained),
        };
        if from.flags & READ_ONLY != 0 {
            explained.kind = FileFaultKind::ReadOnly;
            explained.message.push_str(", the file system is read-only");
            return Ok(explained);
        }
        match self.files.statvfs(&folder(&step.to)).await {
            Ok(to) if to.identity != from.identity => {
                explained.kind = FileFaultKind::OtherFileSystem;
                explained
                    .message
                    .push_str(", the target is on another file system");
            }
            Err(error) if error.status().is_none() => return Err(self.lost(&error).await),
            Ok(_) | Err(_) => {}
        }
        Ok(explained)
    }

    pub(super) async fn remove_all(
        &self,
        source: &SourcePath,
        files: &[RelativePath],
        folders: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        self.forget_folders(source, folders);
        if self.remove_together(source, files, folders).await? {
            return Ok(vec![Ok(()); files.len()]);
        }
        // SFTP has a reason for each of those that are not gone.
        let results = self.remove_each(source, files).await?;
        self.remove_each_folder(source, folders).await?;
        Ok(results)
    }

    async fn remove_each(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (files, path) = (self.files.clone(), Self::path(source, path));
                async move { files.remove(&path).await }
            })
            .collect();
        let mut results = Vec::with_capacity(paths.len());
        for result in in_order(requests).await {
            results.push(match result {
                Ok(()) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => match fault(&error) {
                    Some(fault) => Err(fault),
                    None => return Err(self.lost(&error).await),
                },
            });
        }
        Ok(results)
    }

    /// A removed folder has to be made again.
    pub(super) fn forget_folders(&self, source: &SourcePath, paths: &[RelativePath]) {
        let mut made = self.made_folders.lock();
        for path in paths {
            made.remove(&Self::path(source, path));
        }
    }

    pub(super) async fn remove_each_folder(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<(), DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (files, path) = (self.files.clone(), Self::path(source, path));
                async move { files.rmdir(&path).await }
            })
            .collect();
        for result in in_order(requests).await {
            if let Err(error) = result
                && error.status().is_none()
            {
                return Err(self.lost(&error).await);
            }
        }
        Ok(())
    }
}

/// The renames that report something missing although the file exists: a folder of the target is missing.
fn moves_with_vanished_folder(
    renamed: &[Result<(), sftp::Error>],
    inspections: &[Result<(), sftp::Error>],
) -> Vec<usize> {
    let missing = renamed.iter().enumerate();
    let missing = missing.filter(|(_, result)| result.as_ref().is_err_and(is_missing));
    let with_looks = missing
        .zip(inspections)
        .filter(|(_, inspection)| inspection.is_ok());
    with_looks.map(|((at, _), _)| at).collect()
}

/// The outermost refusal on the way to a target, from which the others follow.
fn outermost_refusal(source: &SourcePath, step: &Move, refusals: &Refusals) -> Option<sftp::Error> {
    if refusals.is_empty() {
        return None;
    }
    let folders = std::iter::successors(step.to.parent(), RelativePath::parent);
    let refused = folders.filter_map(|folder| refusals.get(&SshSession::path(source, &folder)));
    refused.last().cloned()
}

fn other(error: &sftp::Error) -> FileFault {
    let message = fault(error).map_or_else(|| error.to_string(), |fault| fault.message);
    FileFault {
        kind: FileFaultKind::Other,
        message,
    }
}
