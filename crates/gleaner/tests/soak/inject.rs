//! Injects a fault while gleaner runs: kills processes, cuts links, fills and detaches disks.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use testbed::processes::{self, Process};
use testbed::{Sshd, Tap, wait_until};

use crate::fault::{FaultKind, PlannedFault, Trigger};
use crate::outcome::Running;
use crate::recording::WITHDRAWN;
use crate::trial::Trial;

/// How long a fault waits for its trigger, and for a target.
const TARGET_TIMEOUT: Duration = Duration::from_secs(4);

/// A fault that was injected.
#[derive(Debug, Clone)]
pub(crate) struct InjectedFault {
    pub(crate) kind: FaultKind,
    /// The target, for the figures.
    pub(crate) target: String,
    pub(crate) is_kill: bool,
    /// The only device that the fault can have harmed. `None` if it may have harmed all.
    pub(crate) device: Option<usize>,
}

/// The effect of an injected fault.
struct Effect {
    target: String,
    is_kill: bool,
}

impl Trial {
    /// Waits for the trigger, then injects the fault. `None` if it came too late or found no target.
    pub(crate) fn inject(&mut self, fault: &PlannedFault, running: &mut Running) -> Option<InjectedFault> {
        if fault.kind != FaultKind::CutLink && fault.kind != FaultKind::SilenceLink {
            self.wait_for(fault, running);
        }
        if running.has_ended() {
            return None;
        }
        let device = self.fleet.device(fault.device);
        let (server, jump) = (&device.server, &self.fleet.jump);
        let effect = match fault.kind {
            FaultKind::KillGleaner => kill(running.id(), "gleaner"),
            FaultKind::KillGleanerGroup => kill_group(running.id()),
            FaultKind::KillSsh => kill_ssh(fault, running),
            FaultKind::KillGuard => with_child(running, fault, is_guard, |guard| kill(guard.id, "guard")),
            FaultKind::KillDeviceListener => kill_listener(server, "a device's sshd: listener"),
            FaultKind::KillJumpListener => kill_listener(jump, "the jump's sshd: listener"),
            FaultKind::KillDeviceSession => kill_session(server, fault, running, "a device's sshd"),
            FaultKind::KillJumpSession => kill_session(jump, fault, running, "the jump's sshd"),
            FaultKind::KillDeviceServer => kill_all(server, "a device's sshd with all sessions"),
            FaultKind::KillJumpServer => kill_all(jump, "the jump's sshd with all sessions"),
            FaultKind::CutLink => {
                device.link(|tap| tap.cut_after(fault.bytes));
                done("link to a device cut")
            }
            FaultKind::SilenceLink => {
                device.link(|tap| tap.silent_after(fault.bytes));
                done("link to a device silent")
            }
            FaultKind::FreezeGleaner => freeze(running.id(), fault.duration, "gleaner stopped and continued"),
            FaultKind::FreezeSsh => with_child(running, fault, is_ssh, |ssh| {
                freeze(ssh.id, fault.duration, "ssh child stopped and continued")
            }),
            FaultKind::FreezeDevice => pause(server, fault.duration, "a device stopped and continued"),
            FaultKind::FreezeJump => pause(jump, fault.duration, "the jump stopped and continued"),
            FaultKind::SecondGleaner => self.second_gleaner(running),
            FaultKind::FillStore
            | FaultKind::MakeStoreReadOnly
            | FaultKind::PullStore
            | FaultKind::FailStoreDisk
            | FaultKind::FillLedger
            | FaultKind::FillDevice => self.inject_disk_fault(fault),
            FaultKind::NoFault
            | FaultKind::UnmountStoreBefore
            | FaultKind::FillStoreBefore
            | FaultKind::LoseLedgerBefore
            | FaultKind::RestoreLedgerBefore => None,
        };
        effect.map(|effect| InjectedFault {
            kind: fault.kind,
            target: effect.target,
            is_kill: effect.is_kill,
            device: fault.kind.affects_one_device().then_some(fault.device),
        })
    }

    fn wait_for(&self, fault: &PlannedFault, running: &mut Running) {
        let device = self.fleet.device(fault.device);
        let (limit, delay) = match fault.trigger {
            Trigger::After(time) => (Duration::ZERO, time),
            Trigger::Received(_) => (TARGET_TIMEOUT, Duration::ZERO),
            Trigger::Withdrawn(delay) | Trigger::Published(delay) => (TARGET_TIMEOUT, delay),
        };
        let received = device.link(Tap::received);
        let before = self.published();
        wait_until(limit, || {
            running.has_ended()
                || match fault.trigger {
                    Trigger::After(_) => true,
                    Trigger::Received(bytes) => device.link(Tap::received) > received + bytes,
                    Trigger::Withdrawn(_) => device.folder.join(WITHDRAWN).exists(),
                    Trigger::Published(_) => self.published() > before,
                }
        });
        thread::sleep(delay);
    }

    /// The number of files that the store shows.
    fn published(&self) -> usize {
        let files = crate::recording::regular_files(&self.fleet.store());
        let control = self.fleet.store().join(".gleaner");
        files.iter().filter(|path| !path.starts_with(&control)).count()
    }

