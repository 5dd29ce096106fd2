//! The two threads that own a connection each: one writes, one reads, so that a look at the ledger waits for no flush.
//!
//! What is queued for the writer goes into one transaction (a group commit), and is answered after its commit: a flush costs
//! the same for one request as for many. If the group fails, its requests are tried one by one, so that only the
//! guilty one fails.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use engine::ports::LedgerError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::fault::{shown, translated};
use crate::lock::Lock;

/// Requests that wait for a thread. Each pass has one or two under way; beyond that the engine waits, and memory with it.
const QUEUE: usize = 64;

/// Requests in one transaction: all that can be queued.
const GROUP: usize = QUEUE;

/// A thread that owns a connection, and the way to it. Ends, and closes the ledger, when dropped.
pub(crate) struct Worker {
    requests: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    operation: &'static str,
    path: PathBuf,
}

impl Worker {
    /// Starts the one that writes. It holds `lock` until its connection is closed.
    pub(crate) fn writer(connection: Connection, lock: Option<Lock>, path: PathBuf) -> std::io::Result<Self> {
        Self::start("write to", path, move |requests, path| {
            write(connection, requests, path);
            drop(lock);
        })
    }

    /// Starts one that reads.
    pub(crate) fn reader(connection: Connection, path: PathBuf) -> std::io::Result<Self> {
        Self::start("read", path, move |requests, path| {
            read(connection, requests, path);
        })
    }

    fn start(
        operation: &'static str,
        path: PathBuf,
        serve: impl FnOnce(mpsc::Receiver<Box<dyn Work>>, &Path) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
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

    /// Has `work` done in a transaction, and returns what it returned once that is committed.
    ///
    /// `work` may be done more than once, each time after what it did before was undone. It is done even if the future is
    /// dropped, unless it was still waiting for a place in the queue.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (request, answer) = request(work);
        let Some(requests) = &self.requests else {
            return Err(self.ended());
        };
        requests.send(request).await.map_err(|_| self.ended())?;
        answer.await.unwrap_or_else(|_| Err(self.ended()))
    }

    fn ended(&self) -> LedgerError {
        LedgerError::Failed {
            path: shown(&self.path),
            operation: self.operation,
            reason: "its thread has ended".into(),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has answered nobody, and everyone who asked knows.
            thread.join().unwrap_or_default();
        }
    }
}

/// A request, and where its answer will be.
pub(crate) fn request<T: Send + 'static>(
    work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> (Box<dyn Work>, oneshot::Receiver<Result<T, LedgerError>>) {
    let (reply, answer) = oneshot::channel();
    let result = None;
    (Box::new(Request { work, result, reply }), answer)
}

/// Something to be done in a transaction, and somebody who waits for it.
pub(crate) trait Work: Send {
    /// Does it; keeps the result.
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()>;

    /// Tells who waits: the result, or the failure.
    fn answer(self: Box<Self>, failure: Option<LedgerError>);
}

struct Request<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Work for Request<T, F> {
    fn apply(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<LedgerError>) {
        let answer = match (failure, self.result) {
            (Some(failure), _) => Err(failure),
            (None, Some(result)) => Ok(result),
            // Dropping `reply` tells that there is no answer.
            (None, None) => return,
        };
        // Whoever asked may have gone: what was committed stays.
        drop(self.reply.send(answer));
    }
}

fn write(mut connection: Connection, mut requests: mpsc::Receiver<Box<dyn Work>>, path: &Path) {
    while let Some(first) = requests.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP {
            match requests.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        commit(&mut connection, group, path);
    }
    // Empties the log into the ledger, so that a copy of the one file is a copy of all. If a reader is in the way, the log
    // stays, and is as good.
    checkpoint(&connection).unwrap_or_default();
}

/// Commits a group and answers it; after a failure, one by one.
pub(crate) fn commit(connection: &mut Connection, mut group: Vec<Box<dyn Work>>, path: &Path) {
    match in_one_transaction(connection, &mut group) {
        Ok(()) => group.into_iter().for_each(|request| request.answer(None)),
        Err(error) if group.len() == 1 => {
            for request in group {
                request.answer(Some(translated(&error, "write to", path)));
            }
        }
        Err(_) => {
            for request in group {
                commit(connection, vec![request], path);
            }
        }
    }
}

fn in_one_transaction(connection: &mut Connection, group: &mut [Box<dyn Work>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for request in group {
        request.apply(&transaction)?;
    }
    // A crash before this returns keeps the whole group or nothing of it; afterwards all of it.
    transaction.commit()
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
}

fn read(mut connection: Connection, mut requests: mpsc::Receiver<Box<dyn Work>>, path: &Path) {
    while let Some(mut request) = requests.blocking_recv() {
        let done = connection
            .transaction()
            .and_then(|transaction| request.apply(&transaction));
        let failure = done.err().map(|error| translated(&error, "read", path));
        request.answer(failure);
    }
}
