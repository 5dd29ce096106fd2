//! Renames files and inspects them under their new names: both are requested together, and answered within
//! one round trip.

use bytes::Buf;
use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, InspectResult, Move, RenameResult};
use model::{RelativePath, SourcePath};

use super::SshSession;
use super::inspect::{beginning_of, portions, request_inspect};
use super::trial::{Trial, ViewState, not_in_sftp_view};
use crate::request_paths::RequestPaths;
use crate::shell_channel::{PooledChannel, ShellError, ShellPool};

/// The most renames in one request.
const MAX_MOVES: usize = 1024;

impl SshSession {
    /// Renames once it is proved that shell and SFTP show the same folders. The first renames of a session
    /// prove it; other renames wait for them.
    pub(super) async fn rename_all(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let mut proved = self.views.proved.lock().await;
        let pool = self.shell().filter(|_| !proved.contains(source));
        let view_state = match pool {
            Some(pool) => self.begin_trial(pool, source, moves).await?,
            None if self.views.was_listed_in_other_view(source) => ViewState::Different,
            None => ViewState::Same,
        };
        let (ViewState::OnTrial(trial), Some(pool)) = (&view_state, pool) else {
            if matches!(view_state, ViewState::Same) && !moves.is_empty() {
                proved.insert(source.clone());
            }
            drop(proved);
            return self.rename_proved(source, moves, &view_state).await;
        };
        let done = self.rename_by_script(source, moves, Some(trial)).await?;
        let answers = if done.iter().any(Option::is_some) {
            proved.insert(source.clone());
            drop(proved);
            self.rename_rest(source, moves, done).await?
        } else {
            let ended = self.end_trial(pool, source, trial).await?;
            if !self.views.differ() {
                proved.insert(source.clone());
            }
            drop(proved);
            self.rename_proved(source, moves, &ended).await?
        };
        if answers.iter().all(Result::is_err) && !self.views.differ() {
            self.remove_trial(source, trial).await?;
        }
        Ok(answers)
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
        let done = self.rename_by_script(source, moves, None).await?;
        self.rename_rest(source, moves, done).await
    }

    /// Renames by SFTP what the script has not renamed, or finds out why it cannot be renamed.
    async fn rename_rest(
        &self,
        source: &SourcePath,
        moves: &[Move],
        done: Vec<Option<RenameResult>>,
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let left = moves.iter().zip(&done).filter(|(_, moved)| moved.is_none());
        let left: Vec<Move> = left.map(|(step, _)| step.clone()).collect();
        let mut others = if left.is_empty() {
            Vec::new().into_iter()
        } else {
            self.rename_and_inspect(source, &left).await?.into_iter()
        };
        let of_each = done.into_iter().map(|moved| moved.or_else(|| others.next()));
        Ok(of_each.flatten().collect())
    }

    async fn rename_and_inspect(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let mut renamed = self.rename_each(source, moves).await?;
        self.find_causes(source, moves, &mut renamed).await?;
        let done = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
        let paths: Vec<RelativePath> = done.map(|(step, _)| step.to.clone()).collect();
        let mut inspections = if paths.is_empty() {
            Vec::new().into_iter()
        } else {
            self.inspect_all(source, &paths).await?.into_iter()
        };
        let of_each = renamed.into_iter().map(|renamed| match renamed {
            Ok(()) => inspections.next().map(Ok),
            Err(fault) => Some(Err(fault)),
        });
        Ok(of_each.flatten().collect())
    }

