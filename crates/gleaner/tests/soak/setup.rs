//! The options of the soak, and what the machine permits.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;

use crate::disk::{Disk, Medium};
use crate::fault::Media;
use crate::rng::Rng;

/// Set in a process that already has a mount namespace of its own.
const OWN_MOUNTS: &str = "GLEANER_SOAK_OWN_MOUNTS";

static STOP: AtomicBool = AtomicBool::new(false);

/// Real faults at random moments, repeatedly.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// How long
    #[arg(long)]
    seconds: u64,
    /// Chooses the same faults again
    #[arg(long, default_value_t = Rng::random_seed(), hide_default_value = true)]
    pub(crate) seed: u64,
}

impl Options {
    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The folder for artifacts.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("soak-{}-{}", self.seed, std::process::id()))
    }
}

/// Continues in a mount namespace of its own, where that is permitted. Every mount then disappears with the
/// soak, however the soak ends.
pub(crate) fn enter_own_mounts() {
    if std::env::var_os(OWN_MOUNTS).is_some() || !rustix::process::getuid().is_root() {
        return;
    }
    let allowed = Command::new("unshare").args(["--mount", "true"]).output();
    if allowed.is_ok_and(|output| output.status.success()) {
        let myself = std::env::current_exe().expect("our own program");
        let error = Command::new("unshare")
            .args(["--mount", "--propagation", "private"])
            .arg(myself)
            .args(std::env::args_os().skip(1))
            .env(OWN_MOUNTS, "yes")
            .exec();
        eprintln!("cannot continue in a mount namespace: {error}");
    }
}

/// On the first signal the soak ends as soon as it can and cleans up, on the second at once.
pub(crate) fn watch_signals() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for signals");
        runtime.block_on(async {
            loop {
                stop_signal().await;
                if STOP.swap(true, Ordering::Relaxed) {
                    #[allow(
                        clippy::exit,
                        reason = "a second signal means that the operator does not want to wait"
                    )]
                    std::process::exit(130);
                }
                println!("stopping after this round; again to stop at once");
            }
        });
    });
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let [mut interrupt, mut terminate, mut hangup] =
        kinds.map(|kind| signal(kind).expect("watching a signal"));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

pub(crate) fn is_stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Tries which media can be mounted here. Those that cannot are skipped and named.
pub(crate) fn detect_media() -> Media {
    let scratch = tempfile::Builder::new()
        .prefix("gl-")
        .tempdir()
        .expect("a temporary folder");
    let can = |medium, name: &str| Disk::at(&scratch.path().join(name), medium, 16).is_some();
    let (memory, image) = (can(Medium::Memory, "memory"), can(Medium::Image, "image"));
    let parts = [
        (
            memory,
            "on tmpfs: store, a device's card full, ledger's disk full",
        ),
        (
            image,
            "on loop-mounted ext4: store, ledger's disk full, a device's card full",
        ),
        (
            memory || image,
            "store remounted read-only, unmounted, and filled by another writer",
        ),
        (image, "store made read-only by a fault of its disk"),
    ];
    for (_, part) in parts.iter().filter(|(is_possible, _)| !is_possible) {
        println!("LEFT OUT: {part}: cannot be mounted here, for the reason above");
    }
    let any = if image {
        Some(Medium::Image)
    } else {
        memory.then_some(Medium::Memory)
    };
    Media {
        store: any,
        ledger: any,
        device: any,
    }
}
