//! Connections to jump hosts that several devices share.
//!
//! A connection costs each side a key exchange and a login, and the far side some processes. Nested
//! connections cost both twice for each device. An ssh with its own connection to the jump host opens
//! channels through it, each with its own flow control, so that no device delays another.
//!
//! A shared connection is only a shortcut. If connecting over it fails, gleaner tries again over a connection
//! of the device's own, whose result counts ([`crate::connect`]). So a shared connection that is gone, or
//! that the jump host's administrator does not permit, costs only time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use tokio::process::Child;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::classify::AUTHENTICATED;
use crate::guard::Guard;
use crate::pacing::ConnectPermit;
use crate::process::{JumpEndpoint, SshCommand, wait_for_socket};
use crate::stderr_tail::StderrTail;
use crate::target::JumpHost;

/// Devices that share one connection. Each ssh process encrypts on one core, and a broken connection breaks
/// all devices on it.
const MAX_DEVICES: usize = 16;

/// A broken connection breaks those of its devices too. Its own end may be reported this much later than
/// theirs.
const END_SKEW: Duration = Duration::from_millis(200);

/// The groups of devices that share a connection.
#[derive(Debug, Default)]
pub(crate) struct JumpConnections {
    newest: Mutex<HashMap<JumpHost, Arc<JumpGroup>>>,
}

/// Devices that share one connection. The first device opens it; it ends when the last one leaves.
#[derive(Debug)]
pub(crate) struct JumpGroup {
    /// How many more devices may join.
    free_slots: Mutex<usize>,
    connection: OnceCell<Option<Weak<JumpConnection>>>,
}

/// A connection to a jump host, in a process group of its own. Dropping it ends it, as the guard does.
#[derive(Debug)]
pub(crate) struct JumpConnection {
    jump: JumpHost,
    socket: PathBuf,
    stderr: StderrTail,
    process: Child,
    guard: Guard,
}

impl JumpConnections {
    /// The group that a connecting device joins.
    pub(crate) fn join(&self, jump: &JumpHost) -> Arc<JumpGroup> {
        let mut newest = self.newest.lock();
        if let Some(group) = newest.get(jump).filter(|group| group.reserve_slot()) {
            return Arc::clone(group);
        }
        let group = Arc::new(JumpGroup {
            free_slots: Mutex::new(MAX_DEVICES - 1),
            connection: OnceCell::new(),
        });
        newest.insert(jump.clone(), Arc::clone(&group));
        group
    }
}

impl JumpGroup {
    fn reserve_slot(&self) -> bool {
        let is_over = match self.connection.get() {
            Some(Some(connection)) => connection.strong_count() == 0,
            // It could not be opened. Devices that come later try again.
            Some(None) => true,
            None => false,
        };
        let mut free_slots = self.free_slots.lock();
        let takes = !is_over && *free_slots > 0;
        *free_slots -= usize::from(takes);
        takes
    }

    /// The group's connection, opened by `open` if that was not tried yet. `None` if it cannot be opened, or
    /// was opened and is gone.
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
    /// Connects, and waits until the jump host has authenticated us. `None`, with nothing left behind, if
    /// this takes longer than `login_timeout`, or fails. A connection that is not shared then finds out why.
    pub(crate) async fn open(
        client: &SshCommand,
        jump: &JumpHost,
        socket: PathBuf,
        login_timeout: Duration,
        permit: ConnectPermit,
    ) -> Option<Self> {
        let guard = Guard::start().ok()?;
        let mut process = client
            .jump(jump, &socket)
            .process_group(guard.group())
            .spawn()
            .ok()?;
        let stderr = StderrTail::collect(process.stderr.take()?);
        let has_logged_in = tokio::select! {
            has_logged_in = timeout(login_timeout, wait_for_socket(&socket)) => has_logged_in.is_ok(),
            _ = process.wait() => false,
        };
        drop(permit);
        let connection = Self {
            jump: jump.clone(),
            socket,
            stderr,
            process,
            guard,
        };
        if has_logged_in {
            return Some(connection);
        }
        tracing::debug!(
            jump = jump.host,
            stderr = connection.stderr.text(),
            "no shared jump connection"
        );
        connection.end().await;
        None
    }

    /// Where to connect through it.
    pub(crate) fn endpoint(&self) -> JumpEndpoint<'_> {
        JumpEndpoint {
            host: &self.jump,
            socket: &self.socket,
        }
    }

    /// What it printed since the jump host authenticated us, without lines about single devices. `None`
    /// unless it has ended, or ends within [`END_SKEW`].
    pub(crate) async fn stderr_tail(&self) -> Option<String> {
        timeout(END_SKEW, self.stderr.ended()).await.ok()?;
        let text = self.stderr.text();
        // The lines keep their carriage returns, by which ssh's own lines are known.
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        let login = lines.iter().rposition(|line| line.starts_with(AUTHENTICATED));
        let since = lines.iter().skip(login.map_or(0, |line| line + 1));
        let of_all_devices = since.filter(|line| !line.contains("open failed: "));
        Some(of_all_devices.flat_map(|line| [*line, "\n"]).collect())
    }

    /// Leaves the group. The last device ends the connection, and waits until its processes are gone.
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
