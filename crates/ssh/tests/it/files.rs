//! Renaming, inspecting, fetching and removing files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use engine::ports::device::{Chunk, FileFault, FileFaultKind, Move, Openness, Session};
use model::{RelativePath, SourcePath};
use tokio::sync::mpsc;

use crate::listing::odd_names;
use crate::world::{Connection, World, relative};

fn step(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Move {
    Move {
        from: relative(from.as_ref()),
        to: relative(to.as_ref()),
    }
}

fn kinds<T>(results: Vec<Result<T, FileFault>>) -> Vec<Option<FileFaultKind>> {
    results
        .into_iter()
        .map(|result| result.err().map(|fault| fault.kind))
        .collect()
}

pub(crate) async fn fetch(
    hive: &Connection,
    source: &SourcePath,
    path: &RelativePath,
    offset: u64,
    expected_size: u64,
) -> (Result<u64, FileFault>, Vec<u8>) {
    let (chunks, mut received) = mpsc::unbounded_channel::<Chunk>();
    let collect = async {
        let mut bytes = Vec::new();
        while let Some(chunk) = received.recv().await {
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    };
    let (fetched, bytes) = tokio::join!(hive.fetch(source, path, offset, expected_size, chunks), collect);
    (fetched.unwrap(), bytes)
}

#[tokio::test]
async fn files_of_every_name_are_withdrawn_inspected_fetched_and_removed() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let names = odd_names();
    for name in &names {
        fs::write(path.join(name), name.as_bytes()).unwrap();
    }
    let hive = world.connect("hive", &[]).await.unwrap();
    let moves: Vec<_> = names
        .iter()
        .map(|name| step(name, Path::new(".gleaner-withdrawn/ledger/pass/day").join(name)))
        .collect();
    let withdrawn: Vec<_> = moves.iter().map(|step| step.to.clone()).collect();
    assert_eq!(
        kinds(hive.rename(&source, &moves).await.unwrap()),
        vec![None; names.len()]
    );
    let inspected = hive.inspect(&source, &withdrawn).await.unwrap();
    for (name, inspected) in names.iter().zip(inspected) {
        let inspected = inspected.unwrap();
        assert_eq!(inspected.openness, Openness::Closed);
        let there = fs::metadata(path.join(".gleaner-withdrawn/ledger/pass/day").join(name)).unwrap();
        assert_eq!(
            (inspected.identity.inode, inspected.identity.size),
            (Some(there.ino()), there.size())
        );
        assert!(!path.join(name).exists(), "{name:?}");
    }
    for (name, path) in names.iter().zip(&withdrawn) {
        let (count, bytes) = fetch(&hive, &source, path, 0, name.len() as u64).await;
        assert_eq!(
            (count, bytes.as_slice()),
            (Ok(name.len() as u64), name.as_bytes())
        );
    }
    assert_eq!(
        kinds(hive.remove(&source, &withdrawn, &[]).await.unwrap()),
        vec![None; names.len()]
    );
    let folders = [
        ".gleaner-withdrawn/ledger/pass/day",
        ".gleaner-withdrawn/ledger/pass",
        ".gleaner-withdrawn/ledger",
        ".gleaner-withdrawn",
    ];
    hive.remove(&source, &[], &folders.map(relative)).await.unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    // What this session made and removed again, it makes again.
    fs::write(path.join("again"), b"").unwrap();
    let again = [step("again", ".gleaner-withdrawn/ledger/pass/day/again")];
    assert_eq!(kinds(hive.rename(&source, &again).await.unwrap()), [None]);
}

#[tokio::test]
async fn a_rename_that_fails_says_why_and_leaves_the_file_where_it_is() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"").unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    fs::write(path.join("file"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let moves = [
        step("missing", "out/missing"),
        step("a", "file/a"),
        step("a", "folder"),
        step("a", "out/a"),
    ];
    let results = kinds(hive.rename(&source, &moves).await.unwrap());
    assert_eq!(results[0], Some(FileFaultKind::Missing));
    assert!(
        results[1].is_some() && results[2].is_some() && results[3].is_none(),
        "{results:?}"
    );
    assert!(path.join("out/a").exists());
}

#[tokio::test]
async fn a_target_on_another_file_system_has_its_own_fault() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let mounted = path.join("mounted");
    fs::create_dir(&mounted).unwrap();
    let mount = |arguments: &[&str]| {
        Command::new("mount")
            .args(arguments)
            .arg(&mounted)
            .status()
            .unwrap()
            .success()
    };
    // Only root may do this.
    if !mount(&["-t", "tmpfs", "-o", "size=1m", "none"]) {
        return;
    }
    fs::write(mounted.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await;
    let outcome = async {
        let hive = hive.ok()?;
        let across = hive.rename(&source, &[step("mounted/a", "out/a")]).await.ok()?;
        let within = hive
            .rename(&source, &[step("mounted/a", "mounted/.out/a")])
            .await
            .ok()?;
        mount(&["-o", "remount,ro"]);
        let read_only = hive
            .rename(&source, &[step("mounted/.out/a", "mounted/.new/a")])
            .await
            .ok()?;
        let removal = hive
            .remove(&source, &[relative("mounted/.out/a")], &[])
            .await
            .ok()?;
        hive.session.close().await;
        Some((
            kinds(across),
            kinds(within),
            kinds(read_only),
            removal[0].is_err(),
        ))
    }
    .await;
    Command::new("umount").arg(&mounted).status().unwrap();
    let expected = (
        vec![Some(FileFaultKind::OtherFileSystem)],
        vec![None],
        vec![Some(FileFaultKind::ReadOnly)],
        true,
    );
    assert_eq!(outcome, Some(expected));
}

#[tokio::test]
async fn a_second_inspection_sees_what_is_gone_open_or_no_file() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::write(path.join("target"), b"").unwrap();
    symlink("target", path.join("link")).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    fs::write(path.join("open"), b"123").unwrap();
    let _writer = fs::OpenOptions::new()
        .write(true)
        .open(path.join("open"))
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let paths = [
        "missing",
        "link",
        "folder",
        "open",
        "missing too",
        "target",
        "target/below",
    ]
    .map(relative);
    let inspected = hive.inspect(&source, &paths).await.unwrap();
    assert_eq!(inspected[3].as_ref().unwrap().openness, Openness::Open);
    assert_eq!(inspected[5].as_ref().unwrap().openness, Openness::Closed);
    let expected = [
        Some(FileFaultKind::Missing),
        Some(FileFaultKind::NotAFile),
        Some(FileFaultKind::NotAFile),
        None,
        Some(FileFaultKind::Missing),
        None,
        Some(FileFaultKind::Missing),
    ];
    assert_eq!(kinds(inspected), expected);
}

