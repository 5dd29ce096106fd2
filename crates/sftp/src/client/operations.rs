//! Operations of one request and one reply.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::connection::await_reply;
use super::error::{Error, Failure, Operation, ProtocolError};
use super::pending::{Expected, RemoteHandle, Reply, ReplyResult, Reservation, refuse_status};
use super::{Client, ConnectionError};
use crate::codec::{Attributes, Extension, FileSystem, OpenFlags, Request, Response, StatusCode};

impl Client {
    /// Opens a file for reading. Waits while the maximum number of handles is open.
    pub async fn open_read(&self, path: &[u8]) -> Result<RemoteHandle, Error> {
        let (flags, attributes) = (OpenFlags::READ, Attributes::default());
        let request = Request::Open {
            path: Bytes::copy_from_slice(path),
            flags,
            attributes,
        };
        self.open(&request)
            .await
            .map_err(|failure| failure.into_error(Operation::Open, path))
    }

    /// Closes a handle and waits for the server's reply. Dropping the handle closes it without waiting.
    pub async fn close(&self, mut handle: RemoteHandle) -> Result<(), Error> {
        match handle.close() {
            Some(reply) => self.await_status(reply).await,
            // The server sent an empty handle, which CLOSE cannot name.
            None => Err(Failure::Connection(Arc::new(ConnectionError::Ended))),
        }
        .map_err(|failure| failure.into_error(Operation::Close, b""))
    }

    /// Reads once, at most [`Client::read_length`] bytes; `None` at the end of the file. A short result does
    /// not mean the end.
    pub async fn read(
        &self,
        handle: &RemoteHandle,
        offset: u64,
        length: u32,
    ) -> Result<Option<Bytes>, Error> {
        let length = length.clamp(1, self.read_length().await);
        let request = Request::Read {
            handle: handle.name(),
            offset,
            length,
        };
        let expected = Expected::Data { at_most: length };
        match self
            .connection()
            .request(&request, expected, Reservation::Nothing)
            .await
        {
            Ok(Response::Data(data)) => Ok(Some(data)),
            Ok(other) => Err(self.mismatch(expected, &other).into_error(Operation::Read, b"")),
            Err(Failure::Status(status)) if status.code == StatusCode::Eof => Ok(None),
            Err(failure) => Err(failure.into_error(Operation::Read, b"")),
        }
    }

    /// The attributes of a file, without following a symbolic link.
    pub async fn lstat(&self, path: &[u8]) -> Result<Attributes, Error> {
        let request = Request::Lstat {
            path: Bytes::copy_from_slice(path),
        };
        self.request_attributes(&request)
            .await
            .map_err(|failure| failure.into_error(Operation::Lstat, path))
    }

    /// The attributes of a file; follows symbolic links.
    pub async fn stat(&self, path: &[u8]) -> Result<Attributes, Error> {
        let request = Request::Stat {
            path: Bytes::copy_from_slice(path),
        };
        self.request_attributes(&request)
            .await
            .map_err(|failure| failure.into_error(Operation::Stat, path))
    }

    /// The attributes of an open file.
    pub async fn fstat(&self, handle: &RemoteHandle) -> Result<Attributes, Error> {
        let request = Request::Fstat {
            handle: handle.name(),
        };
        self.request_attributes(&request)
            .await
            .map_err(|failure| failure.into_error(Operation::Fstat, b""))
    }

    /// Unlinks a file.
    pub async fn remove(&self, path: &[u8]) -> Result<(), Error> {
        let request = Request::Remove {
            path: Bytes::copy_from_slice(path),
        };
        self.run_command(&request, Operation::Remove, path).await
    }

    /// Makes a directory, with these permissions less the server's umask.
    pub async fn mkdir(&self, path: &[u8], permissions: u32) -> Result<(), Error> {
        let attributes = Attributes {
            permissions: Some(permissions),
            ..Attributes::default()
        };
        let request = Request::Mkdir {
            path: Bytes::copy_from_slice(path),
            attributes,
        };
        self.run_command(&request, Operation::Mkdir, path).await
    }

