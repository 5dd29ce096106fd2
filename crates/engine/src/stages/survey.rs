//! Survey: the listing of a source, classified while it streams in. Memory does not grow with the listing.

mod listing;
mod marks;
mod second_looks;
mod withdrawn_files;

use std::time::Duration;

use model::names::WITHDRAWN_FOLDER;
use model::{Amount, Digest, FileState, LeaveReason, NameError, RelativePath, WaitReason};

use crate::plan::oldest::{Loan, Oldest};
use crate::plan::{self, Candidate, Decision, EntryClass, SurveyContext};
use crate::ports::{
    DeviceFailure, Entry, EntryKind, Ledger, PassLease, Reason, RowId, SurveyItem, WriterCheck,
};
use crate::recourse::PassError;
use crate::stages::store_name;
use crate::suspects::{KnownSuspects, Suspect};
use crate::tally::RemainingTally;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;
use listing::list;
pub(crate) use marks::Marks;
use withdrawn_files::WithdrawnFiles;

/// What a survey found.
#[derive(Debug)]
pub(crate) struct Survey<'a> {
    /// The files to handle, oldest first.
    pub(crate) work: Vec<(Candidate, Decision)>,
    /// Files that are fetched after all others, since a session may have ended because of them.
    pub(crate) suspects: Vec<Suspect>,
    /// The memory borrowed for the work. Held until the work is done.
    pub(crate) loan: Loan<'a>,
    /// The files that remain.
    pub(crate) remaining: RemainingTally,
    /// Files that are ready but did not fit into one plan.
    pub(crate) overflow: Amount,
    /// Folders that may be removed if they are empty: those that earlier passes left in our withdrawn folders
    /// and, if the rules say so, old ones.
    pub(crate) old_folders: Vec<RelativePath>,
    /// Rows of files that are `stored` in the ledger but gone from the device: an earlier process died
    /// between removing the file and recording it.
    pub(crate) gone: Vec<RowId>,
    /// Why the listing was cut off. What it did not list is unknown.
    pub(crate) cut: Option<DeviceFailure>,
    /// How the device proves that no process writes to the files here. `None` without files.
    pub(crate) writer_check: Option<WriterCheck>,
}

/// Bytes of names of folders to remove. Folders beyond that are removed by a later pass.
const MAX_FOLDER_BYTES: usize = 8 << 20;

/// Names remembered one by one, as hashes of 8 bytes. A device may list more names than it has files.
const MAX_NAMES: usize = 2_000_000;

/// Surveys a source and classifies everything in it.
pub(crate) async fn survey<'a, W: World>(
    visit: &SourceVisit<'a, W>,
    context: &SurveyContext<'_>,
    marks: Option<Marks>,
    suspects: KnownSuspects,
    lease: Option<&PassLease>,
) -> Result<Survey<'a>, PassError> {
    let plan_room = &visit.fleet.plan_room;
    let mut classifier = Classifier {
        visit,
        context,
        lease,
        marks,
        suspects,
        work: Oldest::for_a_plan(plan_room),
        second_looks: Oldest::for_second_looks(plan_room),
        second_looks_overflow: Amount::ZERO,
        remaining: RemainingTally::default(),
        old_folders: Vec::new(),
        folder_bytes: 0,
        withdrawn: WithdrawnFiles::default(),
        cut: None,
        writer_check: None,
    };
    classifier.cut = list(visit, async |items| classifier.classify_all(items).await).await?;
    classifier.finish().await
}

/// A survey in progress.
struct Classifier<'a, 'v, W: World> {
    visit: &'a SourceVisit<'v, W>,
    context: &'a SurveyContext<'a>,
    /// A dry run has none, and records nothing.
    lease: Option<&'a PassLease>,
    marks: Option<Marks>,
    suspects: KnownSuspects,
    work: Oldest<'v, Decision>,
    second_looks: Oldest<'v, Duration>,
    second_looks_overflow: Amount,
    remaining: RemainingTally,
    old_folders: Vec<RelativePath>,
    folder_bytes: usize,
    withdrawn: WithdrawnFiles,
    cut: Option<DeviceFailure>,
    writer_check: Option<WriterCheck>,
}

