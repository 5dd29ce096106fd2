//! Recorders that hold a file open, pause for longer than `settle`, and are invisible to a scan of `/proc`.
//! Their files stay on the device until they are closed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use testbed::Session;

use crate::context::Fleet;
use crate::device::{Device, a_minute_ago};
use crate::disk::{Disk, Medium};
use crate::mounts::{Mount, skip};

/// A program that has written the first part of a recording, and pauses.
struct Recorder(Child);

impl Recorder {
    /// Starts the recorder on a file of a device. The command in `prefix` changes its privileges; `code`
    /// opens the file as the handle `$f`.
    fn start(prefix: &[&str], code: &str, path: &Path) -> Self {
        let program = format!(
            "$path = $ARGV[0]; {code}; $f->autoflush(1); print $f \"header\"; print \"ready\\n\"; \
             <STDIN>; print $f \" and body\"; close $f"
        );
        let perl = [
            "perl",
            "-MIO::Handle",
            "-e",
            "$| = 1; eval shift; die $@ if $@",
            &program,
        ];
        let mut words = prefix.iter().chain(&perl);
        let mut child = Command::new(words.next().expect("a program"))
            .args(words)
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting a recorder");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        assert_eq!(line, "ready\n", "{prefix:?} {code}");
        Self(child)
    }

    /// Makes the recorder write the rest, close the file and end.
    fn finish(mut self) {
        drop(self.0.stdin.take());
        let ended = self.0.wait().expect("waiting for a recorder");
        assert!(ended.success(), "the recorder fails: {ended}");
    }
}

const OPEN: &str = "open $f, '>>', $path or die";
const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// How a device proves that no process writes to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriterCheck {
    Leases,
    /// Not at all, or as far as this machine permits root's scan.
    Weaker,
}

/// A recorder holds `video.h264` open and pauses. The file stays in place, and is stored whole once it is
/// closed. Where the kernel is asked, a closed file beside it leaves at once.
#[track_caller]
fn keeps_its_file(fleet: &Fleet, prefix: &[&str], code: &str, proof: WriterCheck) {
    let device = fleet.device(1);
    let file = device.folder.join("video.h264");
    let recorder = Recorder::start(prefix, code, &file);
    if proof == WriterCheck::Leases {
        device.record("closed.jpg", "picture");
    }
    keeps_while_open(fleet, device, proof);
    recorder.finish();
    device.count_as_recorded("video.h264");
    fleet.set("defaults.settle_blind", "1s");
    fleet.sweep_until_emptied();
    let stored = fleet.store().join("device1/video.h264");
    assert_eq!(fs::read_to_string(stored).expect("stored"), "header and body");
}

#[track_caller]
fn keeps_while_open(fleet: &Fleet, device: &Device, proof: WriterCheck) {
    fleet.set("defaults.settle_blind", "1h");
    device.set_modified("video.h264", a_minute_ago());
    for _ in 0..2 {
        fleet.sweep().exits(0);
        assert_eq!(device.paths(), [Path::new("video.h264")], "it stays, in place");
        let stored = usize::from(proof == WriterCheck::Leases);
        assert_eq!(fleet.store_files().len(), stored, "what is closed leaves at once");
    }
}

fn needs_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        skip::<()>("needs root to start recorders of other users").unwrap_or_default();
    }
    !is_root
}

#[test]
fn a_recorder_with_a_capability_keeps_the_file_that_it_holds_open() {
    if needs_root() {
        return;
    }
    let with_capability = [&NOBODY[..], &["--inh-caps=+sys_nice", "--ambient-caps=+sys_nice"]].concat();
    let fleet = Fleet::of(&[Session::Unprivileged]);
    keeps_its_file(&fleet, &with_capability, OPEN, WriterCheck::Leases);
}

#[test]
fn a_recorder_in_a_container_keeps_the_file_that_it_holds_open() {
    if needs_root() {
        return;
    }
    let namespace = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let fleet = Fleet::of(&[Session::Unprivileged]);
    keeps_its_file(
        &fleet,
        &[&namespace[..], &NOBODY].concat(),
        OPEN,
        WriterCheck::Leases,
    );
}

#[test]
fn a_recorder_of_any_user_keeps_the_file_that_it_holds_open() {
    if needs_root() {
        return;
    }
    for session in [Session::Unprivileged, Session::Gnu] {
        for prefix in [&[][..], &NOBODY] {
            let fleet = Fleet::of(&[session]);
            std::os::unix::fs::chown(&fleet.device(1).folder, Some(65_534), None).expect("giving to nobody");
            keeps_its_file(&fleet, prefix, OPEN, WriterCheck::Leases);
        }
    }
}

