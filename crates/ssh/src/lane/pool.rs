//! The lanes of a session: opened when they are needed, used again, never more than a few.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use model::SourcePath;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Lane, LaneError, Opener};
use crate::facts::Facts;
use crate::script::Knowledge;

/// A survey or the reading of small files, a digest, and what is answered soon. (While the last files of one batch come, the next one is read as well: for
/// that moment one of the others waits.) Each costs the device a login shell; sshd's `MaxSessions` is
/// 10 by default, SFTP has one.
const MAX_LANES: usize = 3;
/// Digests take long: other lanes are always left for the rest.
const MAX_DIGESTS: usize = 1;

/// For so long a listing that was asked for while connecting is worth hearing. A device may wait for its turn for a quarter of an hour: by then
/// somebody may have opened a file that no process had open.
const FRESH: Duration = Duration::from_secs(10);
/// Bytes of a listing that nobody wants that are passed over, so that its lane can be used: a few thousand names. To open another costs two round trips
/// and a login shell.
const MAX_PASSED_OVER: usize = 256 * 1024;

/// The lanes of one session.
#[derive(Debug)]
pub(crate) struct Lanes {
    opener: Opener,
    known: Facts,
    /// When the device had told what is known of it.
    began: Instant,
    idle: Mutex<Vec<Lane>>,
    /// The first lane, as long as a listing that nobody has heard is on its way over it.
    surveying: Mutex<Option<Lane>>,
    /// As many as there may be lanes. Fewer where the device refuses to open more.
    permits: Arc<Semaphore>,
    digests: Arc<Semaphore>,
    /// How many lanes there may be, for the device to refuse all but the last.
    most: Mutex<usize>,
}

/// A lane in use. Goes back when [`Lease::put_back`] says that its answer was read to the end, and is ended else.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    lanes: &'a Lanes,
    /// Always there until the lease ends.
    lane: Lane,
    _permit: OwnedSemaphorePermit,
    _digest: Option<OwnedSemaphorePermit>,
}

impl Lanes {
    /// Begins with the lane over which the device told its facts.
    pub(crate) fn new(opener: Opener, first: Lane, known: Facts) -> Self {
        let (surveying, idle) = match first.surveys() {
            None => (None, vec![first]),
            Some(_) => (Some(first), Vec::new()),
        };
        Self {
            opener,
            known,
            began: Instant::now(),
            idle: Mutex::new(idle),
            surveying: Mutex::new(surveying),
            permits: Arc::new(Semaphore::new(MAX_LANES)),
            digests: Arc::new(Semaphore::new(MAX_DIGESTS)),
            most: Mutex::new(MAX_LANES),
        }
    }

    /// What opens lanes, and other channels over the same connection.
    pub(crate) fn opener(&self) -> Opener {
        self.opener.clone()
    }

    /// A lane for a request that is answered soon.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, LaneError> {
        self.lease_with(None).await
    }

    /// Whether a listing of the source that was asked for while connecting is on its way, and worth hearing.
    pub(crate) fn bring_listing_of(&self, source: &SourcePath) -> bool {
        let surveying = self.surveying.lock();
        self.are_fresh()
            && surveying
                .as_ref()
                .is_some_and(|lane| lane.surveys() == Some(source))
    }

    /// A lane for the listing of a source: that which brings it already, if there is one.
    pub(crate) async fn lease_for_survey(&self, source: &SourcePath) -> Result<Lease<'_>, LaneError> {
        let permit = self.permit().await?;
        let brings_it = |lane: &mut Lane| self.are_fresh() && lane.surveys() == Some(source);
        let surveying = {
            let mut surveying = self.surveying.lock();
            surveying.take_if(brings_it)
        };
        match surveying {
            Some(lane) => Ok(self.leased(lane, permit, None)),
            None => {
                drop(permit);
                self.lease().await
            }
        }
    }

    /// A lane for a request that takes long.
    pub(crate) async fn lease_for_digest(&self) -> Result<Lease<'_>, LaneError> {
        // The semaphores are never closed.
        let digest = self.digests.clone().acquire_owned().await.ok();
        self.lease_with(digest).await
    }

    async fn lease_with(&self, digest: Option<OwnedSemaphorePermit>) -> Result<Lease<'_>, LaneError> {
        loop {
            let permit = self.permit().await?;
            let lane = match self.idle().await {
                Some(lane) => lane,
                None => match self.opener.open(Knowledge::Of(&self.known), None).await {
                    Ok((lane, _)) => lane,
                    Err(error) => {
                        self.give_up_one(permit, error)?;
                        continue;
                    }
                },
            };
            return Ok(self.leased(lane, permit, digest));
        }
    }

    /// A lane that nobody uses: also that of a listing that is not worth hearing any more.
    async fn idle(&self) -> Option<Lane> {
        let idle = self.idle.lock().pop();
        if idle.is_some() || self.are_fresh() {
            return idle;
        }
        let stale = {
            let mut surveying = self.surveying.lock();
            surveying.take()
        };
        let mut lane = stale?;
        match lane.forgo_listing(self.known.dialect, MAX_PASSED_OVER).await {
            Ok(()) => Some(lane),
            Err(error) => {
                tracing::debug!(device = %self.opener.target.name, %error, "an early listing is given up with its lane");
                None
            }
        }
    }

    /// Whether what was asked for while connecting is worth hearing.
    fn are_fresh(&self) -> bool {
        self.known.dialect.lists() && self.began.elapsed() < FRESH
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, LaneError> {
        let permit = self.permits.clone().acquire_owned().await;
        permit.map_err(|_| LaneError::Ended("closed".to_owned()))
    }

    fn leased(
        &self,
        lane: Lane,
        permit: OwnedSemaphorePermit,
        digest: Option<OwnedSemaphorePermit>,
    ) -> Lease<'_> {
        Lease {
            lanes: self,
            lane,
            _permit: permit,
            _digest: digest,
        }
    }

    /// The device refuses one more session (`MaxSessions`): make do with those there are, unless it was the last.
    fn give_up_one(&self, permit: OwnedSemaphorePermit, error: LaneError) -> Result<(), LaneError> {
        let mut most = self.most.lock();
        if *most <= 1 {
            return Err(error);
        }
        *most -= 1;
        permit.forget();
        tracing::debug!(device = %self.opener.target.name, left = *most, %error, "no further session");
        Ok(())
    }
}

