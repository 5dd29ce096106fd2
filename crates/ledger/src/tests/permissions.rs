use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use engine::ports::Ledger as _;

use super::{Place, at, device, is_root, record};
use crate::Reader;

/// What the child process reads; without it, the child's part is no test.
const LEDGER: &str = "LEDGER_OF_THE_PERMISSION_TEST";

/// The service's user, a member of its group, and its group; nobody has these numbers.
const OWNER: u32 = 61_001;
const MEMBER: u32 = 61_002;
const GROUP: u32 = 61_003;

/// How many files somebody of the group finds recorded who may read the ledger and write nothing; or why none.
fn read_by_a_member(program: &Path, ledger: &Path) -> Result<u64, String> {
    let output = Command::new(program)
        .args([
            "--exact",
            "tests::permissions::the_part_of_the_member",
            "--nocapture",
        ])
        .env(LEDGER, ledger)
        .gid(GROUP)
        .uid(MEMBER)
        .current_dir("/")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = said
        .lines()
        .find_map(|line| line.split_once("found ")?.1.parse().ok());
    found.ok_or_else(|| said + &String::from_utf8_lossy(&output.stderr))
}

/// A folder that the group may enter but not write, and the test program where everybody may run it.
fn place_of_the_service() -> (Place, PathBuf) {
    let place = Place::new();
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.folder.path(), everybody.clone()).unwrap();
    let program = place.folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, everybody).unwrap();
    (place, program)
}

fn hand_to_the_service(place: &Place) {
    let folder = place.path().parent().unwrap().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        chown(file.unwrap().path(), Some(OWNER), Some(GROUP)).unwrap();
    }
    chown(&folder, Some(OWNER), Some(GROUP)).unwrap();
}

#[tokio::test]
async fn a_member_of_the_services_group_reads_beside_the_writer_and_after_its_end() {
    if !is_root() {
        return;
    }
    let (place, program) = place_of_the_service();
    drop(place.ledger());
    hand_to_the_service(&place);
    assert_eq!(read_by_a_member(&program, &place.path()), Ok(0));
    let ledger = place.ledger();
    // After the very first transaction, which is the one that SQLite makes hard for such a reader.
    for number in 1..=3 {
        ledger
            .record(vec![record("pi1", &number.to_string())])
            .await
            .unwrap();
        assert_eq!(read_by_a_member(&program, &place.path()), Ok(number));
    }
    drop(ledger);
    assert_eq!(read_by_a_member(&program, &place.path()), Ok(3));
}

#[tokio::test]
async fn a_member_of_the_services_group_reads_after_the_writer_was_killed() {
    if !is_root() {
        return;
    }
    let (place, program) = place_of_the_service();
    let ledger = place.ledger();
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    // As a kill leaves them: the log full, nobody there.
    let left = Place::new();
    std::fs::set_permissions(left.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(left.folder.path().join("state")).unwrap();
    for end in ["", "-wal", "-shm"] {
        let name = |place: &Place| format!("{}{end}", place.path().display());
        std::fs::copy(name(&place), name(&left)).unwrap();
    }
    hand_to_the_service(&left);
    assert_eq!(read_by_a_member(&program, &left.path()), Ok(1));
}

#[tokio::test]
async fn a_member_of_the_services_group_reads_a_ledger_without_its_log() {
    if !is_root() {
        return;
    }
    let (place, program) = place_of_the_service();
    let ledger = place.ledger();
    ledger.record(vec![record("pi1", "a")]).await.unwrap();
    drop(ledger);
    // As a copy from a back-up has it, or after somebody looked at it with `sqlite3`.
    for end in ["-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", place.path().display())).unwrap();
    }
    hand_to_the_service(&place);
    assert_eq!(read_by_a_member(&program, &place.path()), Ok(1));
}

#[tokio::test]
async fn a_stranger_is_told_what_is_missing() {
    if !is_root() {
        return;
    }
    let (place, program) = place_of_the_service();
    drop(place.ledger());
    let refusal = read_by_a_member(&program, &place.path()).unwrap_err();
    assert!(refusal.contains("ermission denied"), "{refusal}");
}

#[test]
fn the_part_of_the_member() {
    let Some(ledger) = std::env::var_os(LEDGER) else {
        return;
    };
    let reader = Reader::open(Path::new(&ledger)).unwrap();
    let status = reader.device(&device("pi1"), at(0)).unwrap();
    let files = reader.files(crate::FileFilter::default()).unwrap().count();
    assert_eq!(
        status.map_or(0, |status| status.totals.stored.files),
        u64::try_from(files).unwrap()
    );
    println!("\nfound {files}");
}
