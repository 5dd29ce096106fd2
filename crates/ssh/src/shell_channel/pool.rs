//! The shell channels of a session: opened on demand, reused, and limited in number.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use model::SourcePath;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{ChannelFactory, ShellChannel, ShellError};
use crate::facts::Facts;
use crate::script::FactsRequest;

/// Three channels: one for a listing or small files, one for digests, one for short requests. Each costs the
/// device a login shell; sshd's `MaxSessions` is 10 by default, and SFTP takes one. When two batches overlap,
/// one request briefly waits.
const MAX_CHANNELS: usize = 3;
/// Digests take long, so they never occupy all channels.
const MAX_DIGEST_CHANNELS: usize = 1;

/// How long a listing requested while connecting may be used. A device may wait a quarter of an hour for its
/// slot. By then a process may have opened a file that was closed.
const EARLY_LISTING_TTL: Duration = Duration::from_secs(10);
/// The most bytes of an unused listing to discard so that its channel can be used: a few thousand names.
/// Opening another channel costs two round trips and a login shell.
const MAX_DISCARDED_LISTING: usize = 256 * 1024;

/// The shell channels of one session.
#[derive(Debug)]
pub(crate) struct ShellPool {
    factory: ChannelFactory,
    facts: Facts,
    /// When the device reported its facts.
    facts_at: Instant,
    idle: Mutex<Vec<ShellChannel>>,
    /// The first channel, while an unread listing is on its way over it.
    listing_channel: Mutex<Option<ShellChannel>>,
    /// One for each channel; fewer once the device refuses to open more.
    permits: Arc<Semaphore>,
    digest_permits: Arc<Semaphore>,
    /// The number of permits. The device may refuse all channels but the last.
    max_channels: Mutex<usize>,
}

/// A channel in use. [`PooledChannel::put_back`] returns it once the reply was read to its end; otherwise it
/// is closed.
#[derive(Debug)]
pub(crate) struct PooledChannel<'a> {
    pool: &'a ShellPool,
    channel: ShellChannel,
    _permit: OwnedSemaphorePermit,
    _digest: Option<OwnedSemaphorePermit>,
}

impl ShellPool {
    /// Begins with the channel that brought the device's facts.
    pub(crate) fn new(factory: ChannelFactory, first: ShellChannel, facts: Facts) -> Self {
        let (listing_channel, idle) = match first.early_listing() {
            None => (None, vec![first]),
            Some(_) => (Some(first), Vec::new()),
        };
        Self {
            factory,
            facts,
            facts_at: Instant::now(),
            idle: Mutex::new(idle),
            listing_channel: Mutex::new(listing_channel),
            permits: Arc::new(Semaphore::new(MAX_CHANNELS)),
            digest_permits: Arc::new(Semaphore::new(MAX_DIGEST_CHANNELS)),
            max_channels: Mutex::new(MAX_CHANNELS),
        }
    }

    /// The factory of shell channels, and of other channels over the same connection.
    pub(crate) fn factory(&self) -> ChannelFactory {
        self.factory.clone()
    }

