//! The proof that shell and SFTP show the same: a folder that SFTP makes is seen by the shell.
//!
//! It is the folder of the batch that is about to be withdrawn, so that it has to be made anyway. Where files
//! are renamed by the shell, that looks for it in the same breath. SFTP makes it, because what SFTP shows is
//! what can be read.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::names::WITHDRAWN_FOLDER;
use model::{RelativePath, SourcePath};
use sftp::StatusCode;

use super::SshSession;
use super::views::MAX_LOOKS;
use super::withdraw::FOLDER_PERMISSIONS;
use crate::lane::Lanes;
use crate::pipeline::in_order;

/// Components of the path of a batch's folder, counted from the withdrawn folder on: that, ledger and batch.
const BATCH_DEPTH: usize = 3;

/// A folder that SFTP has made, with those around it that may be ours, outermost first.
#[derive(Debug)]
pub(super) struct Trial {
    folders: Vec<RelativePath>,
}

impl Trial {
    /// The folder that the shell has to see.
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
pub(super) enum Standing {
    /// Both show the same, or SFTP alone is used.
    Known,
    /// The shell has to see this folder first.
    OnTrial(Trial),
    /// What was listed are other files than those of SFTP.
    OfAnotherView,
}

impl SshSession {
    /// Makes the folder of a trial where nothing is proved yet.
    pub(super) async fn begin_trial(
        &self,
        lanes: &Lanes,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Standing, DeviceFailure> {
        let Some(step) = moves.first() else {
            return Ok(Standing::Known);
        };
        let trial = Trial::of(step);
        if !trial.folders.is_empty() && self.make_trial(source, &trial).await? {
            return Ok(Standing::OnTrial(trial));
        }
        // No folder can be made there: then the file itself must do.
        self.compare(lanes, source, &step.from).await
    }

    /// Whether the folder of the trial is there for SFTP.
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

    /// Looks for the folder of a trial until it is clear whether the shell sees it: somebody may remove it.
    pub(super) async fn end_trial(
        &self,
        lanes: &Lanes,
        source: &SourcePath,
        trial: &Trial,
    ) -> Result<Standing, DeviceFailure> {
        let Some(folder) = trial.folder() else {
            return Ok(Standing::Known);
        };
        let whole = Self::path(source, folder);
        for _ in 0..MAX_LOOKS {
            if self.is_seen_by_shell(lanes, &whole).await? {
                return Ok(Standing::Known);
            }
            if self.is_seen_by_sftp(&whole).await? == Some(true) {
                self.views.note_difference(source);
                self.remove_trial(source, trial).await?;
                return Ok(Standing::OfAnotherView);
            }
            if !self.make_trial(source, trial).await? {
                break;
            }
        }
        Ok(Standing::Known)
    }

    /// Whether one does not see a file that the other sees, before and after. Notes a difference.
    async fn compare(
        &self,
        lanes: &Lanes,
        source: &SourcePath,
        path: &RelativePath,
    ) -> Result<Standing, DeviceFailure> {
        let whole = Self::path(source, path);
        let by_shell = self.is_seen_by_shell(lanes, &whole).await?;
        let Some(by_sftp) = self.is_seen_by_sftp(&whole).await? else {
            return Ok(Standing::Known);
        };
        if by_shell == by_sftp || self.is_seen_by_shell(lanes, &whole).await? != by_shell {
            return Ok(Standing::Known);
        }
        self.views.note_difference(source);
        Ok(Standing::OfAnotherView)
    }

    async fn is_seen_by_shell(&self, lanes: &Lanes, path: &[u8]) -> Result<bool, DeviceFailure> {
        match self.look_by_shell(lanes, path).await {
            Ok(seen) => Ok(seen.is_some()),
            Err(error) => Err(self.lane_lost(error).await),
        }
    }

    /// `None` where it does not tell.
    async fn is_seen_by_sftp(&self, path: &[u8]) -> Result<Option<bool>, DeviceFailure> {
        match self.files.lstat(path).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.status() == Some(StatusCode::NoSuchFile) => Ok(Some(false)),
            Err(error) if error.status().is_none() => Err(self.lost(&error).await),
            Err(_) => Ok(None),
        }
    }

    /// Removes what a trial has made, where nothing is in it.
    pub(super) async fn remove_trial(&self, source: &SourcePath, trial: &Trial) -> Result<(), DeviceFailure> {
        let folders: Vec<_> = trial.folders.iter().rev().cloned().collect();
        self.forget_folders(source, &folders);
        self.remove_each_folder(source, &folders).await
    }
}

/// Of a file that the shell named: SFTP shows another folder.
pub(super) fn of_another_view() -> FileFault {
    FileFault {
        kind: FileFaultKind::Missing,
        message: "rename: the SFTP server shows another folder".to_owned(),
    }
}
