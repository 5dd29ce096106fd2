//! Inspects processes through `/proc`, and ends those that a test has started.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// A process that was alive when it was read from `/proc`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub id: u32,
    /// The process id of its parent.
    pub parent: u32,
    /// The name of its program, at most 15 bytes.
    pub program: String,
}

impl Process {
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The program's name is in parentheses and may contain parentheses.
        let (head, tail) = stat.rsplit_once(')')?;
        let program = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        (state != "Z").then_some(Self { id, parent, program })
    }

    /// The arguments of its command line; none if it has ended.
    pub fn arguments(&self) -> Vec<String> {
        let words = self.file("cmdline");
        let words = words.split(|byte| *byte == 0);
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }

    /// Whether its initial environment contains the text.
    pub fn environment_has(&self, text: &str) -> bool {
        contains(&self.file("environ"), text.as_bytes())
    }

    /// Its id, program and command line, for messages.
    pub fn shown(&self) -> String {
        format!("{} ({}): {}", self.id, self.program, self.arguments().join(" "))
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.id, signal);
    }

    fn mentions(&self, text: &[u8]) -> bool {
        ["cmdline", "environ"]
            .iter()
            .any(|file| contains(&self.file(file), text))
    }

    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.id)).unwrap_or_default()
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// All living processes; zombies are not among them.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("listing /proc");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// Processes whose command line or environment mentions the path.
pub fn mentioning(path: &Path) -> Vec<Process> {
    let mut found = all();
    found.retain(|process| process.mentions(path.as_os_str().as_bytes()));
    found
}

/// The process and all its descendants, parents first.
pub fn tree(root: u32) -> Vec<Process> {
    let mut others = all();
    let mut found: Vec<_> = others.extract_if(.., |process| process.id == root).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.id) {
        found.extend(others.extract_if(.., |process| process.parent == parent));
        next += 1;
    }
    found
}

/// Sends a signal, unless the process has ended.
pub fn signal(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    if let Some(id) = id
        && let Err(error) = kill_process(id, signal)
    {
        assert_eq!(error, rustix::io::Errno::SRCH, "sending {signal:?} to {id:?}");
    }
}

/// Sends a signal to each process.
pub fn signal_all(processes: &[Process], signal: Signal) {
    for process in processes {
        process.signal(signal);
    }
}

/// Kills a process and all its descendants. Stops them first, so that they cannot start others meanwhile.
pub fn kill_tree(root: u32) {
    let mut frozen: Vec<u32> = Vec::new();
    loop {
        let tree = tree(root);
        signal_all(&tree, Signal::STOP);
        let ids = tree.iter().map(|process| process.id).collect();
        if ids == frozen {
            return signal_all(&tree, Signal::KILL);
        }
        frozen = ids;
    }
}
