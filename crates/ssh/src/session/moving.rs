//! Renaming files, and looking at them under their new names: asked for in one breath, and answered within one round trip.

use bytes::Buf;
use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, InspectResult, Move, RenameResult};
use model::{RelativePath, SourcePath};

use super::SshSession;
use super::inspect::{ask_to_look, beginning_of, portions};
use super::trial::{Standing, Trial, of_another_view};
use crate::lane::{LaneError, Lanes, Lease};
use crate::naming::Naming;

/// Renames in one question.
const MAX_MOVES: usize = 1024;

impl SshSession {
    /// Renames once it is proved that shell and SFTP show the same. The first renames of a session prove
    /// that; others wait for them.
    pub(super) async fn move_all(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let mut proved = self.views.proved.lock().await;
        let lanes = self.shell().filter(|_| !proved.contains(source));
        let standing = match lanes {
            Some(lanes) => self.begin_trial(lanes, source, moves).await?,
            None if self.views.is_listed_by_another(source) => Standing::OfAnotherView,
            None => Standing::Known,
        };
        let (Standing::OnTrial(trial), Some(lanes)) = (&standing, lanes) else {
            if matches!(standing, Standing::Known) && !moves.is_empty() {
                proved.insert(source.clone());
            }
            drop(proved);
            return self.move_proved(source, moves, &standing).await;
        };
        let done = self.move_together(source, moves, Some(trial)).await?;
        let answers = if done.iter().any(Option::is_some) {
            proved.insert(source.clone());
            drop(proved);
            self.move_rest(source, moves, done).await?
        } else {
            let ended = self.end_trial(lanes, source, trial).await?;
            if !self.views.differ() {
                proved.insert(source.clone());
            }
            drop(proved);
            self.move_proved(source, moves, &ended).await?
        };
        if answers.iter().all(Result::is_err) && !self.views.differ() {
            self.remove_trial(source, trial).await?;
        }
        Ok(answers)
    }

    async fn move_proved(
        &self,
        source: &SourcePath,
        moves: &[Move],
        standing: &Standing,
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        if matches!(standing, Standing::OfAnotherView) && self.views.is_listed_by_another(source) {
            return Ok(moves.iter().map(|_| Err(of_another_view())).collect());
        }
        let done = self.move_together(source, moves, None).await?;
        self.move_rest(source, moves, done).await
    }

    /// Whatever the script does not rename, SFTP may, or has words for why not.
    async fn move_rest(
        &self,
        source: &SourcePath,
        moves: &[Move],
        done: Vec<Option<RenameResult>>,
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let left = moves.iter().zip(&done).filter(|(_, moved)| moved.is_none());
        let left: Vec<Move> = left.map(|(step, _)| step.clone()).collect();
        let mut others = match left.is_empty() {
            true => Vec::new().into_iter(),
            false => self.move_and_look(source, &left).await?.into_iter(),
        };
        let of_each = done.into_iter().map(|moved| moved.or_else(|| others.next()));
        Ok(of_each.flatten().collect())
    }