#[tokio::test]
async fn a_file_that_is_fetched_or_digested_is_not_taken_for_one_that_is_open() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::File::create(path.join("large"))
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let large = [relative("large")];
    let (chunks, mut received) = mpsc::unbounded_channel::<Chunk>();
    let look = async {
        // The credit is held: the device still has the file open.
        let first = received.recv().await.unwrap();
        let inspected = hive.inspect(&source, &large).await.unwrap();
        drop(first);
        while received.recv().await.is_some() {}
        inspected
    };
    let (_, inspected) = tokio::join!(hive.fetch(&source, &large[0], 0, 64 << 20, chunks), look);
    assert_eq!(inspected[0].as_ref().unwrap().openness, Openness::Closed);
}

#[tokio::test]
async fn a_file_that_has_grown_or_shrunk_never_counts_as_whole() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let content: Vec<u8> = (0..5_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(path.join("a"), &content).unwrap();
    fs::write(path.join("empty"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let (a, size) = (relative("a"), content.len() as u64);
    assert_eq!(
        fetch(&hive, &source, &a, 0, size).await,
        (Ok(size), content.clone())
    );
    assert_eq!(
        fetch(&hive, &source, &relative("empty"), 0, 0).await,
        (Ok(0), Vec::new())
    );
    let half = size / 2;
    let (resumed, bytes) = fetch(&hive, &source, &a, half, size).await;
    assert_eq!(
        (resumed, bytes.as_slice()),
        (Ok(size - half), &content[content.len() / 2..])
    );
    let (truncated, bytes) = fetch(&hive, &source, &a, 0, size + 1000).await;
    assert_eq!((truncated, bytes.len()), (Ok(size), content.len()));
    let (grown, bytes) = fetch(&hive, &source, &a, 0, size - 1).await;
    assert_eq!(grown.unwrap_err().kind, FileFaultKind::Grown);
    assert!(bytes.len() < content.len());
    let (missing, _) = fetch(&hive, &source, &relative("missing"), 0, 1).await;
    assert_eq!(missing.unwrap_err().kind, FileFaultKind::Missing);
}

#[tokio::test]
async fn removals_have_one_result_each_and_a_folder_in_use_is_skipped() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    fs::create_dir_all(path.join("full/empty")).unwrap();
    fs::write(path.join("full/a"), b"").unwrap();
    fs::write(path.join("b"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let folders = ["full/empty", "full", "missing"].map(relative);
    let removed = hive
        .remove(&source, &["missing", "b", "full"].map(relative), &folders)
        .await
        .unwrap();
    let removed = kinds(removed);
    assert_eq!(removed[..2], [None, None]);
    assert!(removed[2].is_some() && !path.join("b").exists());
    assert!(path.join("full/a").exists() && !path.join("full/empty").exists());
}

#[tokio::test]
async fn thousands_of_files_are_withdrawn_and_inspected_in_one_call() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let names: Vec<String> = (0..5000)
        .map(|number| format!("folder{}/a rather long name of number {number:08}", number % 7))
        .collect();
    (0..7).for_each(|number| fs::create_dir(path.join(format!("folder{number}"))).unwrap());
    for name in &names {
        fs::write(path.join(name), b"").unwrap();
    }
    let hive = world.connect("hive", &[]).await.unwrap();
    let moves: Vec<_> = names
        .iter()
        .map(|name| step(name, format!(".w/pass/{name}")))
        .collect();
    assert!(
        hive.rename(&source, &moves)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    let paths: Vec<_> = moves.into_iter().map(|step| step.to).collect();
    let inspected = hive.inspect(&source, &paths).await.unwrap();
    assert_eq!(
        (
            inspected.len(),
            inspected.iter().filter(|inspected| inspected.is_ok()).count()
        ),
        (5000, 5000)
    );
    // Only their owner may enter the folders that gleaner makes.
    assert_eq!(
        fs::metadata(path.join(".w")).unwrap().permissions().mode() & 0o077,
        0
    );
}

#[tokio::test]
async fn a_bandwidth_is_kept_to() {
    let mut world = World::new().device("hive", "");
    world.bandwidth = Some(1_000_000);
    let (path, source) = world.source("data");
    fs::write(path.join("a"), vec![1; 2_000_000]).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let began = std::time::Instant::now();
    let (fetched, _) = fetch(&hive, &source, &relative("a"), 0, 2_000_000).await;
    assert_eq!(fetched, Ok(2_000_000));
    // All but the first read, which is not delayed.
    assert!(began.elapsed().as_secs_f64() > 1.0);
}

#[tokio::test]
async fn a_folder_that_is_removed_after_it_was_made_is_made_again() {
    let world = World::new().device("hive", "ForceCommand internal-sftp\n");
    let (path, source) = world.source("data");
    let hive = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    for name in ["one", "two"] {
        fs::write(path.join(name), name).unwrap();
        let step = Move {
            from: relative(name),
            to: relative(format!("made/deep/{name}")),
        };
        let moved = hive.rename(&source, &[step]).await.unwrap();
        assert!(matches!(moved[..], [Ok(Ok(_))]), "{moved:?}");
        // As `find -depth -type d -empty -delete` does once it is empty.
        fs::remove_dir_all(path.join("made")).unwrap();
    }
}
