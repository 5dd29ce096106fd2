//! Connections to jump hosts that several devices share.
//!
//! A connection costs each side a key exchange and a login, and the far side some processes; nested, both are paid twice for each device. An ssh
//! that has its own connection to the jump host hands out ways through it, each with a flow control of its own: no device holds up
//! another.
//!
//! A shared connection is a short cut and never an authority: what fails over it is tried once more over a way of its own, and what that
//! says counts ([`crate::connect`]). So one that is gone, or that the jump host's administrator does not permit, costs time and nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use tokio::process::Child;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

use crate::classify::LET_IN;
use crate::guard::Guard;
use crate::last_words::LastWords;
use crate::pacing::Turn;
use crate::process::Client;
use crate::resolve::JumpHost;

/// Devices that share one. Each ssh process ciphers on one core, and what breaks one connection breaks all that go through it.
const MAX_DEVICES: usize = 16;
/// Between two looks whether ssh has made its control socket: the sign that the jump host has let us in.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A connection that breaks takes the devices' with it: how long its own end may be told after theirs.
const SAME_MOMENT: Duration = Duration::from_millis(200);

/// The groups of devices that share a connection.
#[derive(Debug, Default)]
pub(crate) struct Jumps {
    newest: Mutex<HashMap<JumpHost, Arc<Group>>>,
}

/// Those who share one connection. Whoever comes first opens it; it ends with whoever leaves last.
#[derive(Debug)]
pub(crate) struct Group {
    /// How many may join still.
    places: Mutex<usize>,
    connection: OnceCell<Option<Weak<JumpConnection>>>,
}

/// A connection to a jump host, in a process group of its own. Dropping it ends it, as the guard does.
#[derive(Debug)]
pub(crate) struct JumpConnection {
    jump: JumpHost,
    socket: PathBuf,
    words: LastWords,
    process: Child,
    guard: Guard,
}

impl Jumps {
    /// The group of a device that comes now.
    pub(crate) fn join(&self, jump: &JumpHost) -> Arc<Group> {
        let mut newest = self.newest.lock();
        if let Some(group) = newest.get(jump).filter(|group| group.takes_one_more()) {
            return Arc::clone(group);
        }
        let group = Arc::new(Group {
            places: Mutex::new(MAX_DEVICES - 1),
            connection: OnceCell::new(),
        });
        newest.insert(jump.clone(), Arc::clone(&group));
        group
    }
}

impl Group {
    fn takes_one_more(&self) -> bool {
        let is_over = match self.connection.get() {
            Some(Some(connection)) => connection.strong_count() == 0,
            // It could not be opened. Those who come later try anew.
            Some(None) => true,
            None => false,
        };
        let mut places = self.places.lock();
        let takes = !is_over && *places > 0;
        *places -= usize::from(takes);
        takes
    }

    /// The group's connection, opened by `open` if that was not tried yet. `None` where it cannot be opened, or was and is gone.
    pub(crate) async fn connection(
        &self,
        open: impl Future<Output = Option<JumpConnection>>,
    ) -> Option<Arc<JumpConnection>> {
        let mut opened = None;
        let opening = async {
            opened = open.await.map(Arc::new);
            opened.as_ref().map(Arc::downgrade)
        };
        let connection = self.connection.get_or_init(|| opening).await;
        connection.as_ref().and_then(Weak::upgrade)
    }
}

impl JumpConnection {
    /// Connects, and waits until the jump host has let us in. `None`, and nothing left behind, where that takes longer than `patience`, or fails:
    /// a connection that is not shared says why.
    pub(crate) async fn open(
        client: &Client,
        jump: &JumpHost,
        socket: PathBuf,
        patience: Duration,
        turn: Turn,
    ) -> Option<Self> {
        let guard = Guard::start().ok()?;
        let mut process = client
            .jump(jump, &socket)
            .process_group(guard.group())
            .spawn()
            .ok()?;
        let words = LastWords::collect(process.stderr.take()?);
        let is_in = tokio::select! {
            is_in = timeout(patience, let_in(&socket)) => is_in.is_ok(),
            _ = process.wait() => false,
        };
        drop(turn);
        let connection = Self {
            jump: jump.clone(),
            socket,
            words,
            process,
            guard,
        };
        if is_in {
            return Some(connection);
        }
        tracing::debug!(
            jump = jump.host,
            words = connection.words.text(),
            "no shared jump connection"
        );
        connection.end().await;
        None
    }

    /// Where devices are let through.
    pub(crate) fn way(&self) -> (&JumpHost, &Path) {
        (&self.jump, &self.socket)
    }

    /// What it said since the jump host let us in, if it has ended, or does so this very moment; without what
    /// it said of single devices.
    pub(crate) async fn last_words(&self) -> Option<String> {
        timeout(SAME_MOMENT, self.words.ended()).await.ok()?;
        let words = self.words.text();
        // With the carriage returns by which ssh's own lines are known.
        let lines: Vec<&str> = words.split_terminator('\n').collect();
        let let_in = lines.iter().rposition(|line| line.starts_with(LET_IN));
        let since = lines.iter().skip(let_in.map_or(0, |line| line + 1));
        let of_all = since.filter(|line| !line.contains("open failed: "));
        Some(of_all.flat_map(|line| [*line, "\n"]).collect())
    }

    /// Leaves the group. The last one ends the connection, and waits until its processes are gone.
    pub(crate) async fn leave(self: Arc<Self>) {
        if let Some(connection) = Arc::into_inner(self) {
            connection.end().await;
        }
    }

    async fn end(self) {
        let Self {
            guard, mut process, ..
        } = self;
        guard.end().await;
        process.wait().await.ok();
    }
}

async fn let_in(socket: &Path) {
    while !socket.exists() {
        sleep(LOOK_EVERY).await;
    }
}