    fn inject_disk_fault(&mut self, fault: &PlannedFault) -> Option<Effect> {
        match fault.kind {
            FaultKind::FillDevice => self.device_disk.as_ref()?.fill(),
            FaultKind::FillLedger => self.ledger_disk.as_ref()?.fill(),
            FaultKind::FillStore => self.store_disk.as_ref()?.fill(),
            FaultKind::PullStore => self.store_disk.as_mut()?.detach(),
            FaultKind::MakeStoreReadOnly => {
                // The remount is refused while files are open for writing, so it is retried.
                self.store_disk
                    .as_ref()?
                    .make_read_only(TARGET_TIMEOUT)
                    .then_some(())?;
            }
            _ => {
                self.store_disk.as_ref()?.trigger_error().then_some(())?;
                self.store_is_broken = true;
            }
        }
        let medium = self.medium_of(fault.kind);
        done(&match fault.kind {
            FaultKind::FillDevice => format!("a device's disk ({medium}) full"),
            FaultKind::FillLedger => format!("the ledger's disk ({medium}) full"),
            FaultKind::FillStore => format!("store ({medium}) full"),
            FaultKind::PullStore => format!("store ({medium}) unmounted in mid-run"),
            FaultKind::MakeStoreReadOnly => format!("store ({medium}) remounted read-only"),
            _ => format!("store ({medium}) made read-only by a disk fault"),
        })
    }

    /// Starts a second gleaner. It must refuse to run if the first one still ran when the second one ended.
    fn second_gleaner(&mut self, running: &mut Running) -> Option<Effect> {
        // gleaner locks the ledger before it starts any process. The second must not be the one that gets it.
        wait_until(TARGET_TIMEOUT, || {
            running.has_ended() || processes::tree(running.id()).len() > 1
        });
        if running.has_ended() {
            return None;
        }
        let outcome = self.fleet.gleaner(["run"]);
        self.artifacts.log("the second gleaner", &outcome);
        if !running.has_ended() && outcome.code() != Some(4) {
            self.failures.push(format!(
                "a second gleaner on the ledger was not refused: {}",
                outcome.transcript()
            ));
        }
        done("second gleaner on the ledger")
    }
}

fn kill_ssh(fault: &PlannedFault, running: &mut Running) -> Option<Effect> {
    with_child(running, fault, is_ssh, |ssh| {
        let has = |wanted: &str| ssh.arguments().iter().any(|argument| argument == wanted);
        let target = if has("-W") {
            "ssh child: the hop over the jump"
        } else if has("-s") {
            "ssh child: the connection"
        } else {
            "ssh child: a command over the connection"
        };
        kill(ssh.id, target)
    })
}

/// Acts on one of gleaner's descendants, as soon as there is one of the kind.
fn with_child(
    running: &mut Running,
    fault: &PlannedFault,
    is_wanted: impl Fn(&Process) -> bool,
    act: impl FnOnce(&Process) -> Option<Effect>,
) -> Option<Effect> {
    let mut wanted = Vec::new();
    wait_until(TARGET_TIMEOUT, || {
        wanted = processes::tree(running.id());
        wanted.retain(|process| is_wanted(process));
        !wanted.is_empty() || running.has_ended()
    });
    one_of(&wanted, fault.number).and_then(act)
}

fn one_of<T>(among: &[T], number: u64) -> Option<&T> {
    let count = u64::try_from(among.len()).expect("a count");
    among.get(usize::try_from(number.checked_rem(count)?).expect("below the count"))
}

fn is_ssh(process: &Process) -> bool {
    process.program == "ssh"
}

fn is_guard(process: &Process) -> bool {
    process.program == "sh" && process.shown().contains("read -r word")
}

#[allow(clippy::unnecessary_wraps, reason = "faults that can miss have the same form")]
fn done(what: &str) -> Option<Effect> {
    Some(Effect {
        target: what.to_owned(),
        is_kill: false,
    })
}

#[allow(clippy::unnecessary_wraps, reason = "faults that can miss have the same form")]
fn killed(target: &str) -> Option<Effect> {
    Some(Effect {
        target: target.to_owned(),
        is_kill: true,
    })
}

fn kill(id: u32, target: &str) -> Option<Effect> {
    processes::signal(id, Signal::KILL);
    killed(target)
}

/// gleaner leads a process group of its own, as when a shell has started it.
fn kill_group(id: u32) -> Option<Effect> {
    let group = Pid::from_raw(i32::try_from(id).ok()?)?;
    kill_process_group(group, Signal::KILL).ok()?;
    killed("gleaner with its process group")
}

fn kill_listener(server: &Sshd, target: &str) -> Option<Effect> {
    server.listens().then_some(())?;
    server.kill_listener();
    killed(target)
}

fn kill_all(server: &Sshd, target: &str) -> Option<Effect> {
    server.listens().then_some(())?;
    server.stop();
    killed(target)
}

/// Kills one process of the sessions, as soon as there is one: a session's sshd, an sftp-server, a helper's
/// shell or tool.
fn kill_session(server: &Sshd, fault: &PlannedFault, running: &mut Running, whose: &str) -> Option<Effect> {
    let mut sessions = Vec::new();
    wait_until(TARGET_TIMEOUT, || {
        sessions = server.session_processes();
        !sessions.is_empty() || running.has_ended()
    });
    let target = one_of(&sessions, fault.number)?;
    let part = match target.program.as_str() {
        "sftp-server" => "sftp-server",
        program if program.starts_with("sshd") => "session",
        _ => "helper process",
    };
    kill(target.id, &format!("{whose}: {part}"))
}

fn freeze(id: u32, duration: Duration, what: &str) -> Option<Effect> {
    processes::signal(id, Signal::STOP);
    thread::sleep(duration);
    processes::signal(id, Signal::CONT);
    done(what)
}

fn pause(server: &Sshd, duration: Duration, what: &str) -> Option<Effect> {
    server.listens().then_some(())?;
    server.pause();
    thread::sleep(duration);
    server.resume();
    done(what)
}
