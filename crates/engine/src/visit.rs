//! One visit to one device: what its stages share.

mod done;

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use model::{Amount, BatchId, RelativePath, SourcePath, Timestamp, WaitReason};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::claims::Claims;
use crate::event::{Event, Reporter};
use crate::oldest::PlanRoom;
use crate::ports::{Clock, Reason, RowId};
use crate::recourse::PassError;
use crate::remaining::RemainingTally;
use crate::rules::DeviceRules;
use crate::world::{SessionOf, Stop, World};
use done::Done;

/// So long after the first batch of a source no further one is begun: a device that records faster than its link carries would keep the sweep, and with
/// it every other device's next turn, for ever. The next pass goes on. Nor does a pass that takes longer keep a place that others wait for.
pub(crate) const MAX_PASS_TIME: Duration = Duration::from_mins(15);

/// What all visits of a sweep share.
pub(crate) struct Shared<'a> {
    pub(crate) stop: &'a Stop,
    pub(crate) plan_room: PlanRoom,
    pub(crate) claims: Claims,
}

/// One visit to one device.
pub(crate) struct Visit<'a, W: World> {
    pub(crate) world: &'a W,
    pub(crate) device: &'a DeviceRules,
    pub(crate) session: &'a SessionOf<W>,
    pub(crate) stop: &'a Stop,
    pub(crate) plan_room: &'a PlanRoom,
    pub(crate) claims: &'a Claims,
    /// The row of this pass in the ledger.
    pub(crate) pass: RowId,
    /// When the visit began, by the clock that nobody sets: nothing was looked at on the device before.
    pub(crate) earliest_look: Timestamp,
    /// When the device was connected, by our own clock and by that which measures spans: its facts are of then.
    pub(crate) connected: (Timestamp, Instant),
    pub(crate) stored: Count,
    pub(crate) released: Count,
    /// Folders that several batches of a source share, and that may be empty when all of them are done.
    pub(crate) shared_folders: Mutex<BTreeSet<RelativePath>>,
    /// Whether the batch under way is the last one of its source and the only one: what it leaves empty, nobody is about to use.
    pub(crate) is_last_batch: AtomicBool,
    /// Whose turn it is to fetch: one batch at a time, but for its last bytes. While one is on the wire, the other is flushed, published, recorded and released; two
    /// that shared the wire would come to each stage together, and leave wire and disk idle in turn.
    pub(crate) wire: Arc<Semaphore>,
    /// Whether some of its files are received elsewhere than in the store's own staging: then the store is to
    /// know which folder each is bound for.
    pub(crate) receives_beside: AtomicBool,
    notes: Mutex<Notes>,
    batches: AtomicU64,
}

/// Replaced folders of the store that are reported one by one: a device may have any number.
const MAX_REPLACED: usize = 1000;

/// What this visit is done with.
#[derive(Debug, Default)]
struct Notes {
    /// What the batches leave behind, beside what the surveys find.
    left: RemainingTally,
    done: Done,
    /// The suspects that the ledger knows, each by a hash of its source and of where it lies.
    suspects: HashSet<u64>,
    /// Further suspects have been noted.
    has_suspected: bool,
    /// What the session ended over, where that is known.
    ended_over: Option<String>,
    /// Folders of the store of which it was said that another takes their place.
    replaced: HashSet<RelativePath>,
}

