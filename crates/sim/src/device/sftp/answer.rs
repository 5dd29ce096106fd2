//! How the server carries out each request.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, ReadDir};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use sftp::codec::{
    Attributes, ClientPacket, Extension, Hello, Limits, Name, OpenFlags, Request, Response, ServerPacket,
    Status, StatusCode, VERSION, names,
};

use super::describe::{attributes, dots, file_system, name, status};

/// OpenSSH's limit: 256 KiB for a packet, minus 1 KiB for the other fields.
const READ_LENGTH: u32 = (256 << 10) - 1024;

/// The number of names in one READDIR reply, as in OpenSSH.
const NAMES_AT_ONCE: usize = 100;

/// The maximum of open files and folders in one session.
const OPEN_HANDLES: usize = 1024;

/// The state of one session.
pub(crate) struct Server {
    home: PathBuf,
    open: HashMap<u32, Open>,
    next_handle: u32,
}

enum Open {
    File {
        file: File,
        appending: bool,
    },
    Folder {
        path: PathBuf,
        dots: Vec<Name>,
        entries: ReadDir,
    },
}

impl Server {
    pub(crate) fn new(home: PathBuf) -> Server {
        Server {
            home,
            open: HashMap::new(),
            next_handle: 0,
        }
    }

    pub(crate) fn answer(&mut self, packet: ClientPacket) -> ServerPacket {
        match packet {
            ClientPacket::Init(_) => ServerPacket::Version(hello()),
            ClientPacket::Request { id, request } => ServerPacket::Response {
                id,
                response: self.respond(request),
            },
        }
    }

    pub(crate) fn respond(&mut self, request: Request) -> Response {
        self.carry_out(request)
            .unwrap_or_else(|error| Response::Status(status(&error)))
    }

    fn carry_out(&mut self, request: Request) -> io::Result<Response> {
        match request {
            Request::Open {
                path,
                flags,
                attributes,
            } => self.open_file(&path, flags, &attributes),
            Request::Close { handle } => self
                .open
                .remove(&number(&handle)?)
                .map(|_| done())
                .ok_or_else(bad_handle),
            Request::Read {
                handle,
                offset,
                length,
            } => self.read(&handle, offset, length),
            Request::Write { handle, offset, data } => self.write(&handle, offset, &data),
            Request::Lstat { path } => Ok(described(&fs::symlink_metadata(self.path(&path))?)),
            Request::Stat { path } => Ok(described(&fs::metadata(self.path(&path))?)),
            Request::Fstat { handle } => Ok(described(&self.file(&handle)?.metadata()?)),
            Request::Setstat { path, attributes } => change(&self.path(&path), &attributes),
            Request::Fsetstat { handle, attributes } => change_open(self.file(&handle)?, &attributes),
            Request::Opendir { path } => self.open_folder(&path),
            Request::Readdir { handle } => self.read_folder(&handle),
            Request::Remove { path } => fs::remove_file(self.path(&path)).map(|()| done()),
            Request::Mkdir { path, attributes } => {
                let mode = attributes.permissions.map_or(0o777, |mode| mode & 0o7777);
                DirBuilder::new()
                    .mode(mode)
                    .create(self.path(&path))
                    .map(|()| done())
            }
            Request::Rmdir { path } => fs::remove_dir(self.path(&path)).map(|()| done()),
            Request::Realpath { path } => real_path(&self.path(if path.is_empty() { b"." } else { &path })),
            Request::Rename { source, target } => rename(&self.path(&source), &self.path(&target)),
            Request::Readlink { path } => Ok(one_name(fs::read_link(self.path(&path))?)),
            Request::Symlink { target, link } => {
                std::os::unix::fs::symlink(OsStr::from_bytes(&target), self.path(&link)).map(|()| done())
            }
            Request::Extended(extension) => self.extended(extension),
        }
    }

