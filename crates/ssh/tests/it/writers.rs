//! Whether a process writes to a file. The kernel is asked; where it cannot be, only a scan that was proved
//! complete counts.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use engine::ports::device::{FileFaultKind, Move, Openness, Session, WriterCheck};
use model::SourcePath;
use ssh::SshSession;

use crate::world::{World, entries, openness, relative, soon, with_tool, with_tools};

/// A separate program that writes to files; ended when dropped.
struct Writer(Child);

impl Writer {
    /// Runs Python code, given a path, until it reports that it is ready. The words before it change its
    /// permissions.
    fn start(before: &[&str], code: &str, path: &Path) -> Self {
        let ready = "\nimport sys\nprint('ready', flush=True)\nsys.stdin.read()";
        let mut words = before.iter().copied().chain(["/usr/bin/python3", "-c"]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .arg(format!(
                "import ctypes, mmap, os, socket, sys, threading\npath = sys.argv[1]\n{code}{ready}"
            ))
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
        assert!(read.is_ok() && line == "ready\n", "{before:?} {code}: {line}");
        Self(child)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The end of its input ends it, and its children.
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

async fn writer_check(session: &SshSession, source: &SourcePath) -> Option<WriterCheck> {
    let entries = entries(session, source).await;
    let checks = entries.values().filter_map(|entry| entry.openness.check());
    checks.min()
}

fn open_for_writing(path: &Path) -> File {
    OpenOptions::new().append(true).open(path).unwrap()
}

#[tokio::test]
async fn the_kernel_says_who_writes_and_readers_do_not_count() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    for name in ["idle", "written", "read"] {
        fs::write(path.join(name), b"content").unwrap();
    }
    let writer = open_for_writing(&path.join("written"));
    let _reader = File::open(path.join("read")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(writer_check(&hive, &source).await, Some(WriterCheck::Leases));
    assert_eq!(
        entries(&hive, &source).await[&b"written"[..]].openness,
        Openness::Unasked
    );
    soon(&hive, &source, "idle", Openness::Closed).await;
    assert_eq!(openness(&hive, &source, "written").await, Openness::Open);
    soon(&hive, &source, "read", Openness::Closed).await;
    drop(writer);
    soon(&hive, &source, "written", Openness::Closed).await;
    let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
    assert_eq!(left.len(), 3, "the file of our own is gone: {left:?}");
}

#[tokio::test]
async fn a_file_that_is_open_is_not_renamed_and_others_are() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    for name in ["idle", "written"] {
        fs::write(path.join(name), b"content").unwrap();
    }
    let _writer = open_for_writing(&path.join("written"));
    let hive = world.connect("hive", &[]).await.unwrap();
    let moves = ["written", "idle"].map(|name| Move {
        from: relative(name),
        to: relative(Path::new(".w/batch").join(name)),
    });
    let answers = hive.rename(&source, &moves).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap_err().kind, FileFaultKind::Open);
    assert_eq!(
        answers[1].as_ref().unwrap().as_ref().unwrap().openness,
        Openness::Closed
    );
    assert!(path.join("written").exists() && path.join(".w/batch/idle").exists());
}

/// Ways to write to a file that a scan of `/proc/PID/fd` does not show, or does not show to every login.
const HIDDEN: [(&str, &[&str], &str); 7] = [
    (
        "undumpable",
        &[],
        "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nkept = open(path, 'a')",
    ),
    (
        "other user",
        &["setpriv", "--reuid=65534", "--clear-groups"],
        "kept = open(path, 'a')",
    ),
    (
        "capability",
        &[
            "setpriv",
            "--reuid=65534",
            "--clear-groups",
            "--inh-caps=+sys_nice",
            "--ambient-caps=+sys_nice",
        ],
        "kept = open(path, 'a')",
    ),
    (
        "PID namespace",
        &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"],
        "kept = open(path, 'a')",
    ),
    (
        "mapping",
        &[],
        "file = os.open(path, os.O_RDWR)\nkept = mmap.mmap(file, 7)\nos.close(file)",
    ),
    (
        "in flight",
        &[],
        "one, other = socket.socketpair()\nfile = os.open(path, os.O_RDWR)\n\
         socket.send_fds(one, [b'x'], [file])\nos.close(file)\nkept = one, other",
    ),
    (
        "thread",
        &[],
        "def hide():\n  ctypes.CDLL(None).unshare(0x400)\n  globals()['file'] = os.open(path, os.O_RDWR)\n  \
         opened.set()\n  threading.Event().wait()\n\
         opened = threading.Event()\nthreading.Thread(target=hide, daemon=True).start()\nopened.wait()",
    ),
];

#[tokio::test]
async fn the_kernel_sees_writers_that_hide_from_proc() {
    if !rustix::process::getuid().is_root() {
        return println!("skipped: needs root to start writers of other users");
    }
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let hive = world.connect("hive", &[]).await.unwrap();
    for (name, before, code) in HIDDEN {
        let file = path.join(name);
        fs::write(&file, b"content").unwrap();
        std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
        let writer = Writer::start(before, code, &file);
        assert_eq!(openness(&hive, &source, name).await, Openness::Open, "{name}");
        drop(writer);
        soon(&hive, &source, name, Openness::Closed).await;
    }
}

#[tokio::test]
async fn a_hard_link_outside_the_source_is_the_same_open_file() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"content").unwrap();
    fs::hard_link(path.join("a"), world.path("outside")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    soon(&hive, &source, "a", Openness::Closed).await;
    let _writer = open_for_writing(&world.path("outside"));
    assert_eq!(openness(&hive, &source, "a").await, Openness::Open);
}

