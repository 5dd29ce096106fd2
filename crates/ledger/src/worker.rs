//! Two threads, each with its own connection: one writes, one reads, so that a read never waits for a flush.
//!
//! The writer puts all queued requests into one transaction (a group commit) and replies after the commit: a
//! flush costs the same for one request as for many. If the group fails, the writer retries its requests one
//! by one, so that only the faulty request fails.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use engine::ports::LedgerError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::error::{display_path, from_sqlite};
use crate::lock::Lock;

/// Requests that wait for a thread. Each pass has one or two pending; when the queue is full the engine
/// waits, which bounds memory.
const QUEUE_LENGTH: usize = 64;

/// Requests in one transaction: as many as the queue holds.
const MAX_GROUP: usize = QUEUE_LENGTH;

/// A thread that owns a connection, and the queue of its requests. Dropping it serves the queue, ends the
/// thread and closes the connection.
pub(crate) struct Worker {
    requests: Option<mpsc::Sender<Box<dyn Request>>>,
    thread: Option<JoinHandle<()>>,
    operation: &'static str,
    path: PathBuf,
}

impl Worker {
    /// Starts the thread that writes. It holds `lock` until its connection is closed.
    pub(crate) fn writer(connection: Connection, lock: Option<Lock>, path: PathBuf) -> std::io::Result<Self> {
        Self::start("write to", path, move |requests, path| {
            write(connection, requests, path);
            drop(lock);
        })
    }

    /// Starts a thread that reads.
    pub(crate) fn reader(connection: Connection, path: PathBuf) -> std::io::Result<Self> {
        Self::start("read", path, move |requests, path| {
            read(connection, requests, path);
        })
    }

    fn start(
        operation: &'static str,
        path: PathBuf,
        serve: impl FnOnce(mpsc::Receiver<Box<dyn Request>>, &Path) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE_LENGTH);
        let served = path.clone();
        let thread = thread::Builder::new()
            .name("ledger".into())
            .spawn(move || serve(receiver, &served))?;
        Ok(Self {
            requests: Some(sender),
            thread: Some(thread),
            operation,
            path,
        })
    }

    /// Runs `work` in a transaction and returns its result after the commit.
    ///
    /// The thread may run `work` more than once; it rolls back the earlier run first. It runs `work` even if
    /// the caller drops the future, unless the request still waited for a slot in the queue.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (request, reply) = new_request(work);
        let Some(requests) = &self.requests else {
            return Err(self.ended());
        };
        requests.send(request).await.map_err(|_| self.ended())?;
        reply.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> LedgerError {
        LedgerError::Failed {
            location: display_path(&self.path),
            operation: self.operation,
            reason: "its thread has ended".into(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // If the thread panicked, its callers have already received an error.
            thread.join().unwrap_or_default();
        }
    }
}

/// A request for the thread, and the receiver of its reply.
pub(crate) fn new_request<T: Send + 'static>(
    work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> (Box<dyn Request>, oneshot::Receiver<Result<T, LedgerError>>) {
    let (sender, receiver) = oneshot::channel();
    let request = WorkRequest {
        work,
        result: None,
        reply: sender,
    };
    (Box::new(request), receiver)
}

/// Work for a transaction whose caller waits for the reply.
pub(crate) trait Request: Send {
    /// Does the work and keeps its result.
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Sends the failure to the caller, or the result if there is none.
    fn reply(self: Box<Self>, failure: Option<LedgerError>);
}

struct WorkRequest<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Request for WorkRequest<T, F> {
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.work)(connection)?);
        Ok(())
    }

    fn reply(self: Box<Self>, failure: Option<LedgerError>) {
        let reply = match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => Ok(result),
            // Dropping the sender makes the receiver fail.
            (None, None) => return,
        };
        // The caller may have dropped the receiver; the commit stays.
        drop(self.reply.send(reply));
    }
}

fn write(mut connection: Connection, mut requests: mpsc::Receiver<Box<dyn Request>>, path: &Path) {
    while let Some(first) = requests.blocking_recv() {
        let mut group = vec![first];
        while group.len() < MAX_GROUP {
            match requests.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        commit(&mut connection, group, path);
    }
    // Moves the log into the ledger file, so that a copy of that file is complete. If a reader prevents it,
    // the log stays and the ledger is as complete as before.
    checkpoint(&connection).unwrap_or_default();
}

/// Commits a group and replies to its callers. If the group fails, commits its requests one by one.
pub(crate) fn commit(connection: &mut Connection, mut group: Vec<Box<dyn Request>>, path: &Path) {
    match in_one_transaction(connection, &mut group) {
        Ok(()) => group.into_iter().for_each(|request| request.reply(None)),
        Err(error) if group.len() == 1 => {
            for request in group {
                request.reply(Some(from_sqlite(&error, "write to", path)));
            }
        }
        Err(_) => {
            for request in group {
                commit(connection, vec![request], path);
            }
        }
    }
}

fn in_one_transaction(connection: &mut Connection, group: &mut [Box<dyn Request>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for request in group {
        request.apply(&transaction)?;
    }
    // A crash before this returns keeps the whole group or none of it; a crash afterwards keeps all of it.
    transaction.commit()
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
}

fn read(mut connection: Connection, mut requests: mpsc::Receiver<Box<dyn Request>>, path: &Path) {
    while let Some(mut request) = requests.blocking_recv() {
        let done = connection
            .transaction()
            .and_then(|transaction| request.apply(&transaction));
        let failure = done.err().map(|error| from_sqlite(&error, "read", path));
        request.reply(failure);
    }
}
