//! Survey: the listing of a source, judged while it streams in. Memory does not grow with the listing.

mod listing;
mod marks;
mod withdrawn_files;

use std::time::Duration;

use model::names::WITHDRAWN_FOLDER;
use model::{Amount, Digest, LeaveReason, NameError, RelativePath, SourcePath, WaitReason};

use crate::oldest::{Loan, Oldest};
use crate::plan::{self, Candidate, Decision, EntryClass, SurveyContext};
use crate::ports::{
    Clock as _, DeviceFailure, Entry, EntryKind, FileFault, Ledger, Reason, Sighting, SurveyItem, Unseen,
    WriterCheck,
};
use crate::recourse::PassError;
use crate::remaining::RemainingTally;
use crate::rules::Mode;
use crate::stages::foresee;
use crate::suspects::{Suspect, Watch};
use crate::visit::Visit;
use crate::withdrawn;
use crate::world::World;
use listing::listed;
pub(crate) use marks::Marks;
use withdrawn_files::Withdrawn;

/// What a survey found.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    /// What is to be done, oldest file first.
    pub(crate) work: Vec<(Candidate, Decision)>,
    /// What goes after all other files, since a session may have ended over it.
    pub(crate) suspects: Vec<Suspect>,
    /// What was borrowed to hold the work, until that is done.
    pub(crate) loan: Loan<'a>,
    /// What is left.
    pub(crate) remaining: RemainingTally,
    /// Files, and their bytes, that are to be gathered but did not fit into one plan.
    pub(crate) overflow: Amount,
    /// Folders that may go if they are empty: what earlier passes left in our withdrawn folders and, where the rules say so, old ones.
    pub(crate) old_folders: Vec<RelativePath>,
    /// Rows of files that the ledger holds for stored, but that are gone from the device: an earlier process died between
    /// their removal and the note of it.
    pub(crate) gone: Vec<crate::ports::RowId>,
    /// Why the listing was cut off: there is more, of which nothing is known.
    pub(crate) cut: Option<DeviceFailure>,
    /// How the device proves that nobody writes to files here; `None` where there is nothing.
    pub(crate) writer_check: Option<WriterCheck>,
}

/// Bytes of names of folders that may go: those that do not fit go another time.
const MAX_FOLDER_BYTES: usize = 8 << 20;

/// Names kept in mind one by one, as hashes of 8 bytes. A device may name more than it has.
const MAX_NAMES: usize = 2_000_000;

/// Surveys a source and decides about everything in it.
pub(crate) async fn survey<'a, W: World>(
    visit: &Visit<'a, W>,
    source: &SourcePath,
    outlook: &SurveyContext<'_>,
    (marks, watch): (Option<Marks>, Watch),
    mode: Mode,
) -> Result<Survey<'a>, PassError> {
    let mut judging = Judging {
        visit,
        source,
        outlook,
        mode,
        marks,
        watch,
        work: Oldest::for_a_plan(visit.plan_room),
        second_looks: Oldest::for_second_looks(visit.plan_room),
        second_looks_overflow: Amount::ZERO,
        remaining: RemainingTally::default(),
        old_folders: Vec::new(),
        folder_bytes: 0,
        withdrawn: Withdrawn::default(),
        cut: None,
        writer_check: None,
    };
    judging.cut = listed(visit, source, async |items| judging.judge_all(items).await).await?;
    judging.finish().await
}

/// A survey while it is judged.
struct Judging<'a, 'v, W: World> {
    visit: &'a Visit<'v, W>,
    source: &'a SourcePath,
    outlook: &'a SurveyContext<'a>,
    mode: Mode,
    marks: Option<Marks>,
    watch: Watch,
    work: Oldest<'v, Decision>,
    second_looks: Oldest<'v, Duration>,
    second_looks_overflow: Amount,
    remaining: RemainingTally,
    old_folders: Vec<RelativePath>,
    folder_bytes: usize,
    withdrawn: Withdrawn,
    cut: Option<DeviceFailure>,
    writer_check: Option<WriterCheck>,
}

