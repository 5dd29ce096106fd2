//! gleaner as a process: started, waited for, killed, and its output.

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testbed::{processes, wait_until};

/// The search path of programs.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A call of gleaner that has not started.
#[derive(Debug)]
pub(crate) struct Call {
    command: Command,
    limit: Duration,
}

impl Call {
    /// The command with a home, a state folder and a temporary folder below `root`.
    pub(crate) fn new(root: &Path, program: &Path) -> Self {
        let mut command = Command::new(program);
        command.env_clear();
        command.env("PATH", PATH);
        command.env("LANG", "C.UTF-8").env("RUST_BACKTRACE", "1");
        command.env("HOME", root.join("home"));
        command.env("TMPDIR", root.join("tmp"));
        command.env("XDG_CONFIG_HOME", root.join("home/.config"));
        command.env("XDG_STATE_HOME", root.join("home/.state"));
        command.env("XDG_RUNTIME_DIR", root.join("run"));
        command.current_dir(root.join("home"));
        Self {
            command,
            limit: Duration::from_secs(100),
        }
    }

    pub(crate) fn arguments<I: IntoIterator<Item: AsRef<std::ffi::OsStr>>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Fails the test if gleaner has not ended within `limit`. The default is 100 s.
    pub(crate) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        self.start().wait()
    }

    /// Starts it, in a process group of its own.
    pub(crate) fn start(mut self) -> Running {
        let shown = format!("{:?}", self.command);
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = self.command.spawn().expect("starting gleaner");
        let stdout = Reader::of(child.stdout.take());
        let stderr = Reader::of(child.stderr.take());
        Running {
            child,
            shown,
            stdout: Some(stdout),
            stderr: Some(stderr),
            started: Instant::now(),
            limit: self.limit,
        }
    }
}

/// A gleaner that runs. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    shown: String,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    started: Instant,
    limit: Duration,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGKILL to gleaner alone, as the kernel's OOM killer does. Its children receive no signal.
    pub(crate) fn kill(mut self) -> Outcome {
        processes::signal(self.child.id(), Signal::KILL);
        self.collect()
    }

    /// Sends SIGINT, as Ctrl-C does in a shell that sends it to gleaner only.
    pub(crate) fn interrupt(mut self) -> Outcome {
        processes::signal(self.child.id(), Signal::INT);
        self.collect()
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Outcome {
        self.collect()
    }

    fn collect(&mut self) -> Outcome {
        let left = self.limit.saturating_sub(self.started.elapsed());
        let (id, mut peak_memory) = (self.child.id(), 0);
        let ended = wait_until(left, || {
            // The peak only grows, and cannot be read any more once the process has ended.
            peak_memory = peak_memory_of(id).unwrap_or(peak_memory);
            !matches!(self.child.try_wait(), Ok(None))
        });
        if !ended {
            processes::kill_tree(self.child.id());
        }
        let status = self.child.wait().expect("waiting for gleaner");
        let outcome = Outcome {
            shown: std::mem::take(&mut self.shown),
            status,
            stdout: self.stdout.take().map(Reader::finish).unwrap_or_default(),
            stderr: self.stderr.take().map(Reader::finish).unwrap_or_default(),
            took: self.started.elapsed(),
            peak_memory,
        };
        assert!(
            ended,
            "gleaner did not end within {:?}\n{}",
            self.limit,
            outcome.transcript()
        );
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stdout.is_some() {
            processes::kill_tree(self.child.id());
            drop(self.child.wait());
        }
    }
}

/// gleaner's output, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    shown: String,
    status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) took: Duration,
    /// Peak memory in bytes, as last read some 20 ms before the end.
    pub(crate) peak_memory: u64,
}

impl Outcome {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts the exit status.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "exit status\n{}", self.transcript());
        self
    }

    /// Asserts that the output contains the words, ignoring case.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.contains(words),
            "the output does not contain {words:?}\n{}",
            self.transcript()
        );
        self
    }

    /// Asserts that the output contains at least one of the wordings.
    #[track_caller]
    pub(crate) fn says_one_of(self, wordings: &[&str]) -> Self {
        assert!(
            wordings.iter().any(|words| self.contains(words)),
            "none of {wordings:?}\n{}",
            self.transcript()
        );
        self
    }

    #[track_caller]
    pub(crate) fn does_not_say(self, words: &str) -> Self {
        assert!(
            !self.contains(words),
            "the output contains {words:?}\n{}",
            self.transcript()
        );
        self
    }

    pub(crate) fn contains(&self, words: &str) -> bool {
        let all = format!("{}\n{}", self.out(), String::from_utf8_lossy(&self.stderr)).to_lowercase();
        all.contains(&words.to_lowercase())
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The command, its end and its output, for a failing assertion.
    pub(crate) fn transcript(&self) -> String {
        let mut text = String::new();
        let end = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "unknown end".to_owned(),
        };
        writeln!(text, "{}\n{end} after {:.1?}", self.shown, self.took).expect("writing to a string");
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(text, "--- {name}\n{}", excerpt(bytes)).expect("writing to a string");
        }
        text
    }
}

/// The peak memory of a process in bytes. `None` once the process has ended.
fn peak_memory_of(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The beginning and the end of long output.
fn excerpt(bytes: &[u8]) -> String {
    const EACH: usize = 6_000;
    match bytes.len() {
        length if length > 2 * EACH => {
            let (head, tail) = (&bytes[..EACH], &bytes[length - EACH..]);
            format!(
                "{}\n[…]\n{}",
                String::from_utf8_lossy(head),
                String::from_utf8_lossy(tail)
            )
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The bytes read so far, and the thread that continues to read.
#[derive(Debug)]
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Reader {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let mut stream = stream.expect("a pipe");
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                shared.lock().expect("lock").extend_from_slice(&buffer[..length]);
            }
        });
        Self { bytes, thread }
    }

    /// Returns all bytes. Does not wait for a child of gleaner that still holds the pipe open.
    fn finish(self) -> Vec<u8> {
        wait_until(Duration::from_secs(2), || self.thread.is_finished());
        std::mem::take(&mut self.bytes.lock().expect("lock"))
    }
}
