//! Small files read by one command for many.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use engine::ports::device::{
    Chunk, FileFault, FileFaultKind, Move, SMALL_FILE_MAX, Session, SmallFileRequest,
};
use model::{RelativePath, SourcePath};
use tokio::sync::{mpsc, oneshot};

use crate::listing::odd_names;
use crate::world::{Connection, World, relative, with_tool};

/// The outcome and bytes of a file; `None` when it was skipped.
type Read = Option<(Result<u64, FileFault>, Vec<u8>)>;

/// Reads files together. Takes no chunk before all files are requested, and then one file after the other.
async fn read(hive: &Connection, source: &SourcePath, files: &[(RelativePath, u64)]) -> Vec<Read> {
    let (mut requests, mut receivers) = (Vec::new(), Vec::new());
    for (path, expected_size) in files {
        let (chunks, receiver) = mpsc::unbounded_channel::<Chunk>();
        let (outcome, result) = oneshot::channel();
        requests.push(SmallFileRequest {
            path: path.clone(),
            expected_size: *expected_size,
            chunks,
            outcome,
        });
        receivers.push((receiver, result));
    }
    let consume = async {
        let mut reads = Vec::new();
        for (mut receiver, result) in receivers {
            let mut bytes = Vec::new();
            while let Some(chunk) = receiver.recv().await {
                bytes.extend_from_slice(&chunk.bytes);
            }
            reads.push(result.await.ok().map(|outcome| (outcome, bytes)));
        }
        reads
    };
    let (read, reads) = tokio::join!(hive.fetch_together(source, requests), consume);
    read.unwrap();
    reads
}

#[tokio::test]
async fn files_of_every_name_and_size_come_whole_and_in_any_number() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let mut contents: HashMap<RelativePath, Vec<u8>> = HashMap::new();
    let long = "a folder with a name as long as it takes/".repeat(5);
    fs::create_dir_all(path.join(&long)).unwrap();
    for name in odd_names() {
        contents.insert(relative(&name), name.as_bytes().to_vec());
        let mut deep = long.clone().into_bytes();
        deep.extend_from_slice(name.as_bytes());
        contents.insert(RelativePath::new(deep).unwrap(), b"deep".to_vec());
    }
    // More files than fit into one request, and more bytes than may wait for their consumer.
    for number in 0..1500_u32 {
        let length = [0, 1, 511, 512, 513, 9_000, 40_000][number as usize % 7];
        let content = (0..length).map(|at| ((at + number) % 251) as u8).collect();
        contents.insert(relative(format!("n{number}")), content);
    }
    contents.insert(
        relative("largest"),
        vec![7; usize::try_from(SMALL_FILE_MAX).unwrap()],
    );
    for (name, content) in &contents {
        fs::write(path.join(std::ffi::OsStr::from_bytes(name.as_bytes())), content).unwrap();
    }
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(hive.abilities().reads_together);
    let files: Vec<_> = contents
        .iter()
        .map(|(name, content)| (name.clone(), content.len() as u64))
        .collect();
    for ((name, size), read) in files.iter().zip(read(&hive, &source, &files).await) {
        assert!(read == Some((Ok(*size), contents[name].clone())), "{name}");
    }
}

#[tokio::test]
async fn a_missing_odd_or_resized_file_spoils_no_other() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    for name in ["a", "b", "c", "grown", "shrunk"] {
        fs::write(path.join(name), name).unwrap();
    }
    fs::hard_link(path.join("a"), path.join("again")).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    fs::write(path.join("folder/inside"), "inside").unwrap();
    symlink("a", path.join("link")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let names = [
        "a", "missing", "b", "folder", "grown", "link", "shrunk", "again", "c",
    ];
    let sizes = [1, 7, 1, 6, 4, 1, 7, 1, 1];
    let files: Vec<_> = names.map(relative).into_iter().zip(sizes).collect();
    let reads = read(&hive, &source, &files).await;
    let whole = |name: &str| Some((Ok(name.len() as u64), name.as_bytes().to_vec()));
    for (at, name) in [(0, "a"), (2, "b"), (6, "shrunk"), (7, "a"), (8, "c")] {
        assert_eq!(reads[at], whole(name), "{name}");
    }
    for at in [1, 3, 5] {
        assert_eq!(reads[at], None, "{}", names[at]);
    }
    let (grown, bytes) = reads[4].clone().unwrap();
    assert_eq!(
        (grown.unwrap_err().kind, bytes),
        (FileFaultKind::Grown, Vec::new())
    );
}

#[tokio::test]
async fn a_missing_or_odd_perl_is_noticed() {
    for perl in ["exit 127", "echo bad", "echo what?; exit 1"] {
        let world = with_tool("perl", perl);
        let hive = world.connect("hive", &[]).await.unwrap();
        assert!(!hive.abilities().reads_together, "{perl}");
    }
}

#[tokio::test]
async fn where_perl_fails_every_file_is_skipped() {
    let world = with_tool("perl", "case $2 in *STDIN*) ;; *) printf good ;; esac");
    let (path, source) = world.source("data");
    fs::write(path.join("a"), "a").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(hive.abilities().reads_together);
    let reads = read(&hive, &source, &vec![(relative("a"), 1); 2000]).await;
    assert!(reads.iter().all(Option::is_none));
}

#[tokio::test]
async fn an_unreported_rename_of_a_killed_perl_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    // A perl that renames and reports nothing, while the camera begins another file with the old name.
    let world = with_tool(
        "perl",
        &format!(
            "case $2 in *rename*STDIN*|*STDIN*rename*) /usr/bin/perl \"$@\" >/dev/null; printf new >{0}/data/a; exit 1 ;; esac\nexec /usr/bin/perl \"$@\"",
            folder.path().display()
        ),
    );
    let path = folder.path().join("data");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("a"), "old").unwrap();
    let source = SourcePath::new(path.to_str().unwrap()).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let moves = ["a", "missing"].map(|name| Move {
        from: relative(name),
        to: relative(format!(".w/pass/{name}")),
    });
    let answers = hive.rename(&source, &moves).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().as_ref().unwrap().identity.size, 3);
    assert_eq!(answers[1].as_ref().unwrap_err().kind, FileFaultKind::Missing);
    assert_eq!(fs::read(path.join(".w/pass/a")).unwrap(), b"old");
    assert_eq!(fs::read(path.join("a")).unwrap(), b"new");
}