impl Lease<'_> {
    /// Gives the lane back: the answer to the last request was read to its end.
    pub(crate) fn put_back(self) {
        let mut idle = self.lanes.idle.lock();
        idle.push(self.lane);
        // Only then do the permits go back, in the order of the fields.
        drop(idle);
    }
}

impl Deref for Lease<'_> {
    type Target = Lane;

    fn deref(&self) -> &Lane {
        &self.lane
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut Lane {
        &mut self.lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Dialect;
    use crate::lane::scripted::{Heard, TAG, lanes_that_say};

    fn source(path: &str) -> SourcePath {
        SourcePath::new(path).unwrap()
    }

    async fn lanes(dialect: Dialect, survey: Option<&SourcePath>, says: &str) -> (Lanes, Heard) {
        let known = Facts {
            dialect,
            ..Facts::default()
        };
        lanes_that_say(says.as_bytes(), known, survey).await
    }

    #[tokio::test]
    async fn a_listing_that_was_asked_for_while_connecting_is_asked_for_once() {
        let data = source("/data");
        let (lanes, heard) = lanes(Dialect::Gnu, Some(&data), "a listing").await;
        assert!(heard.bytes().ends_with(b"survey 6\n/data\0"));
        let before = heard.bytes().len();
        let mut lane = lanes.lease_for_survey(&data).await.unwrap();
        lane.survey(&data).await.unwrap();
        assert_eq!(heard.bytes().len(), before);
        assert_eq!(lane.exactly(9).await.unwrap(), b"a listing".as_slice());
        lane.put_back();
        // From then on it is a lane like any other.
        let mut lane = lanes.lease_for_survey(&data).await.unwrap();
        lane.survey(&data).await.unwrap();
        assert_eq!(&heard.bytes()[before..], b"survey 6\n/data\0");
    }

    #[tokio::test]
    async fn a_listing_that_nobody_has_heard_is_never_taken_for_another_answer() {
        let data = source("/data");
        let (lanes, _) = lanes(Dialect::Gnu, Some(&data), "a listing").await;
        // The only lane that there can be has the listing in it.
        assert!(lanes.lease().await.is_err());
        assert!(lanes.lease_for_survey(&source("/other")).await.is_err());
        assert!(lanes.lease_for_survey(&data).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_that_was_asked_for_long_ago_is_passed_over_and_asked_for_again() {
        let data = source("/data");
        let said = format!("o 1 2 81a4\0E{TAG}\0another");
        let (lanes, heard) = lanes(Dialect::Gnu, Some(&data), &said).await;
        assert!(lanes.bring_listing_of(&data));
        let before = heard.bytes().len();
        tokio::time::advance(FRESH).await;
        assert!(!lanes.bring_listing_of(&data));
        let mut lane = lanes.lease_for_survey(&data).await.unwrap();
        lane.survey(&data).await.unwrap();
        assert_eq!(&heard.bytes()[before..], b"survey 6\n/data\0");
        assert_eq!(lane.exactly(7).await.unwrap(), b"another".as_slice());
    }

    #[tokio::test]
    async fn a_device_that_cannot_list_keeps_the_lane_that_it_told_its_facts_over() {
        let data = source("/data");
        for (dialect, end) in [
            (Dialect::GnuStat, "\0".to_owned()),
            (Dialect::PlainStat, format!("\n{TAG}\n")),
        ] {
            let said = format!("m {end}E{TAG}{end}answer");
            let (lanes, _) = lanes(dialect, Some(&data), &said).await;
            assert!(!lanes.bring_listing_of(&data));
            let mut lane = lanes.lease().await.unwrap();
            assert_eq!(
                lane.exactly(6).await.unwrap(),
                b"answer".as_slice(),
                "{dialect:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_listing_without_end_goes_with_its_lane() {
        let data = source("/data");
        let (lanes, _) = lanes(Dialect::Gnu, Some(&data), &"x".repeat(MAX_PASSED_OVER + 1)).await;
        tokio::time::advance(FRESH).await;
        // No other can be opened here.
        assert!(lanes.lease().await.is_err());
    }

    #[tokio::test]
    async fn a_lane_that_was_asked_for_nothing_is_asked_when_it_is_time_to() {
        let data = source("/data");
        let (lanes, heard) = lanes(Dialect::Gnu, None, "").await;
        let before = heard.bytes().len();
        let mut lane = lanes.lease_for_survey(&data).await.unwrap();
        lane.survey(&data).await.unwrap();
        assert_eq!(&heard.bytes()[before..], b"survey 6\n/data\0");
    }
}