/// Files of some survey items that need the ledger before they are decided about.
#[derive(Default)]
struct Unclassified {
    settled: Vec<Candidate>,
    /// Files without a trusted timestamp, with the time that they must rest.
    unsure: Vec<(Candidate, Duration)>,
}

impl<'v, W: World> Classifier<'_, 'v, W> {
    async fn classify_all(&mut self, items: Vec<SurveyItem>) -> Result<(), PassError> {
        let mut files = Unclassified::default();
        for item in items {
            match item {
                SurveyItem::Entry(entry) => self.classify(&entry, &mut files),
                SurveyItem::Unlistable(path) => {
                    self.withdrawn.record_unlistable(&path);
                    let reason = plan::classify_unlistable(&path, self.context.rules);
                    self.record_remaining(path.to_string(), 0, Reason::Leave(reason), None);
                }
                // The path is escaped and may be cut off: that is enough to tell its folder.
                SurveyItem::Refused(path, _) if self.context.rules.exclude.excludes(path.as_bytes()) => {
                    self.record_remaining(path, 0, Reason::Leave(LeaveReason::Excluded), None);
                }
                SurveyItem::Refused(path, error) => {
                    let detail = Some(error.to_string());
                    self.record_remaining(path, 0, Reason::Leave(LeaveReason::Name), detail);
                }
            }
        }
        self.decide_all(files.settled).await?;
        self.defer(files.unsure).await
    }

    fn classify(&mut self, entry: &Entry, files: &mut Unclassified) {
        if withdrawn::is_within(&entry.path) {
            self.record_withdrawn(entry);
        }
        let class = match &self.marks {
            Some(marks) if entry.kind == EntryKind::File && marks.forbid(&entry.path) => {
                EntryClass::Remaining(Reason::Wait(WaitReason::NotMarkedDone))
            }
            _ => plan::classify_entry(entry, self.context),
        };
        let is_left = matches!(class, EntryClass::Remaining(Reason::Leave(_)));
        if entry.kind == EntryKind::File && !is_left {
            let checks = self.writer_check.into_iter().chain(entry.openness.check());
            self.writer_check = checks.min();
        }
        match class {
            EntryClass::OldFolder if self.context.rules.prune_empty => self.record_folder(&entry.path),
            EntryClass::Skip | EntryClass::OldFolder => {}
            EntryClass::Ready(candidate) | EntryClass::SecondLook(candidate, _)
                if self.visit.tally.has_left(self.visit.source, &candidate.original) => {}
            EntryClass::Ready(candidate) => files.settled.push(candidate),
            EntryClass::SecondLook(candidate, needed) => files.unsure.push((candidate, needed)),
            EntryClass::Remaining(reason) => {
                self.record_remaining(entry.path.to_string(), entry.identity.size, reason, None);
            }
        }
    }

    fn record_withdrawn(&mut self, entry: &Entry) {
        let is_ours = withdrawn::ledger_of(&entry.path) == Some(self.context.ledger.as_str().as_bytes());
        // The folder that all collectors share is removed with the last file: the device refuses while
        // anything is in it. Otherwise one that was left between two removals would stay indefinitely.
        let is_shared = entry.path.file_name() == WITHDRAWN_FOLDER;
        match entry.kind {
            EntryKind::File if is_ours => self.withdrawn.record(&entry.path),
            EntryKind::Folder if is_ours || is_shared => self.record_folder(&entry.path),
            _ => {}
        }
    }

    fn record_folder(&mut self, folder: &RelativePath) {
        self.folder_bytes += folder.as_bytes().len() + size_of::<RelativePath>();
        if self.folder_bytes <= MAX_FOLDER_BYTES {
            self.old_folders.push(folder.clone());
        }
    }

    fn record_remaining(&mut self, path: String, size: u64, reason: Reason, detail: Option<String>) {
        self.remaining
            .record(self.visit.source, path, reason, size, detail);
    }

    fn record_candidate(&mut self, file: &Candidate, reason: Reason, detail: Option<String>) {
        self.record_remaining(file.original.to_string(), file.identity.size, reason, detail);
    }

    /// Decides about settled files.
    async fn decide_all(&mut self, settled: Vec<Candidate>) -> Result<(), PassError> {
        let settled = settled.into_iter().map(|candidate| (candidate, ())).collect();
        for (candidate, (), decision) in self.decide_with_ledger(settled).await? {
            if let Some(error) = self.store_name_error(&candidate, &decision) {
                let detail = Some(format!("its name in the store: {error}"));
                self.record_candidate(&candidate, Reason::Leave(LeaveReason::Name), detail);
            } else if let Some(suspicion) = self.suspects.against(&candidate) {
                self.suspects.defer(suspicion, candidate, decision);
            } else {
                self.work.push(candidate, decision);
            }
        }
        Ok(())
    }

    /// Defers files without a trusted timestamp to the end of the survey.
    async fn defer(&mut self, unsure: Vec<(Candidate, Duration)>) -> Result<(), PassError> {
        for (candidate, needed, _) in self.decide_with_ledger(unsure).await? {
            self.second_looks.push(candidate, needed);
        }
        Ok(())
    }

    /// Decides about files with one request to the ledger.
    ///
    /// Files that are stored and stay by rule are left out: they must not crowd out files that can go.
    async fn decide_with_ledger<T>(
        &mut self,
        files: Vec<(Candidate, T)>,
    ) -> Result<Vec<(Candidate, T, Decision)>, PassError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let originals = files.iter().map(|(candidate, _)| candidate.original.clone());
        let paths: Vec<RelativePath> = originals.collect();
        let ledger = self.visit.world.ledger();
        let known = ledger
            .known_files(&self.visit.device.name, self.visit.source, &paths)
            .await?;
        let mut decided = Vec::with_capacity(files.len());
        let mut kept = Vec::new();
        for ((candidate, with), known) in files.into_iter().zip(known) {
            let (rules, abilities) = (self.context.rules, self.context.abilities);
            match plan::decide(&candidate, known.as_ref(), rules, abilities) {
                Decision::Keep(row, reason) => {
                    self.record_candidate(&candidate, Reason::Leave(reason), None);
                    // An earlier process may have died between recording the file and recording that it is
                    // kept.
                    if known.is_some_and(|known| known.state == FileState::Stored) {
                        kept.push((row, FileState::Kept, Some(reason)));
                    }
                }
                decision => decided.push((candidate, with, decision)),
            }
        }
        if let Some(lease) = self.lease.filter(|_| !kept.is_empty()) {
            ledger.set_states(lease, kept, self.visit.now()).await?;
        }
        Ok(decided)
    }

    /// Why a file that would be fetched can have no name in the store. Without this check it would be fetched
    /// in every pass.
    fn store_name_error(&self, candidate: &Candidate, decision: &Decision) -> Option<NameError> {
        if matches!(decision, Decision::ProveAgain(_) | Decision::Keep(..)) {
            return None;
        }
        // The digest is not known yet. Whether there is a name does not depend on it.
        let digest = Digest::from_bytes([0; 32]);
        let modified = candidate.identity.modified;
        store_name::store_name(self.visit, &candidate.original, modified, &digest).err()
    }

    async fn finish(mut self) -> Result<Survey<'v>, PassError> {
        self.look_again().await?;
        let gone = self.find_gone().await?;
        let overflow = self.work.overflow().plus(self.second_looks_overflow);
        let (work, loan) = self.work.into_sorted();
        Ok(Survey {
            work,
            suspects: self.suspects.into_deferred(),
            loan,
            overflow,
            remaining: self.remaining,
            old_folders: self.old_folders,
            gone,
            cut: self.cut,
            writer_check: self.writer_check,
        })
    }

    async fn find_gone(&self) -> Result<Vec<RowId>, PassError> {
        // A file that was not listed may be there.
        if self.cut.is_some() {
            return Ok(Vec::new());
        }
        let ledger = self.visit.world.ledger();
        let rows = ledger
            .withdrawn_rows(&self.visit.device.name, self.visit.source)
            .await?;
        Ok(self.withdrawn.gone(&rows, self.context.ledger))
    }
}
