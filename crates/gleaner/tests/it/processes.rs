//! Looking at processes through `/proc`, and ending those that a test has started.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process as `/proc` shows it at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    /// The name of its program, at most 15 bytes.
    pub(crate) program: String,
    pub(crate) command_line: Vec<u8>,
    environment: Vec<u8>,
}

impl Process {
    fn read(id: u32) -> Option<Self> {
        let folder = format!("/proc/{id}");
        let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
        // The program's name stands in parentheses and may itself contain some.
        let (head, tail) = stat.rsplit_once(')')?;
        let program = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        if state == "Z" {
            return None;
        }
        Some(Self {
            id,
            parent,
            program,
            command_line: fs::read(format!("{folder}/cmdline")).unwrap_or_default(),
            environment: fs::read(format!("{folder}/environ")).unwrap_or_default(),
        })
    }

    fn mentions(&self, text: &[u8]) -> bool {
        contains(&self.command_line, text) || contains(&self.environment, text)
    }

    /// Whether its environment, as it was started with, contains the text.
    pub(crate) fn environment_has(&self, text: &str) -> bool {
        contains(&self.environment, text.as_bytes())
    }

    /// Its command line, for people.
    pub(crate) fn shown(&self) -> String {
        let command = String::from_utf8_lossy(&self.command_line).replace('\0', " ");
        format!("{} ({}): {command}", self.id, self.program)
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// All processes that live; zombies do not.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// Processes whose command line or environment mentions the path.
pub(crate) fn mentioning(path: &Path) -> Vec<Process> {
    let text = path.as_os_str().as_bytes();
    all()
        .into_iter()
        .filter(|process| process.mentions(text))
        .collect()
}

/// The process and all that descend from it, parents first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let processes = all();
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(
            processes
                .iter()
                .filter(|process| process.parent == parent)
                .map(|process| process.id),
        );
        next += 1;
    }
    found
}

/// The most memory that a process has had at once, in bytes; none once it has ended.
pub(crate) fn peak_memory(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Sends a signal; a process that is gone is no error.
pub(crate) fn signal(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    if let Some(id) = id
        && let Err(error) = kill_process(id, signal)
    {
        assert_eq!(error, rustix::io::Errno::SRCH, "sending {signal:?} to {id:?}");
    }
}

/// Ends a process and all that descend from it: frozen first, so that none is born meanwhile.
pub(crate) fn kill_tree(root: u32) {
    let mut known = 0;
    loop {
        let ids = tree(root);
        for &id in &ids {
            signal(id, Signal::STOP);
        }
        if ids.len() == known {
            break ids.into_iter().for_each(|id| signal(id, Signal::KILL));
        }
        known = ids.len();
    }
}

/// Waits until the condition holds; false when it did not within the time.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