    /// Removes an empty directory.
    pub async fn rmdir(&self, path: &[u8]) -> Result<(), Error> {
        let request = Request::Rmdir {
            path: Bytes::copy_from_slice(path),
        };
        self.run_command(&request, Operation::Rmdir, path).await
    }

    /// The absolute path without symbolic links.
    pub async fn realpath(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let request = Request::Realpath {
            path: Bytes::copy_from_slice(path),
        };
        self.request_one_name(&request)
            .await
            .map_err(|failure| failure.into_error(Operation::Realpath, path))
    }

    /// Renames as rename(2) does: atomically, and replacing the target. Fails with
    /// [`StatusCode::OpUnsupported`] if the server lacks [`crate::codec::names::POSIX_RENAME`]. Never falls
    /// back to plain RENAME, which OpenSSH implements by link and unlink.
    pub async fn posix_rename(&self, source: &[u8], target: &[u8]) -> Result<(), Error> {
        let request = Request::Extended(Extension::PosixRename {
            source: Bytes::copy_from_slice(source),
            target: Bytes::copy_from_slice(target),
        });
        self.run_command(&request, Operation::PosixRename, source).await
    }

    /// The room on the file system of this path.
    pub async fn statvfs(&self, path: &[u8]) -> Result<FileSystem, Error> {
        let request = Request::Extended(Extension::Statvfs {
            path: Bytes::copy_from_slice(path),
        });
        let named = |failure: Failure| failure.into_error(Operation::Statvfs, path);
        match self
            .connection()
            .request(&request, Expected::Extended, Reservation::Nothing)
            .await
            .map_err(named)?
        {
            Response::ExtendedReply(data) => FileSystem::decode(data)
                .map_err(|malformed| named(self.connection().fail_protocol(malformed.into()))),
            other => Err(named(self.mismatch(Expected::Extended, &other))),
        }
    }

    pub(super) async fn open(&self, request: &Request) -> Result<RemoteHandle, Failure> {
        let reservation = Reservation::Slot(self.slot().await);
        match await_reply(self.connection().start(request, Expected::Handle, reservation)).await? {
            Reply::Opened(handle) => Ok(handle),
            Reply::Response(response) | Reply::Read(response, _) => {
                let response = refuse_status(response)?;
                Err(self.mismatch(Expected::Handle, &response))
            }
        }
    }

    async fn request_one_name(&self, request: &Request) -> Result<Vec<u8>, Failure> {
        match self
            .connection()
            .request(request, Expected::Names, Reservation::Nothing)
            .await?
        {
            Response::Name(names) => match <[_; 1]>::try_from(names) {
                Ok([only]) => Ok(only.name.into()),
                Err(names) => Err(self
                    .connection()
                    .fail_protocol(ProtocolError::NameCount { count: names.len() })),
            },
            other => Err(self.mismatch(Expected::Names, &other)),
        }
    }

    async fn request_attributes(&self, request: &Request) -> Result<Attributes, Failure> {
        match self
            .connection()
            .request(request, Expected::Attributes, Reservation::Nothing)
            .await?
        {
            Response::Attributes(attributes) => Ok(attributes),
            other => Err(self.mismatch(Expected::Attributes, &other)),
        }
    }

    async fn run_command(&self, request: &Request, operation: Operation, path: &[u8]) -> Result<(), Error> {
        let reply = self
            .connection()
            .start(request, Expected::Status, Reservation::Nothing);
        self.await_status(reply)
            .await
            .map_err(|failure| failure.into_error(operation, path))
    }

    async fn await_status(&self, reply: oneshot::Receiver<ReplyResult>) -> Result<(), Failure> {
        match await_reply(reply).await? {
            Reply::Response(response) => refuse_status(response).map(drop),
            Reply::Opened(_) | Reply::Read(..) => Err(Failure::Connection(Arc::new(ConnectionError::Ended))),
        }
    }

    /// Never happens: the reader has checked every reply against its request. The compiler requires the
    /// branch.
    pub(super) fn mismatch(&self, expected: Expected, response: &Response) -> Failure {
        self.connection()
            .fail_protocol(expected.wrong_reply(response.type_name()))
    }
}
