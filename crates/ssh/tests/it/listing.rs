//! Listing sources.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use engine::ports::device::{EntryKind, ListingEnd, Session, SurveyItem};
use model::{FailureClass, SourcePath};

use crate::world::{World, entries, survey, with_tool};

/// Names that have broken other programs.
pub(crate) fn odd_names() -> Vec<OsString> {
    let mut names: Vec<Vec<u8>> = [
        &b"plain.jpg"[..],
        b"with blank",
        b" leading",
        b"trailing ",
        b"new\nline",
        b"\n",
        b"quote'\"`",
        b"$(touch pwned)",
        b"`reboot`",
        b"-rf",
        b"--",
        b"*",
        b"?[a]",
        b"\\",
        b"back\\nslash",
        b"\xff\xfe not utf-8",
        b"\x1b[2J",
        b"semi;colon&",
        b"...",
        b"~",
        b"%s%n",
        b"a\tb",
        b"E",
        b"u x",
        b"{}",
        b"=",
        b"#",
    ]
    .iter()
    .map(|name| name.to_vec())
    .collect();
    names.push(vec![b'x'; 255]);
    names.into_iter().map(OsString::from_vec).collect()
}

#[tokio::test]
async fn every_possible_name_is_listed_as_it_is() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    for name in odd_names() {
        fs::write(path.join(&name), b"content").unwrap();
    }
    let mut deep = path.clone();
    (0..60).for_each(|level| deep.push(format!("level{level}")));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("bottom"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let listed = entries(&hive, &source).await;
    for name in odd_names() {
        let entry = &listed[name.as_bytes()];
        assert_eq!(entry.kind, EntryKind::File, "{name:?}");
        assert_eq!(entry.identity.size, 7);
    }
    let bottom = deep.join("bottom");
    let bottom = bottom.strip_prefix(&path).unwrap();
    assert!(listed.contains_key(bottom.as_os_str().as_bytes()));
    assert_eq!(listed.len(), odd_names().len() + 61);
    assert!(!path.join("pwned").exists());
}

#[tokio::test]
async fn an_identity_is_what_the_file_system_says_to_the_nanosecond() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"12345").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let identity = entries(&hive, &source).await[&b"a"[..]].identity;
    let metadata = fs::metadata(path.join("a")).unwrap();
    assert!(hive.abilities().complete_identities && identity.is_complete());
    assert_eq!(identity.device_number, Some(metadata.dev()));
    assert_eq!(identity.inode, Some(metadata.ino()));
    assert_eq!(identity.size, 5);
    assert_eq!(
        identity.modified.nanoseconds(),
        metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()
    );
    let changed = metadata.ctime() * 1_000_000_000 + metadata.ctime_nsec();
    assert_eq!(identity.changed.unwrap().nanoseconds(), changed);
}

#[tokio::test]
async fn links_are_not_followed_and_special_files_are_no_files() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let (outside, _) = world.source("outside");
    fs::write(outside.join("secret"), b"").unwrap();
    symlink(&outside, path.join("link to folder")).unwrap();
    symlink(outside.join("secret"), path.join("link to file")).unwrap();
    symlink("nowhere", path.join("dangling")).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    let made = Command::new("mkfifo").arg(path.join("fifo")).status();
    assert!(made.unwrap().success());
    let _socket = UnixListener::bind(path.join("socket")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let listed = entries(&hive, &source).await;
    let kind = |name: &str| listed[name.as_bytes()].kind;
    assert_eq!(kind("link to folder"), EntryKind::Link);
    assert_eq!(kind("link to file"), EntryKind::Link);
    assert_eq!(kind("dangling"), EntryKind::Link);
    assert_eq!(kind("folder"), EntryKind::Folder);
    assert_eq!(kind("fifo"), EntryKind::Special);
    assert_eq!(kind("socket"), EntryKind::Special);
    assert_eq!(listed.len(), 6);
}

#[tokio::test]
async fn a_missing_source_or_a_file_is_reported_and_another_is_listed() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"").unwrap();
    let below = |name: &str| SourcePath::new(path.join(name).as_os_str().as_bytes()).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    for name in ["missing", "a", "missing $(reboot)\t'\""] {
        let failure = survey(&hive, &below(name)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::SourceMissing, "{failure}");
    }
    assert_eq!(entries(&hive, &source).await.len(), 1);
}

