//! The cost of a run: time, processor, memory.
//!
//! ssh does not wait for the helpers that it starts, so the usage that a process reports for its children is
//! incomplete. A control group knows of all processes. Without one the figures are lower bounds.

mod census;

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{self, Pid, Signal};

use super::groups::{Group, Groups};
use census::Census;

/// Often enough to see a short-lived process, seldom enough not to affect the measurement.
const SAMPLING: Duration = Duration::from_millis(50);
/// Inspecting a process takes a fifth of a millisecond of the measured machine, because the kernel counts its
/// pages. This limits it to a tenth of one core.
const SAMPLING_PER_PROCESS: Duration = Duration::from_millis(2);
/// How long a tool's helpers may outlive it before they count as left behind.
const HELPERS_DEADLINE: Duration = Duration::from_secs(5);
/// The kernel's unit for the processor time of children.
const TICKS_PER_SECOND: f64 = 100.0;

/// A program with its arguments.
pub(super) fn plain_command(words: &[OsString]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().cloned().unwrap_or_default());
    command.args(words);
    command
}

/// What to run, and when to kill it.
#[derive(Debug)]
pub(super) struct Assignment<'a> {
    pub(super) words: Vec<OsString>,
    pub(super) environment: Vec<(&'static str, OsString)>,
    /// The file for its output.
    pub(super) log: &'a Path,
    pub(super) limit: Duration,
    /// Whether sockets and other descriptors are counted.
    pub(super) counts_descriptors: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    /// The maximum of each figure at one moment.
    pub(super) peak: Census,
    /// `None` after a signal.
    pub(super) exit: Option<i32>,
    pub(super) over_limit: bool,
    pub(super) left_processes: bool,
}

/// Runs a tool to its end or its limit. Kills all processes that it leaves.
pub(super) fn measure(assignment: &Assignment<'_>, groups: Option<&Groups>) -> Result<Cost> {
    let group = groups
        .map(|parent| Group::create(parent, "clients"))
        .transpose()?;
    let mut words = group.as_ref().map(Group::runner).unwrap_or_default();
    words.extend(["setpriv", "--pdeathsig", "KILL"].map(Into::into));
    words.extend(assignment.words.iter().cloned());
    let mut command = plain_command(&words);
    let log = fs::File::create(assignment.log)?;
    command
        .envs(assignment.environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    let cpu_before = cpu_of_children()?;
    let begin = Instant::now();
    let mut child = command.spawn().context("start a tool")?;
    let watch = Watch {
        leader: child.id(),
        group: group.as_ref(),
        begin,
        assignment,
    };
    let (ended, end) = channel();
    let (status, left_processes, wall, seen) = thread::scope(|scope| {
        let watch = &watch;
        let watching = scope.spawn(move || watch.until(&end));
        let status = child.wait();
        // A tool is not done before its helpers have ended.
        let left_processes = group
            .as_ref()
            .is_some_and(|group| !group.ends_within(HELPERS_DEADLINE));
        let wall = begin.elapsed();
        drop(ended);
        (status, left_processes, wall, watching.join().unwrap_or_default())
    });
    let status = status.context("wait for a tool")?;
    if left_processes {
        watch.kill();
    }
    Ok(Cost {
        wall_seconds: wall.as_secs_f64(),
        cpu_seconds: match &group {
            Some(group) => group.cpu_seconds()?,
            None => cpu_of_children()? - cpu_before,
        },
        exit: status.code().filter(|_| status.signal().is_none()),
        left_processes,
        ..seen
    })
}

/// Samples the processes while a tool runs.
#[derive(Debug)]
struct Watch<'a> {
    leader: u32,
    group: Option<&'a Group>,
    begin: Instant,
    assignment: &'a Assignment<'a>,
}

impl Watch<'_> {
    fn until(&self, end: &Receiver<()>) -> Cost {
        let mut seen = Cost::default();
        let mut pause = SAMPLING;
        while end.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let processes = self
                .group
                .map_or_else(|| ids_of_tree(self.leader), Group::processes);
            let census = Census::of(&processes, self.leader, self.assignment.counts_descriptors);
            seen.peak = seen.peak.most(census);
            pause = SAMPLING.max(SAMPLING_PER_PROCESS * u32::try_from(processes.len()).unwrap_or(u32::MAX));
            if self.begin.elapsed() > self.assignment.limit {
                seen.over_limit = true;
                self.kill();
            }
        }
        seen
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            group.kill();
        }
        kill_process_group(self.leader);
    }
}

/// Harmless if the group has ended.
pub(super) fn kill_process_group(leader: u32) {
    let leader = i32::try_from(leader).ok().and_then(Pid::from_raw);
    if let Some(leader) = leader {
        process::kill_process_group(leader, Signal::KILL).ok();
    }
}

/// The processor time of all children that have been waited for.
fn cpu_of_children() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: Vec<f64> = after_name
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

fn ids_of_tree(leader: u32) -> Vec<u32> {
    testbed::processes::tree(leader)
        .iter()
        .map(|process| process.id)
        .collect()
}
