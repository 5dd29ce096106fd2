//! Checking that files are unchanged.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use engine::ports::device::{Confirmation, FileFault, FileFaultKind, Session};
use model::{Identity, RelativePath, SourcePath};

use crate::listing::odd_names;
use crate::world::{Connection, World, relative, with_tools};

/// The identities of files at the first inspection.
async fn noted(hive: &Connection, source: &SourcePath, names: &[String]) -> Vec<(RelativePath, Identity)> {
    let paths: Vec<_> = names.iter().map(relative).collect();
    let inspected = hive.inspect(source, &paths).await.unwrap();
    let identities = inspected.into_iter().map(|inspected| inspected.unwrap().identity);
    paths.into_iter().zip(identities).collect()
}

async fn confirmed(
    hive: &Connection,
    source: &SourcePath,
    files: &[(RelativePath, Identity)],
) -> Vec<Result<Confirmation, FileFaultKind>> {
    let confirmed = hive.confirm(source, files).await.unwrap();
    let kind = |fault: FileFault| fault.kind;
    confirmed.into_iter().map(|found| found.map_err(kind)).collect()
}

/// Few files are inspected one by one, many are confirmed by one digest. The result must not depend on it.
#[tokio::test]
async fn what_is_open_changed_or_gone_is_found_among_few_and_among_many() {
    let world = World::new().device("hive", "");
    for count in [8, 400] {
        let (path, source) = world.source(&format!("data{count}"));
        let names: Vec<_> = (0..count).map(|number| format!("file{number}")).collect();
        for name in &names {
            fs::write(path.join(name), name).unwrap();
        }
        let hive = world
            .connect("hive", std::slice::from_ref(&source))
            .await
            .unwrap();
        let files = noted(&hive, &source, &names).await;
        let mut expected = vec![Ok(Confirmation::Unchanged); names.len()];
        assert_eq!(confirmed(&hive, &source, &files).await, expected);

        let open = OpenOptions::new()
            .append(true)
            .open(path.join(&names[3]))
            .unwrap();
        expected[3] = Ok(Confirmation::Open);
        assert_eq!(confirmed(&hive, &source, &files).await, expected);

        OpenOptions::new()
            .append(true)
            .open(path.join(&names[5]))
            .unwrap()
            .write_all(b"more")
            .unwrap();
        expected[5] = Ok(Confirmation::Changed);
        assert_eq!(confirmed(&hive, &source, &files).await, expected);

        fs::remove_file(path.join(&names[6])).unwrap();
        expected[6] = Err(FileFaultKind::Missing);
        assert_eq!(confirmed(&hive, &source, &files).await, expected);
        drop(open);
    }
}

#[tokio::test]
async fn confirming_many_files_takes_few_bytes_whatever_their_names() {
    // Each reply also names the files that are open for writing. Here only those of one process: other
    // processes are not under the test's control.
    let find =
        "case $1 in /proc/*) while [ $1 != -maxdepth ]; do shift; done; set -- /proc/$$/fd \"$@\" ;; esac
        exec /usr/bin/find \"$@\"";
    let grep = "case $1 in -s) exit 1 ;; esac; exec /usr/bin/grep \"$@\"";
    let world = with_tools(&[("find", find), ("grep", grep)]);
    let (path, source) = world.source("data");
    let mut names: Vec<_> = (0..1000)
        .map(|number| format!("day {}/file{number}", number % 7))
        .collect();
    for name in &names {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        fs::write(path.join(name), name).unwrap();
    }
    let odd: Vec<_> = odd_names()
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .collect();
    for name in &odd {
        fs::write(path.join(name), b"odd").unwrap();
    }
    names.extend(odd);
    let hive = world
        .connect("hive", std::slice::from_ref(&source))
        .await
        .unwrap();
    let before = hive.bytes_received();
    let files = noted(&hive, &source, &names).await;
    let to_look = hive.bytes_received() - before;
    let all_unchanged = confirmed(&hive, &source, &files).await;
    assert_eq!(all_unchanged, vec![Ok(Confirmation::Unchanged); names.len()]);
    let to_confirm = hive.bytes_received() - before - to_look;
    assert!(to_confirm * 10 < to_look, "{to_confirm} of {to_look} bytes");
}
