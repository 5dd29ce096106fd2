//! The proof that shell and SFTP show the same folders: the shell sees a folder that SFTP has made.
//!
//! It is the folder of the batch about to be withdrawn, which has to be made anyway. The shell looks for it
//! in the request with which it renames. SFTP makes it, because only what SFTP shows can be read.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::names::WITHDRAWN_FOLDER;
use model::{RelativePath, SourcePath};
use sftp::StatusCode;

use super::SshSession;
use super::views::MAX_COMPARISONS;
use super::withdraw::FOLDER_PERMISSIONS;
use crate::pipeline::in_order;
use crate::shell_channel::ShellPool;

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
        pool: &ShellPool,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<ViewState, DeviceFailure> {
        let Some(step) = moves.first() else {
            return Ok(ViewState::Same);
        };
        let trial = Trial::of(step);
        if !trial.folders.is_empty() && self.make_trial(source, &trial).await? {
            return Ok(ViewState::OnTrial(trial));
        }
        // No folder can be made there: the file itself is compared.
        self.compare(pool, source, &step.from).await
    }

    /// Makes the folders of the trial. Returns whether its folder exists for SFTP.
    async fn make_trial(&self, source: &SourcePath, trial: &Trial) -> Result<bool, DeviceFailure> {
        let requests = trial.folders.iter().map(|folder| {
            let (files, folder) = (self.files.clone(), Self::path(source, folder));
            async move { files.mkdir(&folder, FOLDER_PERMISSIONS).await }
        });
        let made = in_order(requests.collect::<Vec<_>>()).await;
        match made.into_iter().next_back() {
            Some(Err(error)) if error.status().is_none() => Err(self.lost(&error).await),
            Some(made) => Ok(made.is_ok()),
            None => Ok(false),
        }
    }

    /// Checks until it is clear whether the shell sees the folder of a trial: another process may remove it.
    pub(super) async fn end_trial(
        &self,
        pool: &ShellPool,
        source: &SourcePath,
        trial: &Trial,
    ) -> Result<ViewState, DeviceFailure> {
        let Some(folder) = trial.folder() else {
            return Ok(ViewState::Same);
        };
        let whole = Self::path(source, folder);
        for _ in 0..MAX_COMPARISONS {
            if self.exists_for_shell(pool, &whole).await? {
                return Ok(ViewState::Same);
            }
            if self.exists_for_sftp(&whole).await? == Some(true) {
                self.views.note_difference(source);
                self.remove_trial(source, trial).await?;
                return Ok(ViewState::Different);
            }
            if !self.make_trial(source, trial).await? {
                break;
            }
        }
        Ok(ViewState::Same)
    }

    /// Whether one sees the file and the other does not, before and after. Notes a difference.
    async fn compare(
        &self,
        pool: &ShellPool,
        source: &SourcePath,
        path: &RelativePath,
    ) -> Result<ViewState, DeviceFailure> {
        let whole = Self::path(source, path);
        let by_shell = self.exists_for_shell(pool, &whole).await?;
        let Some(by_sftp) = self.exists_for_sftp(&whole).await? else {
            return Ok(ViewState::Same);
        };
        if by_shell == by_sftp || self.exists_for_shell(pool, &whole).await? != by_shell {
            return Ok(ViewState::Same);
        }
        self.views.note_difference(source);
        Ok(ViewState::Different)
    }

    async fn exists_for_shell(&self, pool: &ShellPool, path: &[u8]) -> Result<bool, DeviceFailure> {
        match self.modified_by_shell(pool, path).await {
            Ok(seen) => Ok(seen.is_some()),
            Err(error) => Err(self.shell_lost(error).await),
        }
    }

    /// `None` if it does not report.
    async fn exists_for_sftp(&self, path: &[u8]) -> Result<Option<bool>, DeviceFailure> {
        match self.files.lstat(path).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.status() == Some(StatusCode::NoSuchFile) => Ok(Some(false)),
            Err(error) if error.status().is_none() => Err(self.lost(&error).await),
            Err(_) => Ok(None),
        }
    }

    /// Removes the folders of a trial that are empty.
    pub(super) async fn remove_trial(&self, source: &SourcePath, trial: &Trial) -> Result<(), DeviceFailure> {
        let folders: Vec<_> = trial.folders.iter().rev().cloned().collect();
        self.forget_folders(source, &folders);
        self.remove_each_folder(source, &folders).await
    }
}

/// The fault of a file that only the shell lists.
pub(super) fn not_in_sftp_view() -> FileFault {
    FileFault {
        kind: FileFaultKind::Missing,
        message: "rename: the SFTP server shows another folder".to_owned(),
    }
}
