//! Watches over a connection: ends the session when ssh ends, or when the device keeps silent while it owes a reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::channels::Channels;
use crate::classify::judge;
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::last_words::LastWords;
use crate::patience::{GivenUp, LaneDebt, Patience, Seen};
use crate::verdict::Verdict;

/// The shortest and the longest time between two looks at the clock.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// What an ssh that has ended may take to have its last words heard, and one that is to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(2);

/// The connection. Dropping it ends its processes.
pub(super) struct Supervised {
    pub(super) guard: Guard,
    pub(super) process: Child,
    pub(super) words: LastWords,
    pub(super) files: Channels,
    pub(super) owed: Owed,
    pub(super) through_jump: bool,
    /// The jump connection that is shared with other devices, if one is.
    pub(super) jump: Option<Arc<JumpConnection>>,
}

/// What is to be seen of a connection's debts, and how long they are waited for.
pub(super) struct Owed {
    pub(super) stall_timeout: Duration,
    pub(super) bandwidth: Option<u64>,
    pub(super) received: Arc<AtomicU64>,
    pub(super) lanes: Arc<LaneDebt>,
}

impl Supervised {
    /// Watches until the session ends in one way or another; then ends the processes.
    pub(super) async fn run(self, verdict: Verdict, farewell: oneshot::Receiver<()>) {
        let Self {
            guard,
            mut process,
            words,
            files,
            owed,
            through_jump,
            jump,
        } = self;
        tokio::select! {
            status = process.wait() => {
                timeout(PATIENCE, words.ended()).await.ok();
                let of_jump = match &jump {
                    Some(jump) => jump.last_words().await,
                    None => None,
                };
                // Behind the login of the device: it is of the same moment as the end.
                let said = words.text() + "\n" + &of_jump.unwrap_or_default();
                verdict.end(judge(&said, through_jump, status.ok().and_then(|status| status.code())).failure);
            }
            why = owed.too_long(&files) => {
                verdict.end(given_up(why));
            }
            said = farewell => {
                // A session that is dropped without a farewell takes this task with it.
                if said.is_ok() {
                    drop(files);
                    take_leave(&process);
                    timeout(PATIENCE, process.wait()).await.ok();
                }
            }
            _ = verdict.ended() => {}
        }
        // Reaped, or killed with this: a device that is silent would not let it end in order.
        drop(process);
        guard.end().await;
        if let Some(jump) = jump {
            jump.leave().await;
        }
    }
}

/// Has ssh say goodbye and end. By itself it would first wait a round trip for the device to end each channel, though nobody waits for an answer
/// any more.
fn take_leave(process: &Child) {
    let id = process.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // One that has ended meanwhile is not reaped yet, so the signal meets nobody else.
        kill_process(id, Signal::TERM).ok();
    }
}

impl Owed {
    /// Ends once the device has been waited for in vain. A slow consumer is no silence: what is not asked for is not owed.
    async fn too_long(&self, files: &Channels) -> GivenUp {
        let pause = (self.stall_timeout / 8).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
        let mut patience = Patience::new(self.stall_timeout, self.bandwidth, self.look(files));
        loop {
            sleep(pause).await;
            if let Some(why) = patience.look(self.look(files)) {
                return why;
            }
        }
    }

    fn look(&self, files: &Channels) -> Seen {
        Seen {
            at: Instant::now(),
            sftp_owes: files.owe(),
            lane_owes: !self.lanes.is_paid(),
            bytes: self.received.load(Ordering::Relaxed),
            sftp_answers: files.answers(),
            lane_answers: self.lanes.answers(),
            digests: self.lanes.digests(),
        }
    }
}

pub(crate) fn stalled(stall_timeout: Duration) -> DeviceFailure {
    given_up(GivenUp::Silent(stall_timeout))
}

fn given_up(why: GivenUp) -> DeviceFailure {
    let message = match why {
        GivenUp::Silent(time) => format!(
            "the device owed an answer for more than {} s (stall_timeout)",
            time.as_secs_f64()
        ),
        GivenUp::Slow(time) => format!(
            "the device gave next to nothing in {} s (15 times stall_timeout), though it owed answers",
            time.as_secs_f64()
        ),
        GivenUp::Endless(time) => format!(
            "the device kept us busy for {} hours, longer than any pass may take",
            time.as_secs() / 3600
        ),
    };
    DeviceFailure {
        class: FailureClass::Stalled,
        message,
        remedy: None,
    }
}