#[test]
fn a_recorder_that_writes_by_a_hard_link_keeps_its_file() {
    let fleet = Fleet::new(1);
    let outside = fleet.path("outside.h264");
    let by_link = format!(
        "open $f, '>>', $path or die; link $path, '{0}' or die; open $f, '>>', '{0}' or die",
        outside.display()
    );
    keeps_its_file(&fleet, &[], &by_link, WriterCheck::Leases);
}

#[test]
fn a_recorder_on_any_file_system_keeps_the_file_that_it_holds_open() {
    for medium in [Medium::Memory, Medium::Image] {
        let fleet = Fleet::new(1);
        let Some(_card) = Disk::at(&fleet.device(1).folder, medium, 16) else {
            return;
        };
        keeps_its_file(&fleet, &[], OPEN, WriterCheck::Leases);
    }
    let fleet = Fleet::new(1);
    let Some(_overlay) = Mount::overlay(&fleet.device(1).folder) else {
        return;
    };
    keeps_its_file(&fleet, &[], OPEN, WriterCheck::Leases);
    let fleet = Fleet::new(1);
    let branch = fleet.path("branch");
    fs::create_dir(&branch).expect("making a folder");
    let Some(_fuse) = Mount::union(&fleet.device(1).folder, &[&branch]) else {
        return;
    };
    // A process may write to the folder behind this mount.
    keeps_its_file(&fleet, &[], OPEN, WriterCheck::Weaker);
    assert_eq!(fleet.status_of("device1")["writer_check"], "blind");
}

/// Sets the commands that the login shell of a device runs first.
fn at_login(fleet: &Fleet, commands: &str) {
    fs::write(fleet.path("device1/home/.bashrc"), commands).expect("writing a start-up file");
}

/// Puts a tool before that of the system on a device.
fn shadow_tool(fleet: &Fleet, tool: &str, script: &str) {
    let tools = fleet.path("device1/before");
    fs::create_dir_all(&tools).expect("a folder for tools");
    let tool = tools.join(tool);
    fs::write(&tool, format!("#!/bin/sh\n{script}\n")).expect("writing a tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("making it a program");
    at_login(fleet, &format!("PATH={}:$PATH\n", tools.display()));
}

#[test]
fn a_scan_that_is_cut_short_gathers_no_open_file() {
    let fleet = Fleet::new(1);
    shadow_tool(&fleet, "perl", "exit 127");
    // `stat` is killed after the first file, as if memory had run out.
    let killed =
        "case $1 in -L) /usr/bin/stat \"$@\" | head -z -n 1; kill -9 $$ ;; esac\nexec /usr/bin/stat \"$@\"";
    shadow_tool(&fleet, "stat", killed);
    keeps_its_file(&fleet, &[], OPEN, WriterCheck::Weaker);
}

#[test]
fn a_login_in_a_container_gathers_no_file_that_is_open_outside() {
    if needs_root() {
        return;
    }
    for has_perl in [true, false] {
        let fleet = Fleet::new(1);
        if !has_perl {
            shadow_tool(&fleet, "perl", "exit 127");
        }
        let path = fleet.path("device1/before");
        at_login(
            &fleet,
            &format!(
                "PATH={}:$PATH\nexec unshare --pid --fork --mount-proc --kill-child sh -c \"$BASH_EXECUTION_STRING\"\n",
                path.display()
            ),
        );
        keeps_its_file(
            &fleet,
            &[],
            OPEN,
            if has_perl {
                WriterCheck::Leases
            } else {
                WriterCheck::Weaker
            },
        );
    }
}

#[test]
fn where_writers_cannot_be_seen_every_file_waits_for_settle_blind() {
    for session in [Session::SftpOnly, Session::Busybox] {
        let fleet = Fleet::of(&[session]);
        keeps_its_file(&fleet, &[], OPEN, WriterCheck::Weaker);
    }
}

#[test]
fn status_shows_how_each_device_proves_that_no_process_writes() {
    let fleet = Fleet::of(&[Session::Gnu, Session::SftpOnly]);
    for device in fleet.devices() {
        device.record("img.jpg", "picture");
    }
    fleet.sweep().exits(0);
    assert_eq!(fleet.status_of("device1")["writer_check"], "leases");
    assert_eq!(fleet.status_of("device2")["writer_check"], "blind");
    fleet.gleaner(["status"]).exits(0).says("writers cannot be seen");
    fleet
        .gleaner(["status", "device1"])
        .exits(0)
        .says("the kernel is asked");
}