/// A perl for which the kernel answers every request for a lease as given.
fn with_leases_that(answer: &str) -> World {
    let world = with_tools(&[
        ("perl", "exec /usr/bin/perl -I${0%/*} -Mliar \"$@\""),
        // The scan proves nothing, either.
        ("readlink", "echo 'pid:[4026532000]'"),
    ]);
    let liar = format!("package liar; *CORE::GLOBAL::fcntl = sub (*$$) {{ {answer} }}; 1");
    fs::write(world.path("tools/liar.pm"), liar).unwrap();
    world
}

#[tokio::test]
async fn leases_count_only_where_a_file_of_our_own_proves_them() {
    for answer in [
        "\"0 but true\"",
        "$! = Errno::EAGAIN(); undef",
        "$! = Errno::EINVAL(); undef",
        "$! = Errno::EACCES(); undef",
    ] {
        let world = with_leases_that(answer);
        let (path, source) = world.source("data");
        fs::write(path.join("open"), b"content").unwrap();
        fs::write(path.join("closed"), b"content").unwrap();
        let _writer = open_for_writing(&path.join("open"));
        let hive = world.connect("hive", &[]).await.unwrap();
        let check = writer_check(&hive, &source).await;
        assert_eq!(check, Some(WriterCheck::Blind), "{answer}");
        assert_eq!(openness(&hive, &source, "open").await, Openness::Open, "{answer}");
        soon(&hive, &source, "closed", Openness::Unknown).await;
        assert_eq!(
            entries(&hive, &source).await[&b"closed"[..]].openness,
            Openness::Unknown,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_lease_refused_for_another_reason_does_not_prove_a_file_closed() {
    // Granted and refused correctly for files without a name; always refused for others.
    let world = with_leases_that(
        "(stat $_[0])[3] ? do { $! = Errno::EACCES(); undef } : CORE::fcntl($_[0], $_[1], $_[2])",
    );
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"content").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(writer_check(&hive, &source).await, Some(WriterCheck::Leases));
    assert_eq!(openness(&hive, &source, "a").await, Openness::Unknown);
    let _writer = open_for_writing(&path.join("a"));
    assert_eq!(openness(&hive, &source, "a").await, Openness::Open);
}

/// A device without perl, one of whose tools has a fault. If the test's machine does not let root inspect its
/// first process, as in a container, that error is ignored.
fn scanned(tool: &str, fault: &str) -> World {
    let names = ["stat", "grep", "find", "xargs", "sed", "readlink"];
    let forgiving = |name: &str| {
        let fault = match name {
            _ if name == tool => fault,
            // Wherever the test runs, the device is no container.
            "readlink" => "echo 'pid:[4026531836]'; exit",
            _ => "",
        };
        let run = match name {
            "stat" | "grep" => {
                "{ /usr/bin/TOOL \"$@\" 2>&1 >&7 | /usr/bin/sed '\\|/proc/1/.*: Permission denied$|d' >&2; } 7>&1"
            }
            _ => "exec /usr/bin/TOOL \"$@\"",
        };
        format!("{fault}\n{}", run.replace("TOOL", name))
    };
    let scripts = names.map(|name| (name, forgiving(name)));
    let mut tools: Vec<(&str, &str)> = scripts
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    tools.push(("perl", "exit 127"));
    with_tools(&tools)
}

/// What cuts a scan short, by the tool that fails. None of them may keep the device from being served.
const CUT: [(&str, &str); 9] = [
    ("stat", "case $1 in -L) kill -9 $$ ;; esac"),
    ("stat", "case $1 in -L) exit 2 ;; esac"),
    (
        "stat",
        "case $1 in -L) echo \"stat: cannot statx '/proc/1/fd/1': Permission denied\" >&2; exit 1 ;; esac",
    ),
    ("find", "case $1 in /proc*) kill -9 $$ ;; esac"),
    (
        "find",
        "case $1 in /proc*) echo 'find: /proc/1/task/1/fd: Permission denied' >&2 ;; esac",
    ),
    (
        "xargs",
        "case $* in *look_through* | *'stat -L'*) kill -9 $$ ;; esac",
    ),
    ("grep", "case $1 in -h) kill -9 $$ ;; esac"),
    ("sed", "case $* in *mountinfo*) kill -9 $$ ;; esac"),
    ("readlink", "echo 'pid:[4026532000]'; exit"),
];

#[tokio::test]
async fn a_scan_that_was_cut_short_is_no_proof() {
    if !rustix::process::getuid().is_root() {
        return println!("skipped: only root sees all processes");
    }
    for (tool, fault) in [("true", "")].into_iter().chain(CUT) {
        let world = scanned(tool, fault);
        let (path, source) = world.source("data");
        fs::write(path.join("a"), b"content").unwrap();
        let hive = world.connect("hive", &[]).await.unwrap();
        let (check, expected) = if fault.is_empty() {
            (WriterCheck::Scan, Openness::Closed)
        } else {
            (WriterCheck::Blind, Openness::Unknown)
        };
        assert_eq!(writer_check(&hive, &source).await, Some(check), "{tool}: {fault}");
        assert_eq!(
            entries(&hive, &source).await[&b"a"[..]].openness,
            expected,
            "{tool}: {fault}"
        );
        soon(&hive, &source, "a", expected).await;
    }
}

#[tokio::test]
async fn a_scan_inspects_every_thread() {
    if !rustix::process::getuid().is_root() {
        return println!("skipped: only root sees all processes");
    }
    let world = with_tool("perl", "exit 127");
    let (path, source) = world.source("data");
    let hive = world.connect("hive", &[]).await.unwrap();
    let (name, before, code) = HIDDEN[6];
    fs::write(path.join(name), b"content").unwrap();
    let _writer = Writer::start(before, code, &path.join(name));
    assert_eq!(openness(&hive, &source, name).await, Openness::Open);
}

#[tokio::test]
async fn where_leases_work_no_processes_are_scanned() {
    let world = with_tool("grep", "echo scanned >>$HOME/scanned\nexec /usr/bin/grep \"$@\"");
    let scanned = world.path("hive/home/scanned");
    let (path, source) = world.source("data");
    let hive = world.connect("hive", &[]).await.unwrap();
    // A name that could be taken for none.
    fs::write(path.join("\n"), b"content").unwrap();
    assert_eq!(
        entries(&hive, &source).await[&b"\n"[..]].openness,
        Openness::Unasked
    );
    soon(&hive, &source, "\n", Openness::Closed).await;
    assert!(!scanned.exists());
    hive.session.close().await;
}

#[tokio::test]
async fn an_empty_source_is_not_written_to() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert_eq!(writer_check(&hive, &source).await, None);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
}
