//! Renames by SFTP: one request for each file, a thousand of them in flight.

use std::collections::HashMap;

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::{RelativePath, SourcePath};
use sftp::StatusCode;

use super::fault::fault;
use super::folders::Refusals;
use super::{SftpFiles, is_missing};
use crate::pipeline::in_order;
use crate::script::{anchored, device_path};

/// How often to make folders again that another process removes while they are empty.
const MAX_TRIES: usize = 4;
/// The bit of `statvfs` for a read-only file system.
const READ_ONLY: u64 = 1;

/// Why files of a folder could not be renamed.
type Explanations = HashMap<Option<RelativePath>, FileFault>;

impl SftpFiles {
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
                let (from, to) = (device_path(source, &step.from), device_path(source, &step.to));
                let (files, refusal) = (self.client.clone(), outermost_refusal(source, step, &refusals));
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
                let (files, path) = (self.client.clone(), device_path(source, &step.from));
                async move { files.lstat(&path).await.map(drop) }
            })
            .collect();
        in_order(requests).await
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
            (None, _) => Err(self.failures.of_sftp(&error).await),
            (_, Some(Err(inspection))) if inspection.status().is_none() => {
                Err(self.failures.of_sftp(&inspection).await)
            }
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
        if !self.client.supports(sftp::codec::names::STATVFS) {
            return Ok(explained);
        }
        let folder = |path: &RelativePath| match path.parent() {
            Some(parent) => device_path(source, &parent),
            None => anchored(source.as_bytes()),
        };
        let from = match self.client.statvfs(&folder(&step.from)).await {
            Ok(from) => from,
            Err(error) if error.status().is_none() => return Err(self.failures.of_sftp(&error).await),
            Err(_) => return Ok(explained),
        };
        if from.flags & READ_ONLY != 0 {
            explained.kind = FileFaultKind::ReadOnly;
            explained.message.push_str(", the file system is read-only");
            return Ok(explained);
        }
        match self.client.statvfs(&folder(&step.to)).await {
            Ok(to) if to.identity != from.identity => {
                explained.kind = FileFaultKind::OtherFileSystem;
                explained
                    .message
                    .push_str(", the target is on another file system");
            }
            Err(error) if error.status().is_none() => return Err(self.failures.of_sftp(&error).await),
            Ok(_) | Err(_) => {}
        }
        Ok(explained)
    }
}

/// The renames that report something missing although the file exists: a folder of the target is missing.
fn moves_with_vanished_folder(
    renamed: &[Result<(), sftp::Error>],
    inspections: &[Result<(), sftp::Error>],
) -> Vec<usize> {
    let missing = renamed.iter().enumerate();
    let missing = missing.filter(|(_, result)| result.as_ref().is_err_and(is_missing));
    let inspected = missing
        .zip(inspections)
        .filter(|(_, inspection)| inspection.is_ok());
    inspected.map(|((at, _), _)| at).collect()
}

/// The outermost refusal on the way to a target, from which the others follow.
fn outermost_refusal(source: &SourcePath, step: &Move, refusals: &Refusals) -> Option<sftp::Error> {
    if refusals.is_empty() {
        return None;
    }
    let folders = std::iter::successors(step.to.parent(), RelativePath::parent);
    let refused = folders.filter_map(|folder| refusals.get(&device_path(source, &folder)));
    refused.last().cloned()
}

fn other(error: &sftp::Error) -> FileFault {
    let message = fault(error).map_or_else(|| error.to_string(), |fault| fault.message);
    FileFault {
        kind: FileFaultKind::Other,
        message,
    }
}