    /// A channel for a request that is answered soon.
    pub(crate) async fn acquire(&self) -> Result<PooledChannel<'_>, ShellError> {
        self.acquire_with(None).await
    }

    /// Whether a listing of the source, requested while connecting, is on its way and still recent enough.
    pub(crate) fn has_early_listing(&self, source: &SourcePath) -> bool {
        let listing_channel = self.listing_channel.lock();
        self.is_early_listing_fresh()
            && listing_channel
                .as_ref()
                .is_some_and(|channel| channel.early_listing() == Some(source))
    }

    /// A channel for the listing of a source: the one that brings it already, if there is one.
    pub(crate) async fn acquire_for_listing(
        &self,
        source: &SourcePath,
    ) -> Result<PooledChannel<'_>, ShellError> {
        let permit = self.permit().await?;
        let has_listing = |channel: &mut ShellChannel| {
            self.is_early_listing_fresh() && channel.early_listing() == Some(source)
        };
        let listing_channel = {
            let mut listing_channel = self.listing_channel.lock();
            listing_channel.take_if(has_listing)
        };
        match listing_channel {
            Some(channel) => Ok(self.pooled(channel, permit, None)),
            None => {
                drop(permit);
                self.acquire().await
            }
        }
    }

    /// A channel for a request that takes long.
    pub(crate) async fn acquire_for_digest(&self) -> Result<PooledChannel<'_>, ShellError> {
        // The semaphores are never closed.
        let digest = self.digest_permits.clone().acquire_owned().await.ok();
        self.acquire_with(digest).await
    }

    async fn acquire_with(
        &self,
        digest: Option<OwnedSemaphorePermit>,
    ) -> Result<PooledChannel<'_>, ShellError> {
        loop {
            let permit = self.permit().await?;
            let channel = match self.idle().await {
                Some(channel) => channel,
                None => match self.factory.open(FactsRequest::Reuse(&self.facts), None).await {
                    Ok((channel, _)) => channel,
                    Err(error) => {
                        self.lower_limit(permit, error)?;
                        continue;
                    }
                },
            };
            return Ok(self.pooled(channel, permit, digest));
        }
    }

    /// An idle channel. Includes the one of an early listing that has become too old.
    async fn idle(&self) -> Option<ShellChannel> {
        let idle = self.idle.lock().pop();
        if idle.is_some() || self.is_early_listing_fresh() {
            return idle;
        }
        let stale = {
            let mut listing_channel = self.listing_channel.lock();
            listing_channel.take()
        };
        let mut channel = stale?;
        match channel
            .discard_listing(self.facts.dialect, MAX_DISCARDED_LISTING)
            .await
        {
            Ok(()) => Some(channel),
            Err(error) => {
                tracing::debug!(device = %self.factory.target.name, %error, "an early listing is closed with its channel");
                None
            }
        }
    }

    /// Whether a listing requested while connecting is still recent enough.
    fn is_early_listing_fresh(&self) -> bool {
        self.facts.dialect.lists() && self.facts_at.elapsed() < EARLY_LISTING_TTL
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, ShellError> {
        let permit = self.permits.clone().acquire_owned().await;
        permit.map_err(|_| ShellError::Ended("closed".to_owned()))
    }

    fn pooled(
        &self,
        channel: ShellChannel,
        permit: OwnedSemaphorePermit,
        digest: Option<OwnedSemaphorePermit>,
    ) -> PooledChannel<'_> {
        PooledChannel {
            pool: self,
            channel,
            _permit: permit,
            _digest: digest,
        }
    }

    /// The device refuses one more session (`MaxSessions`). Continues with the existing channels, unless
    /// there is only one.
    fn lower_limit(&self, permit: OwnedSemaphorePermit, error: ShellError) -> Result<(), ShellError> {
        let mut max_channels = self.max_channels.lock();
        if *max_channels <= 1 {
            return Err(error);
        }
        *max_channels -= 1;
        permit.forget();
        tracing::debug!(device = %self.factory.target.name, left = *max_channels, %error, "the device refuses more sessions");
        Ok(())
    }
}

impl PooledChannel<'_> {
    /// Returns the channel to the pool. The reply to the last request must have been read to its end.
    pub(crate) fn put_back(self) {
        let mut idle = self.pool.idle.lock();
        idle.push(self.channel);
        // The permits are returned after the channel, in the order of the fields.
        drop(idle);
    }
}

impl Deref for PooledChannel<'_> {
    type Target = ShellChannel;

    fn deref(&self) -> &ShellChannel {
        &self.channel
    }
}