#[tokio::test]
async fn a_relative_source_is_taken_from_where_the_login_begins() {
    let world = World::new().device("hive", "");
    let home = std::env::var("HOME").unwrap();
    let folder = tempfile::Builder::new()
        .prefix(".gleaner-test-")
        .tempdir_in(home)
        .unwrap();
    fs::write(folder.path().join("a"), b"").unwrap();
    let source = SourcePath::new(folder.path().file_name().unwrap().as_bytes()).unwrap();
    let hive = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    assert_eq!(entries(&hive, &source).await.len(), 1);
    assert!(hive.facts().disks[0].1.is_some());
}

#[tokio::test]
async fn a_slow_consumer_is_waited_for_and_one_that_is_gone_is_not() {
    let mut world = World::new().device("hive", "");
    world.stall_timeout = std::time::Duration::from_secs(1);
    let (path, source) = world.source("data");
    for number in 0..20_000 {
        fs::write(
            path.join(format!("a file with a rather long name, number {number:08}")),
            b"",
        )
        .unwrap();
    }
    let hive = world.connect("hive", &[]).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<SurveyItem>>(1);
    let slow = async {
        let first = receiver.recv().await.unwrap().len();
        // Longer than `stall_timeout`.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        let mut count = first;
        while let Some(items) = receiver.recv().await {
            count += items.len();
        }
        count
    };
    let (result, count) = tokio::join!(hive.survey(&source, sender), slow);
    assert_eq!((result, count), (Ok(ListingEnd::Whole), 20_000));
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Vec<SurveyItem>>(1);
    let impatient = async move {
        drop(receiver.recv().await);
    };
    let (result, ()) = tokio::join!(hive.survey(&source, sender), impatient);
    assert_eq!(result, Ok(ListingEnd::Whole));
    assert_eq!(entries(&hive, &source).await.len(), 20_000);
}

#[tokio::test]
async fn a_path_that_is_too_long_to_be_one_is_refused_by_its_name() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let name = "y".repeat(250);
    let made = Command::new("sh")
        .current_dir(&path)
        .arg("-c")
        .arg("i=0; while [ $i -lt 17 ]; do mkdir \"$0\" && cd -P ./\"$0\" || exit 1; i=$((i + 1)); done; : >bottom")
        .arg(&name)
        .status();
    assert!(made.unwrap().success());
    let hive = world.connect("hive", &[]).await.unwrap();
    let items = survey(&hive, &source).await.unwrap();
    let refused = items
        .iter()
        .filter(|item| matches!(item, SurveyItem::Refused(..)))
        .count();
    // The seventeenth folder and the file in it.
    assert_eq!((refused, items.len()), (2, 18));
}

#[tokio::test]
async fn a_folder_that_a_failing_disk_cannot_read_is_reported() {
    // A find that lists all, and prints an error as find does for a failing disk.
    let complaint = "/usr/bin/find \"$@\" || exit\ncase $1 in .) echo \"find: './bad folder': Input/output error\" >&2; exit 1 ;; esac";
    let world = with_tool("find", complaint);
    let (path, source) = world.source("data");
    fs::create_dir(path.join("bad folder")).unwrap();
    fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let items = survey(&hive, &source).await.unwrap();
    assert_eq!(items.len(), 3, "{items:?}");
    assert!(
        items.contains(&SurveyItem::Unlistable(crate::world::relative("bad folder"))),
        "{items:?}"
    );
}

#[tokio::test]
async fn a_folder_that_is_removed_while_it_is_listed_is_no_fault() {
    // A find during which a folder is removed, as a timer that removes empty folders does.
    let removal = "case $* in
        *-readable*) shift 3; exec /usr/bin/find . -mindepth 1 -name going -exec rmdir {} \\; , \"$@\" ;;
        esac
        exec /usr/bin/find \"$@\"";
    let world = with_tool("find", removal);
    let (path, source) = world.source("data");
    fs::create_dir(path.join("going")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let items = survey(&hive, &source).await.unwrap();
    assert!(!path.join("going").exists());
    assert!(
        items
            .iter()
            .all(|item| !matches!(item, SurveyItem::Unlistable(_))),
        "{items:?}"
    );
}
