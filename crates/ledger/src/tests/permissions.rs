use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::ports::History as _;

use super::{TempLedger, at, device, is_root, record};
use crate::Reader;

/// Names the ledger that the child process reads. Without it, the child's part does nothing.
const LEDGER: &str = "LEDGER_OF_THE_PERMISSION_TEST";

/// The service's user, a member of its group, and the group; no account has these ids.
const OWNER: u32 = 61_001;
const MEMBER: u32 = 61_002;
const GROUP: u32 = 61_003;

/// The number of recorded files that a member of the group reads, who may read the ledger but write nothing;
/// or the output of the failed child.
fn read_by_a_member(program: &Path, ledger: &Path) -> Result<u64, String> {
    let output = Command::new(program)
        .args([
            "--exact",
            "tests::permissions::child_counts_recorded_files",
            "--nocapture",
        ])
        .env(LEDGER, ledger)
        .gid(GROUP)
        .uid(MEMBER)
        .current_dir("/")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = printed
        .lines()
        .find_map(|line| line.split_once("found ")?.1.parse().ok());
    found.ok_or_else(|| printed + &String::from_utf8_lossy(&output.stderr))
}

/// A folder that the group may enter but not write, and the test program where any user may run it.
fn service_ledger() -> (TempLedger, PathBuf) {
    let temp = TempLedger::new();
    let any_user = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(temp.folder.path(), any_user.clone()).unwrap();
    let program = temp.folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, any_user).unwrap();
    (temp, program)
}

fn chown_to_the_service(temp: &TempLedger) {
    let folder = temp.path().parent().unwrap().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        chown(file.unwrap().path(), Some(OWNER), Some(GROUP)).unwrap();
    }
    chown(&folder, Some(OWNER), Some(GROUP)).unwrap();
}

#[tokio::test]
async fn a_group_member_reads_the_ledger_beside_the_writer_and_after_its_end() {
    if !is_root() {
        return;
    }
    let (temp, program) = service_ledger();
    drop(temp.ledger());
    chown_to_the_service(&temp);
    assert_eq!(read_by_a_member(&program, &temp.path()), Ok(0));
    let ledger = temp.ledger();
    // From the first transaction on: that one is the hardest for such a reader.
    for number in 1..=3 {
        super::store(&ledger, "pi1", vec![record("pi1", &number.to_string())])
            .await
            .unwrap();
        assert_eq!(read_by_a_member(&program, &temp.path()), Ok(number));
    }
    drop(ledger);
    assert_eq!(read_by_a_member(&program, &temp.path()), Ok(3));
}

#[tokio::test]
async fn a_group_member_reads_the_ledger_after_the_writer_was_killed() {
    if !is_root() {
        return;
    }
    let (temp, program) = service_ledger();
    let ledger = temp.ledger();
    super::store(&ledger, "pi1", vec![record("pi1", "a")])
        .await
        .unwrap();
    // As a kill leaves the files: the log not empty, no process with the ledger open.
    let left = TempLedger::new();
    std::fs::set_permissions(left.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(left.folder.path().join("state")).unwrap();
    for end in ["", "-wal", "-shm"] {
        let name = |temp: &TempLedger| format!("{}{end}", temp.path().display());
        std::fs::copy(name(&temp), name(&left)).unwrap();
    }
    chown_to_the_service(&left);
    assert_eq!(read_by_a_member(&program, &left.path()), Ok(1));
}

#[tokio::test]
async fn a_group_member_reads_a_ledger_without_its_log() {
    if !is_root() {
        return;
    }
    let (temp, program) = service_ledger();
    let ledger = temp.ledger();
    super::store(&ledger, "pi1", vec![record("pi1", "a")])
        .await
        .unwrap();
    drop(ledger);
    // As in a restored backup, or after an operator opened the ledger with `sqlite3`.
    for end in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", temp.path().display())).unwrap();
    }
    chown_to_the_service(&temp);
    assert_eq!(read_by_a_member(&program, &temp.path()), Ok(1));
}

#[tokio::test]
async fn another_user_gets_an_error_that_names_the_missing_permission() {
    if !is_root() {
        return;
    }
    let (temp, program) = service_ledger();
    drop(temp.ledger());
    let refusal = read_by_a_member(&program, &temp.path()).unwrap_err();
    assert!(refusal.contains("ermission denied"), "{refusal}");
}

#[test]
fn child_counts_recorded_files() {
    let Some(ledger) = std::env::var_os(LEDGER) else {
        return;
    };
    let reader = Reader::open(Path::new(&ledger)).unwrap();
    let status = reader.device(&device("pi1"), at(0)).unwrap();
    let files = reader
        .files(engine::ports::FileFilter::default())
        .unwrap()
        .count();
    assert_eq!(
        status.map_or(0, |status| status.totals.stored.files),
        u64::try_from(files).unwrap()
    );
    println!("\nfound {files}");
}