    async fn move_and_look(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Vec<RenameResult>, DeviceFailure> {
        let mut renamed = self.move_each(source, moves).await?;
        self.find_causes(source, moves, &mut renamed).await?;
        let done = moves.iter().zip(&renamed).filter(|(_, renamed)| renamed.is_ok());
        let paths: Vec<RelativePath> = done.map(|(step, _)| step.to.clone()).collect();
        let mut looks = match paths.is_empty() {
            true => Vec::new().into_iter(),
            false => self.look_at(source, &paths).await?.into_iter(),
        };
        let of_each = renamed.into_iter().map(|renamed| match renamed {
            Ok(()) => looks.next().map(Ok),
            Err(fault) => Some(Err(fault)),
        });
        Ok(of_each.flatten().collect())
    }

    /// Renames by one command for many, as rename(2) does, into folders that it makes where they are missing. What is `None` was not
    /// renamed.
    async fn move_together(
        &self,
        source: &SourcePath,
        moves: &[Move],
        trial: Option<&Trial>,
    ) -> Result<Vec<Option<RenameResult>>, DeviceFailure> {
        let (Some(lanes), true) = (self.shell(), self.renames_together) else {
            return Ok(vec![None; moves.len()]);
        };
        let names = |step: &Move| [&step.from, &step.to].map(|path| Self::path(source, path));
        let names: Vec<[Vec<u8>; 2]> = moves.iter().map(names).collect();
        let has_to_be_there = trial
            .and_then(Trial::folder)
            .map(|folder| Self::path(source, folder));
        let (told, mut seen) = match self.ask_to_move(lanes, &names, has_to_be_there.as_ref()).await {
            Ok(answers) => answers,
            Err(error) => return Err(self.lane_lost(error).await),
        };
        // A perl that was killed may have renamed what it has not told. To rename that once more would put whatever has the old name by now in its
        // place: what is there under the new name, which nobody else uses, is what was renamed.
        let is_unclear = |told: &Told, looked: &Option<InspectResult>| {
            matches!(told, Told::Renamed | Told::Nothing) && looked.is_none()
        };
        let unclear = names.iter().zip(told.iter().zip(&seen));
        let unclear = unclear.filter(|(_, (told, looked))| is_unclear(told, looked));
        let targets: Vec<Vec<u8>> = unclear.map(|([_, to], _)| to.clone()).collect();
        let mut reasons = self.why_not_seen(targets).await?.into_iter();
        let is_missing =
            |reason: &InspectResult| matches!(reason, Err(fault) if fault.kind == FileFaultKind::Missing);
        let of_each = told.into_iter().zip(&mut seen).map(|(told, looked)| match told {
            Told::Refused => None,
            Told::Open => Some(Err(is_open())),
            Told::Renamed => looked.take().or_else(|| reasons.next()).map(Ok),
            Told::Nothing => {
                let looked = looked.take().or_else(|| reasons.next());
                looked.filter(|looked| !is_missing(looked)).map(Ok)
            }
        });
        Ok(of_each.collect())
    }

    /// Which of them were renamed, as far as that was told, and what was seen under the new names. Nothing is
    /// renamed where the folder that has to be there is not.
    async fn ask_to_move(
        &self,
        lanes: &Lanes,
        names: &[[Vec<u8>; 2]],
        has_to_be_there: Option<&Vec<u8>>,
    ) -> Result<(Vec<Told>, Vec<Option<InspectResult>>), LaneError> {
        let mut lane = lanes.lease().await?;
        for some in names.chunks(MAX_MOVES) {
            let first = has_to_be_there.into_iter().flat_map(|folder| [folder, folder]);
            let paths = first.chain(some.iter().flatten()).map(Vec::as_slice);
            let naming = Naming::of(paths.clone());
            lane.ask_about("rename", &naming, &naming.arguments(paths))
                .await?;
        }
        let mut targets = portions(names.iter().map(|[_, to]| to.clone())).into_iter();
        let mut asked = match targets.next() {
            // A rename is answered by a byte: the device comes to this question whether or not anybody listens.
            Some(first) => Some((ask_to_look(&mut lane, &first).await?, first)),
            None => None,
        };
        let mut told = Vec::with_capacity(names.len());
        for some in names.chunks(MAX_MOVES) {
            told.extend(renames_told(&mut lane, some.len(), has_to_be_there.is_some()).await?);
        }
        let mut seen = Vec::with_capacity(names.len());
        while let Some((naming, some)) = asked.take() {
            seen.extend(self.hear_looks(&mut lane, &naming, &some).await?);
            if let Some(next) = targets.next() {
                asked = Some((ask_to_look(&mut lane, &next).await?, next));
            }
        }
        lane.put_back();
        Ok((told, seen))
    }
}

/// What the device answers about a rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Renamed,
    Refused,
    /// The file is open, and was not renamed.
    Open,
    /// A perl that was killed has told fewer.
    Nothing,
}

/// One byte for each rename of a question.
async fn renames_told(lane: &mut Lease<'_>, count: usize, is_on_trial: bool) -> Result<Vec<Told>, LaneError> {
    let end = format!("\n{}\n", lane.tag());
    let mut answer = lane.until(end.as_bytes()).await?;
    if is_on_trial && !answer.is_empty() {
        // The first byte says that the folder is there.
        answer.advance(1);
    }
    if answer.len() > count {
        return Err(LaneError::Nonsense(beginning_of(&answer)));
    }
    let told = answer.iter().map(|told| match told {
        b'1' => Told::Renamed,
        b'o' => Told::Open,
        _ => Told::Refused,
    });
    Ok(told.chain(std::iter::repeat(Told::Nothing)).take(count).collect())
}

fn is_open() -> FileFault {
    FileFault {
        kind: FileFaultKind::Open,
        message: "rename: a program has it open for writing".to_owned(),
    }
}