impl<'v, W: World> Judging<'_, 'v, W> {
    async fn judge_all(&mut self, items: Vec<SurveyItem>) -> Result<(), PassError> {
        let (mut ready, mut unsure) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                SurveyItem::Entry(entry) => self.judge_one(&entry, &mut ready, &mut unsure),
                SurveyItem::Unlistable(path) => {
                    self.withdrawn.note_unlistable(&path);
                    let reason = plan::judge_unlistable(&path, self.outlook.rules);
                    self.stand(path.to_string(), 0, Reason::Leave(reason), None);
                }
                // Escaped, and perhaps cut off: enough to tell which folder it is in.
                SurveyItem::Refused(path, _) if self.outlook.rules.exclude.excludes(path.as_bytes()) => {
                    self.stand(path, 0, Reason::Leave(LeaveReason::Excluded), None);
                }
                SurveyItem::Refused(path, error) => {
                    self.stand(path, 0, Reason::Leave(LeaveReason::Name), Some(error.to_string()));
                }
            }
        }
        self.decide_all(ready).await?;
        self.put_off(unsure).await
    }

    fn judge_one(
        &mut self,
        entry: &Entry,
        ready: &mut Vec<Candidate>,
        unsure: &mut Vec<(Candidate, Duration)>,
    ) {
        if withdrawn::is_within(&entry.path) {
            self.note_withdrawn(entry);
        }
        let verdict = match &self.marks {
            Some(marks) if entry.kind == EntryKind::File && marks.forbid(&entry.path) => {
                EntryClass::Remaining(Reason::Wait(WaitReason::NotMarkedDone))
            }
            _ => plan::judge(entry, self.outlook),
        };
        let is_left = matches!(verdict, EntryClass::Remaining(Reason::Leave(_)));
        if entry.kind == EntryKind::File && !is_left {
            let checks = self.writer_check.into_iter().chain(entry.openness.check());
            self.writer_check = checks.min();
        }
        match verdict {
            EntryClass::OldFolder if self.outlook.rules.prune_empty => self.note_folder(&entry.path),
            EntryClass::Pass | EntryClass::OldFolder => {}
            EntryClass::Ready(candidate) | EntryClass::SecondLook(candidate, _)
                if self.visit.has_left(self.source, &candidate.original) => {}
            EntryClass::Ready(candidate) => ready.push(candidate),
            EntryClass::SecondLook(candidate, needed) => unsure.push((candidate, needed)),
            EntryClass::Remaining(reason) => {
                self.stand(entry.path.to_string(), entry.identity.size, reason, None);
            }
        }
    }

    fn note_withdrawn(&mut self, entry: &Entry) {
        let ours = withdrawn::ledger_of(&entry.path) == Some(self.outlook.ledger.as_str().as_bytes());
        // Whoever comes last removes the folder that all use: the device refuses while there is something in it. One that was left
        // between two removals would stay for ever otherwise.
        let of_all = entry.path.file_name() == WITHDRAWN_FOLDER;
        match entry.kind {
            EntryKind::File if ours => self.withdrawn.note(&entry.path),
            EntryKind::Folder if ours || of_all => self.note_folder(&entry.path),
            _ => {}
        }
    }

    fn note_folder(&mut self, folder: &RelativePath) {
        self.folder_bytes += folder.as_bytes().len() + size_of::<RelativePath>();
        if self.folder_bytes <= MAX_FOLDER_BYTES {
            self.old_folders.push(folder.clone());
        }
    }

    fn stand(&mut self, path: String, size: u64, reason: Reason, detail: Option<String>) {
        self.remaining.note(self.source, path, reason, size, detail);
    }

    /// Decides about settled files.
    async fn decide_all(&mut self, ready: Vec<Candidate>) -> Result<(), PassError> {
        let ready = ready.into_iter().map(|candidate| (candidate, ())).collect();
        for (candidate, (), decision) in self.without_kept(ready).await? {
            match self.why_nameless(&candidate, &decision) {
                None => match self.watch.sees(&candidate) {
                    Some(suspicion) => self.watch.keep(suspicion, candidate, decision),
                    None => self.work.push(candidate, decision),
                },
                Some(error) => self.stand(
                    candidate.original.to_string(),
                    candidate.identity.size,
                    Reason::Leave(LeaveReason::Name),
                    Some(format!("its name in the store: {error}")),
                ),
            }
        }
        Ok(())
    }

    /// Puts off files whose clock does not tell whether they are settled.
    async fn put_off(&mut self, unsure: Vec<(Candidate, Duration)>) -> Result<(), PassError> {
        for (candidate, needed, _) in self.without_kept(unsure).await? {
            self.second_looks.push(candidate, needed);
        }
        Ok(())
    }

    /// What is to be done with files. Those that are stored and stay by rule are left out: they must not crowd out what can go. The ledger is asked for
    /// all of them at once.
    async fn without_kept<T>(
        &mut self,
        files: Vec<(Candidate, T)>,
    ) -> Result<Vec<(Candidate, T, Decision)>, PassError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let originals = files.iter().map(|(candidate, _)| candidate.original.clone());
        let paths: Vec<RelativePath> = originals.collect();
        let ledger = self.visit.world.ledger();
        let remembered = ledger
            .known_files(&self.visit.device.name, self.source, &paths)
            .await?;
        let mut others = Vec::with_capacity(files.len());
        for ((candidate, with), remembered) in files.into_iter().zip(remembered) {
            let (rules, abilities) = (self.outlook.rules, self.outlook.abilities);
            let decision = plan::decide(&candidate, remembered.as_ref(), rules, abilities);
            match &decision {
                Decision::Keep(_, reason) => {
                    let state = remembered.map(|row| row.state);
                    self.keep(&candidate, *reason, state, &decision).await?;
                }
                _ => others.push((candidate, with, decision)),
            }
        }
        Ok(others)
    }

    /// Why no name in the store can be given to a file that is to be fetched. It would be fetched in every pass, in vain.
    fn why_nameless(&self, candidate: &Candidate, decision: &Decision) -> Option<NameError> {
        if matches!(decision, Decision::ProveAgain(_) | Decision::Keep(..)) {
            return None;
        }
        // Not known yet: which it is makes no difference to whether there is a name.
        let digest = Digest::from_bytes([0; 32]);
        let modified = candidate.identity.modified;
        foresee::store_name(self.visit, self.source, &candidate.original, modified, &digest).err()
    }

    async fn keep(
        &mut self,
        candidate: &Candidate,
        reason: LeaveReason,
        state: Option<model::FileState>,
        decision: &Decision,
    ) -> Result<(), PassError> {
        self.stand(
            candidate.original.to_string(),
            candidate.identity.size,
            Reason::Leave(reason),
            None,
        );
        // An earlier process may have died between the record and the note that the file is kept.
        let Decision::Keep(row, _) = decision else {
            return Ok(());
        };
        if state == Some(model::FileState::Stored) && self.mode == Mode::Act {
            let rows = vec![(*row, model::FileState::Kept, Some(reason))];
            self.visit
                .world
                .ledger()
                .set_states(rows, self.visit.now())
                .await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Survey<'v>, PassError> {
        self.look_again().await?;
        let gone = self.gone().await?;
        let overflow = self.work.overflow().plus(self.second_looks_overflow);
        let (work, loan) = self.work.into_sorted();
        Ok(Survey {
            work,
            suspects: self.watch.into_suspects(),
            loan,
            overflow,
            remaining: self.remaining,
            old_folders: self.old_folders,
            gone,
            cut: self.cut,
            writer_check: self.writer_check,
        })
    }

    /// Files whose clock does not tell are settled once they have stayed the same for long enough by a clock of ours that nobody sets: were our wall
    /// clock set forward between two surveys, a file that is being written would seem to have rested.
    ///
    /// A file may have been looked at as late as now, and as early as this listing was asked for: the shortest time that can lie between two looks
    /// is what counts.
    async fn look_again(&mut self) -> Result<(), PassError> {
        let looks = std::mem::replace(
            &mut self.second_looks,
            Oldest::for_second_looks(self.visit.plan_room),
        );
        self.second_looks_overflow = looks.overflow();
        let (looks, _) = looks.into_sorted();
        let seen = self.visit.world.clock().steady();
        let since = match self.mode {
            // A dry run notes nothing down: no file is settled by it.
            Mode::DryRun => vec![seen; looks.len()],
            Mode::Act => {
                let sightings = looks.iter().map(|(candidate, _)| Sighting {
                    path: candidate.current_path.clone(),
                    identity: candidate.identity,
                });
                let device = &self.visit.device.name;
                let others = match self.cut {
                    Some(_) => Unseen::Retain,
                    None => Unseen::Forget,
                };
                self.visit
                    .world
                    .ledger()
                    .record_sightings(device, self.source, sightings.collect(), others, seen)
                    .await?
            }
        };
        let tells_time = self.outlook.abilities.tells_time;
        let reason_for = |candidate: &Candidate| {
            let is_blind = candidate.settled_blind && candidate.identity.changed.is_none();
            if tells_time && !is_blind {
                WaitReason::ClockUntrusted
            } else {
                WaitReason::SettlingBlind
            }
        };
        let mut ready = Vec::new();
        for ((mut candidate, needed), since) in looks.into_iter().zip(since) {
            let (rested, reason) = (self.outlook.asked.since(since), reason_for(&candidate));
            if self.mode == Mode::Act && rested >= needed {
                candidate.settled_blind |= rested >= self.outlook.rules.settle_blind;
                ready.push(candidate);
            } else {
                self.stand(
                    candidate.original.to_string(),
                    candidate.identity.size,
                    Reason::Wait(reason),
                    None,
                );
            }
        }
        self.decide_all(ready).await
    }

    async fn gone(&self) -> Result<Vec<crate::ports::RowId>, PassError> {
        // What was not named may be there.
        if self.cut.is_some() {
            return Ok(Vec::new());
        }
        let ledger = self.visit.world.ledger();
        let rows = ledger
            .withdrawn_rows(&self.visit.device.name, self.source)
            .await?;
        Ok(self.withdrawn.gone(&rows, self.outlook.ledger))
    }
}

/// Turns the fault of one file into why it is left, for a file that could not be gathered.
pub(crate) fn reason_of(fault: &FileFault) -> Reason {
    use crate::ports::FileFaultKind as Kind;
    match fault.kind {
        Kind::Missing | Kind::Grown | Kind::NotAFile => Reason::Wait(WaitReason::Changed),
        Kind::Open => Reason::Wait(WaitReason::Open),
        Kind::Permission => Reason::Leave(LeaveReason::Unreadable),
        Kind::FolderUnwritable => Reason::Leave(LeaveReason::FolderUnwritable),
        Kind::Immutable => Reason::Leave(LeaveReason::Immutable),
        Kind::Sticky => Reason::Leave(LeaveReason::Sticky),
        Kind::ReadOnly | Kind::OtherFileSystem | Kind::Unsupported | Kind::Other => {
            Reason::Wait(WaitReason::Unproved)
        }
    }
}