    /// Renames many files by one command, as rename(2) does, into folders that the script makes if they are
    /// missing. `None` for a file that was not renamed.
    async fn rename_by_script(
        &self,
        source: &SourcePath,
        moves: &[Move],
        trial: Option<&Trial>,
    ) -> Result<Vec<Option<RenameResult>>, DeviceFailure> {
        let (Some(pool), true) = (self.shell(), self.has_perl) else {
            return Ok(vec![None; moves.len()]);
        };
        let names = |step: &Move| [&step.from, &step.to].map(|path| Self::path(source, path));
        let names: Vec<[Vec<u8>; 2]> = moves.iter().map(names).collect();
        let required_folder = trial
            .and_then(Trial::folder)
            .map(|folder| Self::path(source, folder));
        let (replies, mut seen) = match self.request_renames(pool, &names, required_folder.as_ref()).await {
            Ok(answers) => answers,
            Err(error) => return Err(self.shell_lost(error).await),
        };
        // A perl that was killed may have renamed a file without reporting it. To rename it once more would
        // replace it with the file that has the old name by now. Nothing else uses the new names, so a file
        // found under one was renamed.
        let is_unclear = |replies: &RenameReply, inspected: &Option<InspectResult>| {
            matches!(replies, RenameReply::Renamed | RenameReply::Unknown) && inspected.is_none()
        };
        let unclear = names.iter().zip(replies.iter().zip(&seen));
        let unclear = unclear.filter(|(_, (replies, inspected))| is_unclear(replies, inspected));
        let targets: Vec<Vec<u8>> = unclear.map(|([_, to], _)| to.clone()).collect();
        let mut reasons = self.reasons_unseen(targets).await?.into_iter();
        let is_missing =
            |reason: &InspectResult| matches!(reason, Err(fault) if fault.kind == FileFaultKind::Missing);
        let of_each = replies
            .into_iter()
            .zip(&mut seen)
            .map(|(replies, inspected)| match replies {
                RenameReply::Refused => None,
                RenameReply::Open => Some(Err(is_open())),
                RenameReply::Renamed => inspected.take().or_else(|| reasons.next()).map(Ok),
                RenameReply::Unknown => {
                    let inspected = inspected.take().or_else(|| reasons.next());
                    inspected.filter(|inspected| !is_missing(inspected)).map(Ok)
                }
            });
        Ok(of_each.collect())
    }

    /// The replies to the renames, and the inspections under the new names. Nothing is renamed unless the
    /// required folder exists.
    async fn request_renames(
        &self,
        pool: &ShellPool,
        names: &[[Vec<u8>; 2]],
        required_folder: Option<&Vec<u8>>,
    ) -> Result<(Vec<RenameReply>, Vec<Option<InspectResult>>), ShellError> {
        let mut channel = pool.acquire().await?;
        for chunk in names.chunks(MAX_MOVES) {
            let first = required_folder.into_iter().flat_map(|folder| [folder, folder]);
            let paths = first.chain(chunk.iter().flatten()).map(Vec::as_slice);
            let request_paths = RequestPaths::new(paths.clone());
            channel
                .request("rename", &request_paths, &request_paths.arguments(paths))
                .await?;
        }
        let mut targets = portions(names.iter().map(|[_, to]| to.clone())).into_iter();
        let mut asked = match targets.next() {
            // The reply to a rename is one byte, so the device never blocks before it reads this request.
            Some(first) => Some((request_inspect(&mut channel, &first).await?, first)),
            None => None,
        };
        let mut replies = Vec::with_capacity(names.len());
        for chunk in names.chunks(MAX_MOVES) {
            replies.extend(read_rename_replies(&mut channel, chunk.len(), required_folder.is_some()).await?);
        }
        let mut seen = Vec::with_capacity(names.len());
        while let Some((request_paths, chunk)) = asked.take() {
            seen.extend(
                self.read_inspections(&mut channel, &request_paths, &chunk)
                    .await?,
            );
            if let Some(next) = targets.next() {
                asked = Some((request_inspect(&mut channel, &next).await?, next));
            }
        }
        channel.put_back();
        Ok((replies, seen))
    }
}

/// The device's reply to a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RenameReply {
    Renamed,
    Refused,
    /// The file is open, and was not renamed.
    Open,
    /// A perl that was killed has sent no reply.
    Unknown,
}

/// One byte for each rename of a request.
async fn read_rename_replies(
    channel: &mut PooledChannel<'_>,
    count: usize,
    is_on_trial: bool,
) -> Result<Vec<RenameReply>, ShellError> {
    let end = format!("\n{}\n", channel.tag());
    let mut answer = channel.read_until(end.as_bytes()).await?;
    if is_on_trial && !answer.is_empty() {
        // The first byte says that the folder exists.
        answer.advance(1);
    }
    if answer.len() > count {
        return Err(ShellError::Unexpected(beginning_of(&answer)));
    }
    let replies = answer.iter().map(|replies| match replies {
        b'1' => RenameReply::Renamed,
        b'o' => RenameReply::Open,
        _ => RenameReply::Refused,
    });
    Ok(replies
        .chain(std::iter::repeat(RenameReply::Unknown))
        .take(count)
        .collect())
}

fn is_open() -> FileFault {
    FileFault {
        kind: FileFaultKind::Open,
        message: "rename: a program has it open for writing".to_owned(),
    }
}
