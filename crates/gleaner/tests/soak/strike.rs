//! Injects a fault while gleaner runs: kills processes, cuts links, fills and detaches disks.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use testbed::processes::{self, Process};
use testbed::{Sshd, Tap, wait_until};

use crate::campaign::Campaign;
use crate::fault::{Kind, Moment, Strike};
use crate::outcome::Running;
use crate::recording::WITHDRAWN;

/// How long a fault waits for its trigger, and for a target.
const PATIENCE: Duration = Duration::from_secs(4);

/// A fault that was injected.
#[derive(Debug, Clone)]
pub(crate) struct Struck {
    pub(crate) kind: Kind,
    /// The target, for the figures.
    pub(crate) victim: String,
    pub(crate) is_kill: bool,
    /// The only device that the fault can have harmed. `None` if it may have harmed all.
    pub(crate) device: Option<usize>,
}

impl Campaign {
    /// Waits for the trigger, then injects the fault. `None` if it came too late or found no target.
    pub(crate) fn strike(&mut self, strike: &Strike, running: &mut Running) -> Option<Struck> {
        if strike.kind != Kind::CutLink && strike.kind != Kind::SilenceLink {
            self.wait_for(strike, running);
        }
        if running.has_ended() {
            return None;
        }
        let device = self.fleet.device(strike.device);
        let (server, jump) = (&device.server, &self.fleet.jump);
        let struck = match strike.kind {
            Kind::KillGleaner => kill(running.id(), "gleaner"),
            Kind::KillGleanerGroup => kill_group(running.id()),
            Kind::KillSsh => kill_ssh(strike, running),
            Kind::KillGuard => with_child(running, strike, is_guard, |guard| kill(guard.id, "guard")),
            Kind::KillDeviceListener => kill_listener(server, "a device's sshd: listener"),
            Kind::KillJumpListener => kill_listener(jump, "the jump's sshd: listener"),
            Kind::KillDeviceSession => kill_session(server, strike, running, "a device's sshd"),
            Kind::KillJumpSession => kill_session(jump, strike, running, "the jump's sshd"),
            Kind::KillDeviceServer => kill_all(server, "a device's sshd with all sessions"),
            Kind::KillJumpServer => kill_all(jump, "the jump's sshd with all sessions"),
            Kind::CutLink => {
                device.link(|tap| tap.cut_after(strike.bytes));
                done("link to a device cut")
            }
            Kind::SilenceLink => {
                device.link(|tap| tap.silent_after(strike.bytes));
                done("link to a device silent")
            }
            Kind::FreezeGleaner => freeze(running.id(), strike.lasts, "gleaner stopped and continued"),
            Kind::FreezeSsh => with_child(running, strike, is_ssh, |ssh| {
                freeze(ssh.id, strike.lasts, "ssh child stopped and continued")
            }),
            Kind::FreezeDevice => pause(server, strike.lasts, "a device stopped and continued"),
            Kind::FreezeJump => pause(jump, strike.lasts, "the jump stopped and continued"),
            Kind::SecondGleaner => self.second_gleaner(running),
            Kind::FillStore
            | Kind::MakeStoreReadOnly
            | Kind::PullStore
            | Kind::FailStoreDisk
            | Kind::FillLedger
            | Kind::FillDevice => self.strike_disk(strike),
            Kind::Calm
            | Kind::UnmountStoreBefore
            | Kind::FillStoreBefore
            | Kind::LoseLedgerBefore
            | Kind::RestoreLedgerBefore => None,
        };
        struck.map(|(is_kill, victim)| Struck {
            kind: strike.kind,
            victim,
            is_kill,
            device: strike.kind.is_of_one_device().then_some(strike.device),
        })
    }

