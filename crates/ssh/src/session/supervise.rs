//! Watches over a connection: ends the session when ssh ends, or when the device keeps silent while it owes a reply.

use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::classify::judge;
use crate::guard::Guard;
use crate::last_words::LastWords;
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
    pub(super) files: sftp::Client,
    pub(super) stall_timeout: Duration,
    pub(super) through_jump: bool,
}

impl Supervised {
    /// Watches until the session ends in one way or another; then ends the processes.
    pub(super) async fn run(self, verdict: Verdict, farewell: oneshot::Receiver<()>) {
        let Self {
            guard,
            mut process,
            words,
            files,
            stall_timeout,
            through_jump,
        } = self;
        tokio::select! {
            _ = process.wait() => {
                timeout(PATIENCE, words.ended()).await.ok();
                verdict.end(judge(&words.text(), through_jump).failure);
            }
            () = silence(&files, stall_timeout) => {
                verdict.end(stalled(stall_timeout));
            }
            said = farewell => {
                // A session that is dropped without a farewell takes this task with it.
                if said.is_ok() {
                    drop(files);
                    timeout(PATIENCE, process.wait()).await.ok();
                }
            }
            _ = verdict.ended() => {}
        }
        // Reaped, or killed with this: a device that is silent would not let it end in order.
        drop(process);
        guard.end().await;
    }
}

/// Ends once the server has been silent for too long while it owed a reply. A slow consumer is no silence: what is not
/// asked for is not owed.
async fn silence(files: &sftp::Client, stall_timeout: Duration) {
    let pause = (stall_timeout / 8).clamp(LOOK_EVERY.0, LOOK_EVERY.1);
    loop {
        sleep(pause).await;
        let owed = files
            .owed_since()
            .map(|since| Instant::now().duration_since(since));
        if owed.is_some_and(|owed| owed > stall_timeout) {
            return;
        }
    }
}

pub(super) fn stalled(stall_timeout: Duration) -> DeviceFailure {
    DeviceFailure {
        class: FailureClass::Stalled,
        message: format!(
            "the device owed an answer for more than {} s (stall_timeout)",
            stall_timeout.as_secs_f64()
        ),
    }
}
