//! Checks of the system calls below the store (`storage::Disk`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use model::Timestamp;
use rustix::io::Errno;
use storage::Disk;
use storage::disk::{Access, EntryKind};

use super::{Checked, ensure, message, same};

/// A disk with an empty folder.
#[derive(Debug)]
pub struct DiskFixture<D> {
    /// The disk.
    pub disk: Arc<D>,
    /// The folder.
    pub folder: std::path::PathBuf,
}

/// Checks every promise of the trait, each with a fresh fixture.
pub async fn check<D: Disk>(fresh: impl Fn() -> DiskFixture<D>) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        written_bytes_are_read_back_to_the_end,
        a_file_is_created_only_under_a_free_name,
        a_link_never_replaces_and_names_the_same_file,
        a_rename_replaces_only_where_it_may,
        paths_pass_through_folders_only_and_never_escape,
        a_missing_name_is_reported_as_missing,
        a_folder_lists_its_entries,
        set_times_are_kept_and_changes_show,
        an_unlinked_open_file_can_still_be_written_and_read,
    )
}

fn open<D: Disk>(fixture: &DiskFixture<D>) -> Result<D::Folder, String> {
    fixture.disk.open_root(&fixture.folder).map_err(message)
}

fn refused<T>(what: &str, result: io::Result<T>, allowed: &[Errno]) -> Checked {
    match result {
        Ok(_) => Err(format!("{what} succeeded")),
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            ensure(errno.is_some_and(|errno| allowed.contains(&errno)), || {
                format!("{what}: {error}")
            })
        }
    }
}

fn write<D: Disk>(disk: &D, at: &D::Folder, name: &[u8], bytes: &[u8]) -> Result<D::File, String> {
    let file = disk.create_file(at, name).map_err(message)?;
    let mut done = 0;
    while done < bytes.len() {
        let offset = u64::try_from(done).map_err(message)?;
        done += disk
            .write_at(&file, bytes.get(done..).unwrap_or_default(), offset)
            .map_err(message)?;
    }
    Ok(file)
}

fn read<D: Disk>(disk: &D, file: &D::File) -> Result<Vec<u8>, String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 100]);
    loop {
        let offset = u64::try_from(bytes.len()).map_err(message)?;
        match disk.read_at(file, &mut buffer, offset).map_err(message)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

async fn written_bytes_are_read_back_to_the_end<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    let bytes: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
    let file = write(disk, &root, b"a", &bytes)?;
    same("bytes", &read(disk, &file)?, &bytes)?;
    disk.flush_file(&file).map_err(message)?;
    disk.drop_cache(&file, 0, 4000);
    same("bytes after a flush", &read(disk, &file)?, &bytes)?;
    disk.truncate(&file, 10).map_err(message)?;
    same(
        "bytes after a truncation",
        &read(disk, &file)?,
        &bytes.get(..10).unwrap_or_default().to_vec(),
    )?;
    disk.preallocate(&file, 100_000)
        .or_else(|error| {
            if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) {
                Ok(())
            } else {
                Err(error)
            }
        })
        .map_err(message)?;
    same(
        "size after a preallocation",
        &disk.file_status(&file).map_err(message)?.size,
        &10,
    )?;
    let again = disk.open_file(&root, b"a", Access::Read).map_err(message)?;
    same("bytes of the file opened again", &read(disk, &again)?.len(), &10)
}

async fn a_file_is_created_only_under_a_free_name<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    write(disk, &root, b"a", b"first")?;
    disk.make_folder(&root, b"folder").map_err(message)?;
    for name in [&b"a"[..], b"folder"] {
        refused(
            "creating an existing file",
            disk.create_file(&root, name),
            &[Errno::EXIST],
        )?;
        refused(
            "creating an existing folder",
            disk.make_folder(&root, name),
            &[Errno::EXIST],
        )?;
    }
    let long = [b'x'; 256];
    refused(
        "a name of 256 bytes",
        disk.create_file(&root, &long),
        &[Errno::NAMETOOLONG],
    )
}

async fn a_link_never_replaces_and_names_the_same_file<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    write(disk, &root, b"a", b"first")?;
    write(disk, &root, b"b", b"second")?;
    refused(
        "a link onto a file",
        disk.link(&root, b"a", &root, b"b"),
        &[Errno::EXIST],
    )?;
    refused(
        "a link from nothing",
        disk.link(&root, b"missing", &root, b"c"),
        &[Errno::NOENT],
    )?;
    disk.link(&root, b"a", &root, b"c").map_err(message)?;
    let identity = |name: &[u8]| {
        disk.status_at(&root, name)
            .map(|status| status.identity)
            .map_err(message)
    };
    same("identity", &identity(b"c")?, &identity(b"a")?)?;
    ensure(identity(b"b")? != identity(b"a")?, || {
        "two files have one identity".to_owned()
    })?;
    disk.remove_file(&root, b"a").map_err(message)?;
    let file = disk.open_file(&root, b"c", Access::Read).map_err(message)?;
    same(
        "content under the other name",
        &read(disk, &file)?,
        &b"first".to_vec(),
    )
}

