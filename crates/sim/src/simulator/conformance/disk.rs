//! The system calls below the store (`storage::Disk`).

use std::io;
use std::path::Path;
use std::sync::Arc;

use model::Timestamp;
use rustix::io::Errno;
use storage::Disk;
use storage::disk::{Access, EntryKind};

use super::{Checked, ensure, same, told};

/// A disk with an empty folder on it.
#[derive(Debug)]
pub struct Place<D> {
    /// The disk.
    pub disk: Arc<D>,
    /// The folder.
    pub folder: std::path::PathBuf,
}

/// Every promise of the trait, each in a fresh place.
pub async fn check<D: Disk>(fresh: impl Fn() -> Place<D>) -> Vec<String> {
    crate::hold_to!(
        fresh(),
        what_is_written_is_read_up_to_the_end,
        a_file_is_made_only_where_nothing_has_the_name,
        a_link_never_replaces_and_is_the_same_file,
        a_rename_replaces_only_where_it_may,
        paths_lead_through_folders_only_and_never_out,
        what_is_missing_is_told_as_missing,
        a_folder_lists_what_is_in_it,
        times_are_kept_and_changes_show,
        a_file_that_lost_its_name_can_be_written_and_read_on,
    )
}

fn open<D: Disk>(place: &Place<D>) -> Result<D::Folder, String> {
    place.disk.open_root(&place.folder).map_err(told)
}

fn refused<T>(what: &str, result: io::Result<T>, allowed: &[Errno]) -> Checked {
    match result {
        Ok(_) => Err(format!("{what} was done")),
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            ensure(errno.is_some_and(|errno| allowed.contains(&errno)), || {
                format!("{what}: {error}")
            })
        }
    }
}

fn write<D: Disk>(disk: &D, at: &D::Folder, name: &[u8], bytes: &[u8]) -> Result<D::File, String> {
    let file = disk.create_file(at, name).map_err(told)?;
    let mut done = 0;
    while done < bytes.len() {
        let offset = u64::try_from(done).map_err(told)?;
        done += disk
            .write_at(&file, bytes.get(done..).unwrap_or_default(), offset)
            .map_err(told)?;
    }
    Ok(file)
}

