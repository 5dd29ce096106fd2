//! Digests that a device makes of its own files.

use std::fs;
use std::os::unix::fs::symlink;

use engine::ports::device::{DigestRequest, Session};
use model::{Digest, RelativePath};
use sha2::{Digest as _, Sha256};

use crate::listing::odd_names;
use crate::world::{World, relative, with_tool};

fn digest(bytes: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(bytes).into())
}

fn whole(path: RelativePath) -> DigestRequest {
    DigestRequest {
        path,
        offset: 0,
        length: None,
    }
}

#[tokio::test]
async fn files_of_every_name_are_digested_and_a_missing_one_is_not() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let names = odd_names();
    let mut requests = Vec::new();
    for (number, name) in names.iter().enumerate() {
        fs::write(path.join(name), format!("content {number}")).unwrap();
        requests.push(whole(relative(name)));
        requests.push(whole(relative(format!("missing {number}"))));
    }
    let hive = world.connect("hive", &[]).await.unwrap();
    assert!(hive.abilities().digests);
    let digests = hive.digest(&source, &requests).await.unwrap();
    for (number, pair) in digests.chunks(2).enumerate() {
        let expected = Some(digest(format!("content {number}").as_bytes()));
        assert_eq!(pair, [expected, None], "{:?}", names[number]);
    }
}

#[tokio::test]
async fn ranges_are_digested_and_a_folder_or_a_link_is_not() {
    let world = World::new().device("hive", "");
    let (path, source) = world.source("data");
    let content: Vec<u8> = (0..5_500_000_u32).map(|number| (number % 253) as u8).collect();
    fs::write(path.join("a b"), &content).unwrap();
    fs::create_dir(path.join("folder")).unwrap();
    symlink("a b", path.join("link")).unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let megabyte = 1 << 20;
    let range = |name: &str, offset: usize, length: Option<usize>| DigestRequest {
        path: relative(name),
        offset: offset as u64,
        length: length.map(|length| length as u64),
    };
    let requests = [
        range("a b", 0, Some(2 * megabyte)),
        range("a b", 2 * megabyte, Some(megabyte + 17)),
        range("missing", 0, Some(megabyte)),
        range("folder", 0, Some(megabyte)),
        range("a b", 4 * megabyte, None),
        range("link", megabyte, None),
        range("a b", 0, Some(content.len())),
    ];
    let expected = vec![
        Some(digest(&content[..2 * megabyte])),
        Some(digest(&content[2 * megabyte..3 * megabyte + 17])),
        None,
        None,
        Some(digest(&content[4 * megabyte..])),
        None,
        Some(digest(&content)),
    ];
    assert_eq!(hive.digest(&source, &requests).await.unwrap(), expected);
}

#[tokio::test]
async fn a_long_digest_delays_neither_an_inspection_nor_a_survey() {
    // A digest that never finishes. `openssl dgst -sha256 -r` has three arguments in the test of the tool
    // too; only a file makes it four.
    let slow = "case $# in 4) exec sleep 60 ;; *) exec /usr/bin/openssl \"$@\" ;; esac";
    let world = with_tool("openssl", slow);
    let (path, source) = world.source("data");
    fs::write(path.join("a"), b"").unwrap();
    let hive = world.connect("hive", &[]).await.unwrap();
    let a = [relative("a")];
    let requests: Vec<_> = a.iter().cloned().map(whole).collect();
    let others = async {
        for _ in 0..3 {
            hive.inspect(&source, &a).await.unwrap();
            crate::world::entries(&hive, &source).await;
        }
    };
    tokio::select! {
        digests = async { tokio::join!(hive.digest(&source, &requests), hive.digest(&source, &requests), hive.digest(&source, &requests)) } => panic!("{digests:?}"),
        () = others => {}
    }
}