async fn a_rename_replaces_only_where_it_may<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    write(disk, &root, b"a", b"first")?;
    write(disk, &root, b"b", b"second")?;
    disk.make_folder(&root, b"folder").map_err(message)?;
    let folder = disk.open_folder(&root, b"folder").map_err(message)?;
    let taken = disk.rename_without_replacing(&root, b"a", &root, b"b");
    refused("a rename onto a file", taken, &[Errno::EXIST])?;
    disk.rename_without_replacing(&root, b"a", &folder, b"a")
        .map_err(message)?;
    refused("the old name", disk.status_at(&root, b"a"), &[Errno::NOENT])?;
    disk.rename(&folder, b"a", &root, b"b").map_err(message)?;
    let file = disk.open_file(&root, b"b", Access::Read).map_err(message)?;
    same("what replaced", &read(disk, &file)?, &b"first".to_vec())?;
    refused(
        "a rename of nothing",
        disk.rename(&root, b"a", &root, b"c"),
        &[Errno::NOENT],
    )
}

async fn paths_pass_through_folders_only_and_never_escape<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    disk.make_folder(&root, b"a").map_err(message)?;
    let a = disk.open_folder(&root, b"a").map_err(message)?;
    disk.make_folder(&a, b"b").map_err(message)?;
    write(disk, &a, b"file", b"x")?;
    disk.open_folder(&root, b"a/b").map_err(message)?;
    disk.open_file(&root, b"a/file", Access::Read).map_err(message)?;
    refused(
        "a file as a folder",
        disk.open_folder(&root, b"a/file"),
        &[Errno::NOTDIR],
    )?;
    refused(
        "a path through a file",
        disk.open_folder(&root, b"a/file/x"),
        &[Errno::NOTDIR],
    )?;
    let outside = disk.open_folder(&a, b"../..");
    refused(
        "a path that leads out",
        outside.map(drop),
        &[Errno::XDEV, Errno::INVAL],
    )
}

async fn a_missing_name_is_reported_as_missing<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    let missing = &[Errno::NOENT];
    refused("opening a folder", disk.open_folder(&root, b"x"), missing)?;
    refused(
        "opening a file",
        disk.open_file(&root, b"x", Access::Read).map(drop),
        missing,
    )?;
    refused("the status of a name", disk.status_at(&root, b"x"), missing)?;
    refused("removing a name", disk.remove_file(&root, b"x"), missing)?;
    refused(
        "opening a root",
        disk.open_root(Path::new("/no/such/folder")).map(drop),
        missing,
    )
}

async fn a_folder_lists_its_entries<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    same(
        "entries of an empty folder",
        &disk.entries(&root).map_err(message)?.count(),
        &0,
    )?;
    write(disk, &root, b"\xff file", b"x")?;
    disk.make_folder(&root, b"folder").map_err(message)?;
    let mut found = Vec::new();
    for entry in disk.entries(&root).map_err(message)? {
        let entry = entry.map_err(message)?;
        let kind = disk.status_at(&root, &entry.name).map_err(message)?.kind;
        found.push((entry.name, kind));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = vec![
        (b"folder".to_vec(), EntryKind::Folder),
        (b"\xff file".to_vec(), EntryKind::File),
    ];
    ensure(found == expected, || format!("{found:?}"))
}

async fn set_times_are_kept_and_changes_show<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    let file = write(disk, &root, b"a", b"x")?;
    let modified = Timestamp::from_nanoseconds(1_500_000_000_123_456_789);
    disk.set_modified(&file, modified).map_err(message)?;
    let status = disk.file_status(&file).map_err(message)?;
    same("modified", &status.modified, &modified)?;
    ensure(status.changed > modified, || "the ctime can be set".to_owned())?;
    same(
        "by its name",
        &disk.status_at(&root, b"a").map_err(message)?,
        &status,
    )
}

async fn an_unlinked_open_file_can_still_be_written_and_read<D: Disk>(fixture: &DiskFixture<D>) -> Checked {
    let (disk, root) = (&*fixture.disk, open(fixture)?);
    let file = write(disk, &root, b"a", b"x")?;
    disk.remove_file(&root, b"a").map_err(message)?;
    disk.write_at(&file, b"y", 1).map_err(message)?;
    same("bytes", &read(disk, &file)?, &b"xy".to_vec())?;
    refused("its name", disk.status_at(&root, b"a"), &[Errno::NOENT])
}