fn read<D: Disk>(disk: &D, file: &D::File) -> Result<Vec<u8>, String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 100]);
    loop {
        let offset = u64::try_from(bytes.len()).map_err(told)?;
        match disk.read_at(file, &mut buffer, offset).map_err(told)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

async fn what_is_written_is_read_up_to_the_end<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    let bytes: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
    let file = write(disk, &root, b"a", &bytes)?;
    same("bytes", &read(disk, &file)?, &bytes)?;
    disk.flush_file(&file).map_err(told)?;
    disk.drop_cache(&file, 0, 4000);
    same("bytes after a flush", &read(disk, &file)?, &bytes)?;
    disk.truncate(&file, 10).map_err(told)?;
    same(
        "bytes after a cut",
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
        .map_err(told)?;
    same(
        "size after room was reserved",
        &disk.file_status(&file).map_err(told)?.size,
        &10,
    )?;
    let again = disk.open_file(&root, b"a", Access::Read).map_err(told)?;
    same("bytes of the file opened again", &read(disk, &again)?.len(), &10)
}

async fn a_file_is_made_only_where_nothing_has_the_name<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    write(disk, &root, b"a", b"first")?;
    disk.make_folder(&root, b"folder").map_err(told)?;
    for name in [&b"a"[..], b"folder"] {
        refused(
            "to make a file that is there",
            disk.create_file(&root, name),
            &[Errno::EXIST],
        )?;
        refused(
            "to make a folder that is there",
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

async fn a_link_never_replaces_and_is_the_same_file<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
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
    disk.link(&root, b"a", &root, b"c").map_err(told)?;
    let identity = |name: &[u8]| {
        disk.status_at(&root, name)
            .map(|status| status.identity)
            .map_err(told)
    };
    same("identity", &identity(b"c")?, &identity(b"a")?)?;
    ensure(identity(b"b")? != identity(b"a")?, || {
        "two files are one".to_owned()
    })?;
    disk.remove_file(&root, b"a").map_err(told)?;
    let file = disk.open_file(&root, b"c", Access::Read).map_err(told)?;
    same(
        "what the other name stands for",
        &read(disk, &file)?,
        &b"first".to_vec(),
    )
}

async fn a_rename_replaces_only_where_it_may<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    write(disk, &root, b"a", b"first")?;
    write(disk, &root, b"b", b"second")?;
    disk.make_folder(&root, b"folder").map_err(told)?;
    let folder = disk.open_folder(&root, b"folder").map_err(told)?;
    let taken = disk.rename_without_replacing(&root, b"a", &root, b"b");
    refused("a rename onto a file", taken, &[Errno::EXIST])?;
    disk.rename_without_replacing(&root, b"a", &folder, b"a")
        .map_err(told)?;
    refused("the old name", disk.status_at(&root, b"a"), &[Errno::NOENT])?;
    disk.rename(&folder, b"a", &root, b"b").map_err(told)?;
    let file = disk.open_file(&root, b"b", Access::Read).map_err(told)?;
    same("what replaced", &read(disk, &file)?, &b"first".to_vec())?;
    refused(
        "a rename of nothing",
        disk.rename(&root, b"a", &root, b"c"),
        &[Errno::NOENT],
    )
}

async fn paths_lead_through_folders_only_and_never_out<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    disk.make_folder(&root, b"a").map_err(told)?;
    let a = disk.open_folder(&root, b"a").map_err(told)?;
    disk.make_folder(&a, b"b").map_err(told)?;
    write(disk, &a, b"file", b"x")?;
    disk.open_folder(&root, b"a/b").map_err(told)?;
    disk.open_file(&root, b"a/file", Access::Read).map_err(told)?;
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

async fn what_is_missing_is_told_as_missing<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    let missing = &[Errno::NOENT];
    refused("to open a folder", disk.open_folder(&root, b"x"), missing)?;
    refused(
        "to open a file",
        disk.open_file(&root, b"x", Access::Read).map(drop),
        missing,
    )?;
    refused("to look at a name", disk.status_at(&root, b"x"), missing)?;
    refused("to remove a name", disk.remove_file(&root, b"x"), missing)?;
    refused(
        "to open a root",
        disk.open_root(Path::new("/no/such/folder")).map(drop),
        missing,
    )
}

async fn a_folder_lists_what_is_in_it<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    same(
        "entries of an empty folder",
        &disk.entries(&root).map_err(told)?.count(),
        &0,
    )?;
    write(disk, &root, b"\xff file", b"x")?;
    disk.make_folder(&root, b"folder").map_err(told)?;
    let mut found = Vec::new();
    for entry in disk.entries(&root).map_err(told)? {
        let entry = entry.map_err(told)?;
        let kind = disk.status_at(&root, &entry.name).map_err(told)?.kind;
        found.push((entry.name, kind));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = vec![
        (b"folder".to_vec(), EntryKind::Folder),
        (b"\xff file".to_vec(), EntryKind::File),
    ];
    ensure(found == expected, || format!("{found:?}"))
}

async fn times_are_kept_and_changes_show<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    let file = write(disk, &root, b"a", b"x")?;
    let modified = Timestamp::from_nanoseconds(1_500_000_000_123_456_789);
    disk.set_modified(&file, modified).map_err(told)?;
    let status = disk.file_status(&file).map_err(told)?;
    same("modified", &status.modified, &modified)?;
    ensure(status.changed > modified, || {
        "the time of the last change can be set".to_owned()
    })?;
    same(
        "by its name",
        &disk.status_at(&root, b"a").map_err(told)?,
        &status,
    )
}

async fn a_file_that_lost_its_name_can_be_written_and_read_on<D: Disk>(place: &Place<D>) -> Checked {
    let (disk, root) = (&*place.disk, open(place)?);
    let file = write(disk, &root, b"a", b"x")?;
    disk.remove_file(&root, b"a").map_err(told)?;
    disk.write_at(&file, b"y", 1).map_err(told)?;
    same("bytes", &read(disk, &file)?, &b"xy".to_vec())?;
    refused("its name", disk.status_at(&root, b"a"), &[Errno::NOENT])
}