impl DerefMut for PooledChannel<'_> {
    fn deref_mut(&mut self) -> &mut ShellChannel {
        &mut self.channel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Dialect;
    use crate::shell_channel::scripted::{RecordedInput, TAG, pool_with_replies};

    fn source(path: &str) -> SourcePath {
        SourcePath::new(path).unwrap()
    }

    async fn pool(dialect: Dialect, survey: Option<&SourcePath>, output: &str) -> (ShellPool, RecordedInput) {
        let facts = Facts {
            dialect,
            ..Facts::default()
        };
        pool_with_replies(output.as_bytes(), facts, survey).await
    }

    #[tokio::test]
    async fn a_listing_requested_while_connecting_is_requested_once() {
        let data = source("/data");
        let (pool, input) = pool(Dialect::Gnu, Some(&data), "a listing").await;
        assert!(input.bytes().ends_with(b"survey 6\n/data\0"));
        let before = input.bytes().len();
        let mut channel = pool.acquire_for_listing(&data).await.unwrap();
        channel.request_listing(&data).await.unwrap();
        assert_eq!(input.bytes().len(), before);
        assert_eq!(channel.read_exactly(9).await.unwrap(), b"a listing".as_slice());
        channel.put_back();
        // From here on the channel takes any request.
        let mut channel = pool.acquire_for_listing(&data).await.unwrap();
        channel.request_listing(&data).await.unwrap();
        assert_eq!(&input.bytes()[before..], b"survey 6\n/data\0");
    }

    #[tokio::test]
    async fn an_unread_listing_is_never_taken_for_another_reply() {
        let data = source("/data");
        let (pool, _) = pool(Dialect::Gnu, Some(&data), "a listing").await;
        // The only possible channel has the listing in it.
        assert!(pool.acquire().await.is_err());
        assert!(pool.acquire_for_listing(&source("/other")).await.is_err());
        assert!(pool.acquire_for_listing(&data).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_requested_long_ago_is_discarded_and_requested_again() {
        let data = source("/data");
        let output = format!("o 1 2 81a4\0E{TAG}\0another");
        let (pool, input) = pool(Dialect::Gnu, Some(&data), &output).await;
        assert!(pool.has_early_listing(&data));
        let before = input.bytes().len();
        tokio::time::advance(EARLY_LISTING_TTL).await;
        assert!(!pool.has_early_listing(&data));
        let mut channel = pool.acquire_for_listing(&data).await.unwrap();
        channel.request_listing(&data).await.unwrap();
        assert_eq!(&input.bytes()[before..], b"survey 6\n/data\0");
        assert_eq!(channel.read_exactly(7).await.unwrap(), b"another".as_slice());
    }

    #[tokio::test]
    async fn a_device_that_cannot_list_keeps_its_first_channel() {
        let data = source("/data");
        for (dialect, end) in [
            (Dialect::GnuStat, "\0".to_owned()),
            (Dialect::PlainStat, format!("\n{TAG}\n")),
        ] {
            let output = format!("m {end}E{TAG}{end}answer");
            let (pool, _) = pool(dialect, Some(&data), &output).await;
            assert!(!pool.has_early_listing(&data));
            let mut channel = pool.acquire().await.unwrap();
            assert_eq!(
                channel.read_exactly(6).await.unwrap(),
                b"answer".as_slice(),
                "{dialect:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_old_listing_is_closed_with_its_channel() {
        let data = source("/data");
        let (pool, _) = pool(Dialect::Gnu, Some(&data), &"x".repeat(MAX_DISCARDED_LISTING + 1)).await;
        tokio::time::advance(EARLY_LISTING_TTL).await;
        // No other channel can be opened here.
        assert!(pool.acquire().await.is_err());
    }

    #[tokio::test]
    async fn without_an_early_listing_it_is_requested_when_needed() {
        let data = source("/data");
        let (pool, input) = pool(Dialect::Gnu, None, "").await;
        let before = input.bytes().len();
        let mut channel = pool.acquire_for_listing(&data).await.unwrap();
        channel.request_listing(&data).await.unwrap();
        assert_eq!(&input.bytes()[before..], b"survey 6\n/data\0");
    }
}