/// Files and bytes.
#[derive(Debug, Default)]
pub(crate) struct Count {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    pub(crate) fn add(&self, bytes: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Amount {
        Amount::new(
            self.files.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

impl<'a, W: World> Visit<'a, W> {
    pub(crate) fn new(
        world: &'a W,
        device: &'a DeviceRules,
        session: &'a SessionOf<W>,
        shared: &'a Shared<'_>,
        pass: RowId,
        (earliest_look, connected): (Timestamp, (Timestamp, Instant)),
    ) -> Self {
        Self {
            world,
            device,
            session,
            stop: shared.stop,
            plan_room: &shared.plan_room,
            claims: &shared.claims,
            pass,
            earliest_look,
            connected,
            stored: Count::default(),
            released: Count::default(),
            shared_folders: Mutex::default(),
            is_last_batch: AtomicBool::new(false),
            wire: Arc::new(Semaphore::new(1)),
            receives_beside: AtomicBool::new(false),
            notes: Mutex::default(),
            batches: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    pub(crate) fn report(&self, event: &Event) {
        self.world.reporter().report(event);
    }

    /// Whether a further batch of a source may begin whose first was begun then.
    pub(crate) fn may_go_on(&self, first_batch: Instant) -> bool {
        !self.stop.is_requested() && first_batch.elapsed() < MAX_PASS_TIME
    }

    /// An id for a batch that no other batch has, of any pass, ledger or collector: its folder is new on every device.
    ///
    /// The time keeps apart what a restored ledger would number alike.
    pub(crate) fn next_batch(&self) -> Option<BatchId> {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        let (time, pass) = (
            self.now().nanoseconds().unsigned_abs(),
            self.pass.0.unsigned_abs(),
        );
        BatchId::new(format!("{time:x}-{pass}-{batch}"))
    }

    /// Notes that a file stays on the device for now, and says so.
    pub(crate) fn leave_behind(
        &self,
        source: &SourcePath,
        original: &RelativePath,
        size: u64,
        reason: Reason,
        detail: Option<String>,
    ) {
        let mut notes = self.notes();
        notes
            .left
            .note(source, original.to_string(), reason, size, detail.clone());
        notes.done.leave(key(source, original));
        drop(notes);
        self.report(&Event::LeftBehind {
            device: self.device.name.clone(),
            source: source.clone(),
            path: original.clone(),
            reason,
            detail,
        });
    }

    /// Notes that a file is gone from the device, and says so.
    pub(crate) fn note_released(&self, source: &SourcePath, original: &RelativePath, size: u64) {
        self.notes().done.release(key(source, original));
        self.released.add(size);
        self.report(&Event::Released {
            device: self.device.name.clone(),
            source: source.clone(),
            path: original.clone(),
            size,
        });
    }

    /// Notes that the turn of a file did not come.
    pub(crate) fn not_reached(&self, source: &SourcePath, original: &RelativePath, size: u64) {
        note_not_reached(&mut self.notes(), source, original, size);
    }

    /// A batch has ended. Where it failed, notes of those of its files that this visit is not done with that their turn did not come.
    pub(crate) fn batch_ended(&self, source: &SourcePath, files: &[(RelativePath, u64)], failed: bool) {
        let mut notes = self.notes();
        for (original, size) in files {
            let is_done_with = notes.done.close(key(source, original));
            if failed && !is_done_with {
                note_not_reached(&mut notes, source, original, *size);
            }
        }
    }

    /// Whether this visit has left that file behind: it is not tried again before the next.
    pub(crate) fn has_left(&self, source: &SourcePath, original: &RelativePath) -> bool {
        let notes = self.notes();
        notes.done.left() > 0 && notes.done.has_left(key(source, original))
    }

    /// Whether nobody has noted suspects in this visit. Whoever asks first is to do it.
    pub(crate) fn suspect_first(&self) -> bool {
        !std::mem::replace(&mut self.notes().has_suspected, true)
    }

    /// Whether it was not said before in this visit that another folder takes the place of this one. Beyond a
    /// thousand, nothing is said.
    pub(crate) fn replaces_first(&self, folder: &RelativePath) -> bool {
        let replaced = &mut self.notes().replaced;
        replaced.len() < MAX_REPLACED && replaced.insert(folder.clone())
    }

    /// Keeps in mind that a file is a suspect.
    pub(crate) fn watch(&self, source: &SourcePath, current_path: &RelativePath) {
        self.notes().suspects.insert(key(source, current_path));
    }

    /// Whether any file is a suspect, and then whether this one is.
    pub(crate) fn is_watched(&self, source: &SourcePath, current_path: &RelativePath) -> bool {
        let notes = self.notes();
        !notes.suspects.is_empty() && notes.suspects.contains(&key(source, current_path))
    }

    /// Notes what is told beside why the session ended.
    pub(crate) fn name_suspects(&self, words: String) {
        self.notes().ended_over = Some(words);
    }

    /// Tells of the suspects, if the session ended over some.
    pub(crate) fn naming_suspects(&self, result: Result<(), PassError>) -> Result<(), PassError> {
        result.map_err(|error| match (error, self.notes().ended_over.take()) {
            (PassError::Device(mut failure), Some(words)) => {
                failure.message = format!("{}; {words}", failure.message);
                PassError::Device(failure)
            }
            (error, _) => error,
        })
    }

    /// How many files this visit is done with, one way or another: grows with every progress.
    pub(crate) fn progress(&self) -> u64 {
        self.released.get().files.saturating_add(self.notes().done.left())
    }

    /// What the batches left behind.
    pub(crate) fn take_left(&self) -> RemainingTally {
        std::mem::take(&mut self.notes().left)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock()
    }
}

fn note_not_reached(notes: &mut Notes, source: &SourcePath, original: &RelativePath, size: u64) {
    let reason = Reason::Wait(WaitReason::NotReached);
    notes.left.note(source, original.to_string(), reason, size, None);
}

fn key(source: &SourcePath, original: &RelativePath) -> u64 {
    hash(&(source.as_bytes(), original.as_bytes()))
}

/// A hash that a device cannot foresee: it could make names that collide.
pub(crate) fn hash(value: &impl std::hash::Hash) -> u64 {
    static STATE: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    STATE.hash_one(value)
}
