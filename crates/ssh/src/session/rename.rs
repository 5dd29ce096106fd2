//! Renames files by the shell, or by SFTP, and finds out why the device refuses a rename.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move, RenameResult};
use model::{RelativePath, SourcePath};

use super::SshSession;
use super::files::{Files as _, Renamed, complete, leave_all};
use super::trial::{ViewState, not_in_sftp_view};

/// The most files to find the cause for. The rest of a batch keeps SFTP's status, and the next sweep asks
/// about them.
const MAX_EXPLAINED: usize = 1024;

impl SshSession {
    /// Renames once it is proved that shell and SFTP show the same folders. The first renames of a session
    /// prove it; other renames wait for them.
    pub(super) async fn rename_all(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let mut proved = self.views.proved.lock().await;
        let shell = self.shell().filter(|_| !proved.contains(source));
        let view_state = match shell {
            Some(shell) => self.begin_trial(shell, source, moves).await?,
            None if self.views.was_listed_in_other_view(source) => ViewState::Different,
            None => ViewState::Same,
        };
        let (ViewState::OnTrial(trial), Some(shell)) = (&view_state, shell) else {
            if matches!(view_state, ViewState::Same) && !moves.is_empty() {
                proved.insert(source.clone());
            }
            drop(proved);
            return self.rename_proved(source, moves, &view_state).await;
        };
        let done = shell.rename(source, moves, trial.folder()).await?;
        let results = if done.iter().any(Option::is_some) {
            proved.insert(source.clone());
            drop(proved);
            self.rename_rest(source, moves, done).await?
        } else {
            let ended = self.end_trial(shell, source, trial).await?;
            if !self.views.differ() {
                proved.insert(source.clone());
            }
            drop(proved);
            self.rename_proved(source, moves, &ended).await?
        };
        if results.iter().all(Result::is_err) && !self.views.differ() {
            self.remove_trial(source, trial).await?;
        }
        Ok(results)
    }

    async fn rename_proved(
        &self,
        source: &SourcePath,
        moves: &[Move],
        view_state: &ViewState,
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        if matches!(view_state, ViewState::Different) && self.views.was_listed_in_other_view(source) {
            return Ok(moves.iter().map(|_| Err(not_in_sftp_view())).collect());
        }
        let done = match self.shell() {
            Some(shell) => shell.rename(source, moves, None).await?,
            None => leave_all(moves.len()),
        };
        self.rename_rest(source, moves, done).await
    }

    /// Renames by SFTP what the script has not renamed, or finds out why it cannot be renamed. Then inspects
    /// the files that were not inspected with their rename.
    async fn rename_rest(
        &self,
        source: &SourcePath,
        moves: &[Move],
        done: Vec<Option<Renamed>>,
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let by_sftp = async |left: Vec<Move>| self.sftp.rename(source, &left, None).await;
        let mut renamed = complete(moves, done, by_sftp).await?;
        self.find_causes(source, moves, &mut renamed).await?;
        let uninspected = moves.iter().zip(&renamed);
        let uninspected = uninspected.filter(|(_, renamed)| matches!(renamed, Ok(None)));
        let paths: Vec<RelativePath> = uninspected.map(|(step, _)| step.to.clone()).collect();
        let mut inspections = if paths.is_empty() {
            Vec::new().into_iter()
        } else {
            self.inspect_all(source, &paths).await?.into_iter()
        };
        let of_each = renamed.into_iter().map(|renamed| match renamed {
            Ok(inspected) => inspected.or_else(|| inspections.next()).map(Ok),
            Err(fault) => Some(Err(fault)),
        });
        Ok(of_each.flatten().collect())
    }

    /// Replaces SFTP's status in the results of these moves by the cause, where it can be found.
    async fn find_causes(
        &self,
        source: &SourcePath,
        moves: &[Move],
        results: &mut [Renamed],
    ) -> Result<(), DeviceFailure> {
        let refused = moves
            .iter()
            .zip(results)
            .filter_map(|(step, result)| match result {
                Err(fault) if fault.kind == FileFaultKind::Permission => Some((&step.from, fault)),
                _ => None,
            });
        let refused: Vec<(&RelativePath, &mut FileFault)> = refused.take(MAX_EXPLAINED).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let paths: Vec<RelativePath> = refused.iter().map(|(path, _)| (*path).clone()).collect();
        let causes = match self.shell().filter(|shell| shell.has_perl) {
            Some(shell) => shell.causes(source, &paths).await?,
            None => self.sftp.causes(source, &paths).await?,
        };
        for ((_, fault), cause) in refused.into_iter().zip(causes) {
            if let Some(kind) = cause {
                fault.kind = kind;
            }
        }
        Ok(())
    }
}