    fn extended(&mut self, extension: Extension) -> io::Result<Response> {
        match extension {
            Extension::PosixRename { source, target } => {
                fs::rename(self.path(&source), self.path(&target)).map(|()| done())
            }
            Extension::Limits => Ok(Response::ExtendedReply(limits().encode())),
            Extension::Statvfs { path } => {
                let found = rustix::fs::statvfs(self.path(&path))?;
                Ok(Response::ExtendedReply(file_system(&found).encode()))
            }
            Extension::Fsync { handle } => self.file(&handle)?.sync_all().map(|()| done()),
            Extension::Hardlink { source, target } => {
                fs::hard_link(self.path(&source), self.path(&target)).map(|()| done())
            }
            Extension::Other { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn open_file(&mut self, path: &[u8], flags: OpenFlags, attributes: &Attributes) -> io::Result<Response> {
        let appending = flags.contains(OpenFlags::APPEND);
        let mut options = OpenOptions::new();
        options.read(flags.contains(OpenFlags::READ));
        options.write(flags.contains(OpenFlags::WRITE)).append(appending);
        options
            .create(flags.contains(OpenFlags::CREATE))
            .truncate(flags.contains(OpenFlags::TRUNCATE));
        options.create_new(flags.contains(OpenFlags::CREATE) && flags.contains(OpenFlags::EXCLUSIVE));
        options.mode(attributes.permissions.map_or(0o666, |mode| mode & 0o7777));
        let file = options.open(self.path(path))?;
        self.keep(Open::File { file, appending })
    }

    fn open_folder(&mut self, path: &[u8]) -> io::Result<Response> {
        let path = self.path(path);
        let entries = fs::read_dir(&path)?;
        let dots = dots(&path);
        self.keep(Open::Folder { path, dots, entries })
    }

    fn keep(&mut self, opened: Open) -> io::Result<Response> {
        if self.open.len() >= OPEN_HANDLES {
            return Err(rustix::io::Errno::MFILE.into());
        }
        while self.open.contains_key(&self.next_handle) {
            self.next_handle = self.next_handle.wrapping_add(1);
        }
        let handle = self.next_handle;
        self.next_handle = handle.wrapping_add(1);
        self.open.insert(handle, opened);
        Ok(Response::Handle(Bytes::copy_from_slice(&handle.to_be_bytes())))
    }

    fn read(&mut self, handle: &[u8], offset: u64, length: u32) -> io::Result<Response> {
        let file = self.file(handle)?;
        let mut data = vec![0; length.min(READ_LENGTH) as usize];
        let read = file.read_at(&mut data, offset)?;
        if read == 0 && length != 0 {
            return Ok(end());
        }
        data.truncate(read);
        Ok(Response::Data(data.into()))
    }

    fn write(&mut self, handle: &[u8], offset: u64, data: &[u8]) -> io::Result<Response> {
        match self.open.get_mut(&number(handle)?) {
            Some(Open::File {
                file,
                appending: true,
            }) => file.write_all(data)?,
            Some(Open::File {
                file,
                appending: false,
            }) => file.write_all_at(data, offset)?,
            _ => return Err(bad_handle()),
        }
        Ok(done())
    }

    fn read_folder(&mut self, handle: &[u8]) -> io::Result<Response> {
        let Some(Open::Folder { path, dots, entries }) = self.open.get_mut(&number(handle)?) else {
            return Err(bad_handle());
        };
        let mut found = std::mem::take(dots);
        while found.len() < NAMES_AT_ONCE {
            let Some(entry) = entries.next().transpose()? else {
                break;
            };
            // The file was removed since it was listed: left out, as OpenSSH does.
            if let Ok(metadata) = fs::symlink_metadata(path.join(entry.file_name())) {
                found.push(name(entry.file_name(), &metadata));
            }
        }
        Ok(if found.is_empty() {
            end()
        } else {
            Response::Name(found)
        })
    }

    fn file(&self, handle: &[u8]) -> io::Result<&File> {
        match self.open.get(&number(handle)?) {
            Some(Open::File { file, .. }) => Ok(file),
            _ => Err(bad_handle()),
        }
    }

    /// Keeps an empty path empty, so that the system refuses it.
    fn path(&self, path: &[u8]) -> PathBuf {
        let path = Path::new(OsStr::from_bytes(path));
        if path.as_os_str().is_empty() {
            PathBuf::new()
        } else {
            self.home.join(path)
        }
    }
}

fn hello() -> Hello {
    let announced = [
        (names::POSIX_RENAME, "1"),
        (names::STATVFS, "2"),
        (names::HARDLINK, "1"),
        (names::FSYNC, "1"),
        (names::LIMITS, "1"),
    ];
    let extensions = announced.map(|(name, version)| (Bytes::from_static(name.as_bytes()), version.into()));
    Hello {
        version: VERSION,
        extensions: extensions.into(),
    }
}

fn limits() -> Limits {
    Limits {
        packet_length: 256 << 10,
        read_length: READ_LENGTH.into(),
        write_length: READ_LENGTH.into(),
        open_handles: OPEN_HANDLES as u64,
    }
}

fn done() -> Response {
    Response::Status(Status::new(StatusCode::Ok, "Success"))
}

fn end() -> Response {
    Response::Status(Status::new(StatusCode::Eof, "End of file"))
}

fn described(metadata: &fs::Metadata) -> Response {
    Response::Attributes(attributes(metadata))
}

fn one_name(path: PathBuf) -> Response {
    let name = Bytes::from(path.into_os_string().into_vec());
    Response::Name(vec![Name {
        long_name: name.clone(),
        name,
        attributes: Attributes::default(),
    }])
}

fn number(handle: &[u8]) -> io::Result<u32> {
    handle
        .try_into()
        .map(u32::from_be_bytes)
        .map_err(|_| bad_handle())
}

fn bad_handle() -> io::Error {
    rustix::io::Errno::BADF.into()
}

/// As in OpenSSH, the last component need not exist.
fn real_path(path: &Path) -> io::Result<Response> {
    let found =
        path.canonicalize()
            .or_else(|error| match (error.kind(), path.parent(), path.file_name()) {
                (io::ErrorKind::NotFound, Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
                _ => Err(error),
            })?;
    Ok(one_name(found))
}

/// As in OpenSSH, renames files by link and unlink: this never replaces a file, but a crash can hit between
/// the two steps.
fn rename(source: &Path, target: &Path) -> io::Result<Response> {
    if fs::symlink_metadata(source)?.is_file() {
        fs::hard_link(source, target)?;
        fs::remove_file(source)?;
    } else if fs::metadata(target).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    } else {
        fs::rename(source, target)?;
    }
    Ok(done())
}

fn change(path: &Path, wanted: &Attributes) -> io::Result<Response> {
    if let Some(size) = wanted.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some(mode) = wanted.permissions {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = timestamps(wanted) {
        rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?;
    }
    if let Some(owner) = wanted.owner {
        std::os::unix::fs::chown(path, Some(owner.user), Some(owner.group))?;
    }
    Ok(done())
}

fn change_open(file: &File, wanted: &Attributes) -> io::Result<Response> {
    if let Some(size) = wanted.size {
        file.set_len(size)?;
    }
    if let Some(mode) = wanted.permissions {
        file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some(times) = timestamps(wanted) {
        rustix::fs::futimens(file, &times)?;
    }
    if let Some(owner) = wanted.owner {
        std::os::unix::fs::fchown(file, Some(owner.user), Some(owner.group))?;
    }
    Ok(done())
}

fn timestamps(wanted: &Attributes) -> Option<Timestamps> {
    let at = |seconds: u32| Timespec {
        tv_sec: seconds.into(),
        tv_nsec: 0,
    };
    let times = wanted.times?;
    Some(Timestamps {
        last_access: at(times.accessed),
        last_modification: at(times.modified),
    })
}
