//! Watches a connection. Ends the session when ssh ends, or when the device stalls with replies pending.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::ports::device::DeviceFailure;
use model::FailureClass;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::sftp_channels::SftpChannels;
use crate::classify::diagnose;
use crate::guard::Guard;
use crate::jump::JumpConnection;
use crate::session_end::SessionEnd;
use crate::stall::{ConnectionSample, PendingReplies, StallDetector, StallReason};
use crate::stderr_tail::StderrTail;

/// The shortest and the longest time between two samples.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How long to wait for the standard error of an ssh that has ended, and for an ssh that was asked to end.
const EXIT_GRACE: Duration = Duration::from_secs(2);

/// The connection. Dropping it ends its processes.
pub(super) struct ConnectionWatch {
    pub(super) guard: Guard,
    pub(super) process: Child,
    pub(super) stderr: StderrTail,
    pub(super) files: SftpChannels,
    pub(super) stall_watch: StallWatch,
    pub(super) through_jump: bool,
    /// The jump connection, if it is shared with other devices.
    pub(super) jump: Option<Arc<JumpConnection>>,
}

/// Detects a stall of the connection.
pub(super) struct StallWatch {
    pub(super) stall_timeout: Duration,
    pub(super) bandwidth: Option<u64>,
    pub(super) received: Arc<AtomicU64>,
    pub(super) shells: Arc<PendingReplies>,
}

impl ConnectionWatch {
    /// Watches until the session ends for any reason, then ends the processes.
    pub(super) async fn run(self, session_end: SessionEnd, shutdown: oneshot::Receiver<()>) {
        let Self {
            guard,
            mut process,
            stderr,
            files,
            stall_watch,
            through_jump,
            jump,
        } = self;
        tokio::select! {
            status = process.wait() => {
                timeout(EXIT_GRACE, stderr.ended()).await.ok();
                let of_jump = match &jump {
                    Some(jump) => jump.stderr_tail().await,
                    None => None,
                };
                // After the device's login line: the jump connection ended at the same moment.
                let text = stderr.text() + "\n" + &of_jump.unwrap_or_default();
                session_end.end(diagnose(&text, through_jump, status.ok().and_then(|status| status.code())).failure);
            }
            why = stall_watch.wait_for_stall(&files) => {
                session_end.end(stall_failure(why));
            }
            ended = shutdown => {
                // A session that is dropped without a shutdown drops this task too.
                if ended.is_ok() {
                    drop(files);
                    send_sigterm(&process);
                    timeout(EXIT_GRACE, process.wait()).await.ok();
                }
            }
            _ = session_end.ended() => {}
        }
        // Reaped, or killed here: a silent device would not let it end in order.
        drop(process);
        guard.end().await;
        if let Some(jump) = jump {
            jump.leave().await;
        }
    }
}

/// Makes ssh disconnect at once. Closing its input instead would cost a round trip per channel.
fn send_sigterm(process: &Child) {
    let id = process.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // A process that has ended meanwhile is not reaped yet, so its id is not reused.
        kill_process(id, Signal::TERM).ok();
    }
}

impl StallWatch {
    /// Returns once the device has stalled. A slow consumer is no stall: what is not requested is not
    /// pending.
    async fn wait_for_stall(&self, files: &SftpChannels) -> StallReason {
        let pause = (self.stall_timeout / 8).clamp(POLL_INTERVAL.0, POLL_INTERVAL.1);
        let mut detector = StallDetector::new(self.stall_timeout, self.bandwidth, self.sample(files));
        loop {
            sleep(pause).await;
            if let Some(why) = detector.check(self.sample(files)) {
                return why;
            }
        }
    }

    fn sample(&self, files: &SftpChannels) -> ConnectionSample {
        ConnectionSample {
            at: Instant::now(),
            sftp_pending: files.has_pending(),
            shell_pending: self.shells.has_pending(),
            bytes: self.received.load(Ordering::Relaxed),
            sftp_replies: files.replies(),
            shell_replies: self.shells.replies(),
            digests: self.shells.digests(),
        }
    }
}

pub(crate) fn stalled(stall_timeout: Duration) -> DeviceFailure {
    stall_failure(StallReason::Silent(stall_timeout))
}

fn stall_failure(why: StallReason) -> DeviceFailure {
    let message = match why {
        StallReason::Silent(time) => format!(
            "the device did not reply within {} s (stall_timeout)",
            time.as_secs_f64()
        ),
        StallReason::Slow(time) => format!(
            "the device sent almost nothing in {} s (15 times stall_timeout) while replies were pending",
            time.as_secs_f64()
        ),
        StallReason::Endless(time) => format!(
            "replies of the device were pending for {} hours, longer than any pass may take",
            time.as_secs() / 3600
        ),
    };
    DeviceFailure::new(FailureClass::Stalled, message)
}