    fn wait_for(&self, strike: &Strike, running: &mut Running) {
        let device = self.fleet.device(strike.device);
        let (limit, delay) = match strike.moment {
            Moment::After(time) => (Duration::ZERO, time),
            Moment::Received(_) => (PATIENCE, Duration::ZERO),
            Moment::Withdrawn(delay) | Moment::Published(delay) => (PATIENCE, delay),
        };
        let received = device.link(Tap::received);
        let before = self.published();
        wait_until(limit, || {
            running.has_ended()
                || match strike.moment {
                    Moment::After(_) => true,
                    Moment::Received(bytes) => device.link(Tap::received) > received + bytes,
                    Moment::Withdrawn(_) => device.folder.join(WITHDRAWN).exists(),
                    Moment::Published(_) => self.published() > before,
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

    fn strike_disk(&mut self, strike: &Strike) -> Option<(bool, String)> {
        match strike.kind {
            Kind::FillDevice => self.device_disk.as_ref()?.fill(),
            Kind::FillLedger => self.ledger_disk.as_ref()?.fill(),
            Kind::FillStore => self.store_disk.as_ref()?.fill(),
            Kind::PullStore => self.store_disk.as_mut()?.take_away(),
            Kind::MakeStoreReadOnly => {
                // The remount is refused while files are open for writing, so it is retried.
                self.store_disk.as_ref()?.make_read_only(PATIENCE).then_some(())?;
            }
            _ => {
                self.store_disk.as_ref()?.break_down().then_some(())?;
                self.store_is_broken = true;
            }
        }
        let medium = self.medium_of(strike.kind);
        done(&match strike.kind {
            Kind::FillDevice => format!("a device's disk ({medium}) full"),
            Kind::FillLedger => format!("the ledger's disk ({medium}) full"),
            Kind::FillStore => format!("store ({medium}) full"),
            Kind::PullStore => format!("store ({medium}) unmounted in mid-run"),
            Kind::MakeStoreReadOnly => format!("store ({medium}) remounted read-only"),
            _ => format!("store ({medium}) made read-only by a disk fault"),
        })
    }

    /// Starts a second gleaner. It must refuse to run if the first one still ran when the second one ended.
    fn second_gleaner(&mut self, running: &mut Running) -> Option<(bool, String)> {
        // gleaner locks the ledger before it starts any process. The second must not be the one that gets it.
        wait_until(PATIENCE, || {
            running.has_ended() || processes::tree(running.id()).len() > 1
        });
        if running.has_ended() {
            return None;
        }
        let outcome = self.fleet.gleaner(["run"]);
        self.evidence.log("the second gleaner", &outcome);
        if !running.has_ended() && outcome.code() != Some(4) {
            self.complaints.push(format!(
                "a second gleaner on the ledger was not sent away: {}",
                outcome.told()
            ));
        }
        done("second gleaner on the ledger")
    }
}

fn kill_ssh(strike: &Strike, running: &mut Running) -> Option<(bool, String)> {
    with_child(running, strike, is_ssh, |ssh| {
        let has = |wanted: &str| ssh.arguments().iter().any(|argument| argument == wanted);
        let victim = if has("-W") {
            "ssh child: the hop over the jump"
        } else if has("-s") {
            "ssh child: the connection"
        } else {
            "ssh child: a command over the connection"
        };
        kill(ssh.id, victim)
    })
}

/// Acts on one of gleaner's descendants, as soon as there is one of the kind.
fn with_child(
    running: &mut Running,
    strike: &Strike,
    is_wanted: impl Fn(&Process) -> bool,
    act: impl FnOnce(&Process) -> Option<(bool, String)>,
) -> Option<(bool, String)> {
    let mut wanted = Vec::new();
    wait_until(PATIENCE, || {
        wanted = processes::tree(running.id());
        wanted.retain(|process| is_wanted(process));
        !wanted.is_empty() || running.has_ended()
    });
    one_of(&wanted, strike.number).and_then(act)
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
fn done(what: &str) -> Option<(bool, String)> {
    Some((false, what.to_owned()))
}

#[allow(clippy::unnecessary_wraps, reason = "faults that can miss have the same form")]
fn kill(id: u32, victim: &str) -> Option<(bool, String)> {
    processes::signal(id, Signal::KILL);
    Some((true, victim.to_owned()))
}

/// gleaner leads a process group of its own, as when a shell has started it.
fn kill_group(id: u32) -> Option<(bool, String)> {
    let group = Pid::from_raw(i32::try_from(id).ok()?)?;
    kill_process_group(group, Signal::KILL).ok()?;
    Some((true, "gleaner with its process group".to_owned()))
}

fn kill_listener(server: &Sshd, victim: &str) -> Option<(bool, String)> {
    server.listens().then_some(())?;
    server.kill_listener();
    Some((true, victim.to_owned()))
}

fn kill_all(server: &Sshd, victim: &str) -> Option<(bool, String)> {
    server.listens().then_some(())?;
    server.stop();
    Some((true, victim.to_owned()))
}

/// Kills one process of the sessions, as soon as there is one: a session's sshd, an sftp-server, a helper's
/// shell or tool.
fn kill_session(
    server: &Sshd,
    strike: &Strike,
    running: &mut Running,
    whose: &str,
) -> Option<(bool, String)> {
    let mut sessions = Vec::new();
    wait_until(PATIENCE, || {
        sessions = server.session_processes();
        !sessions.is_empty() || running.has_ended()
    });
    let victim = one_of(&sessions, strike.number)?;
    let part = match victim.program.as_str() {
        "sftp-server" => "sftp-server",
        program if program.starts_with("sshd") => "session",
        _ => "helper process",
    };
    kill(victim.id, &format!("{whose}: {part}"))
}

fn freeze(id: u32, lasts: Duration, what: &str) -> Option<(bool, String)> {
    processes::signal(id, Signal::STOP);
    thread::sleep(lasts);
    processes::signal(id, Signal::CONT);
    done(what)
}

fn pause(server: &Sshd, lasts: Duration, what: &str) -> Option<(bool, String)> {
    server.listens().then_some(())?;
    server.pause();
    thread::sleep(lasts);
    server.resume();
    done(what)
}
