//! The proof that shell and SFTP show the same folders: the shell sees a folder that SFTP has made.
//!
//! It is the folder of the batch about to be withdrawn, which has to be made anyway. The shell looks for it
//! in the request with which it renames. SFTP makes it, because only what SFTP shows can be read.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::names::WITHDRAWN_FOLDER;
use model::{RelativePath, SourcePath};

use super::SshSession;
use super::shell::ShellFiles;
use super::views::MAX_COMPARISONS;
use crate::script::device_path;

/// Components of the path of a batch's folder, from the withdrawn folder on: withdrawn folder, ledger, batch.
const BATCH_DEPTH: usize = 3;

/// A folder that SFTP has made, with those of its ancestors that may be ours, outermost first.
#[derive(Debug)]
pub(super) struct Trial {
    folders: Vec<RelativePath>,
}

impl Trial {
    /// The folder that the shell must see.
    pub(super) fn folder(&self) -> Option<&RelativePath> {
        self.folders.last()
    }

    fn of(step: &Move) -> Self {
        let mut folders = Vec::new();
        let mut folder = step.to.parent();
        while let Some(path) = folder {
            folder = path.parent();
            let depth = path
                .components()
                .skip_while(|name| *name != WITHDRAWN_FOLDER)
                .count();
            if (1..=BATCH_DEPTH).contains(&depth) {
                folders.push(path);
            }
        }
        folders.reverse();
        Self { folders }
    }
}

/// What is known before files are renamed.
#[derive(Debug)]
pub(super) enum ViewState {
    /// Both show the same, or only SFTP is used.
    Same,
    /// The shell must see this folder first.
    OnTrial(Trial),
    /// The listed files are not those that SFTP shows.
    Different,
}

impl SshSession {
    /// Makes the folder of a trial where nothing is proved yet.
    pub(super) async fn begin_trial(
        &self,
        shell: &ShellFiles,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<ViewState, DeviceFailure> {
        let Some(step) = moves.first() else {
            return Ok(ViewState::Same);
        };
        let trial = Trial::of(step);
        if !trial.folders.is_empty() && self.sftp.make_nested(source, &trial.folders).await? {
            return Ok(ViewState::OnTrial(trial));
        }
        // No folder can be made there: the file itself is compared.
        self.compare(shell, source, &step.from).await
    }

    /// Checks until it is clear whether the shell sees the folder of a trial: another process may remove it.
    pub(super) async fn end_trial(
        &self,
        shell: &ShellFiles,
        source: &SourcePath,
        trial: &Trial,
    ) -> Result<ViewState, DeviceFailure> {
        let Some(folder) = trial.folder() else {
            return Ok(ViewState::Same);
        };
        let whole = device_path(source, folder);
        for _ in 0..MAX_COMPARISONS {
            if exists_for_shell(shell, &whole).await? {
                return Ok(ViewState::Same);
            }
            if self.sftp.exists(&whole).await? == Some(true) {
                self.views.note_difference(source);
                self.remove_trial(source, trial).await?;
                return Ok(ViewState::Different);
            }
            if !self.sftp.make_nested(source, &trial.folders).await? {
                break;
            }
        }
        Ok(ViewState::Same)
    }

    /// Whether one sees the file and the other does not, before and after. Notes a difference.
    async fn compare(
        &self,
        shell: &ShellFiles,
        source: &SourcePath,
        path: &RelativePath,
    ) -> Result<ViewState, DeviceFailure> {
        let whole = device_path(source, path);
        let by_shell = exists_for_shell(shell, &whole).await?;
        let Some(by_sftp) = self.sftp.exists(&whole).await? else {
            return Ok(ViewState::Same);
        };
        if by_shell == by_sftp || exists_for_shell(shell, &whole).await? != by_shell {
            return Ok(ViewState::Same);
        }
        self.views.note_difference(source);
        Ok(ViewState::Different)
    }

    /// Removes the folders of a trial that are empty.
    pub(super) async fn remove_trial(&self, source: &SourcePath, trial: &Trial) -> Result<(), DeviceFailure> {
        let folders: Vec<_> = trial.folders.iter().rev().cloned().collect();
        self.sftp.forget_folders(source, &folders);
        self.sftp.remove_each_folder(source, &folders).await
    }
}

async fn exists_for_shell(shell: &ShellFiles, path: &[u8]) -> Result<bool, DeviceFailure> {
    Ok(shell.modified(path).await?.is_some())
}

/// The fault of a file that only the shell lists.
pub(super) fn not_in_sftp_view() -> FileFault {
    FileFault {
        kind: FileFaultKind::Missing,
        message: "rename: the SFTP server shows another folder".to_owned(),
    }
}
