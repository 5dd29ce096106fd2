//! Examines one device and changes nothing: connects, reads its facts, and measures its sources.
//!
//! Needs neither store nor ledger. For `disk`, and for everything that checks a device before it is
//! collected.

use std::time::Duration;

use model::{Amount, DeviceName, SourcePath};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::ports::{
    Abilities, ConnectHints, DeviceFacts, DeviceFailure, Devices, DiskUse, EntryKind, ListingEnd, Session,
    SurveyItem,
};
use crate::recourse::concerns_source_only;

/// Groups of survey items that may wait to be counted.
const LISTING_QUEUE: usize = 4;

/// What a device says, and what is in its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedDevice {
    /// What it can do.
    pub abilities: Abilities,
    /// What it says about itself.
    pub facts: DeviceFacts,
    /// Its sources, in the order of the request.
    pub sources: Vec<ProbedSource>,
}

/// One source of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedSource {
    /// Its path on the device.
    pub path: SourcePath,
    /// How full its file system is, if the device could tell.
    pub disk: Option<DiskUse>,
    /// What is in it.
    pub contents: Result<Contents, DeviceFailure>,
}

/// The contents of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// The regular files, withdrawn ones included.
    pub files: Amount,
    /// Number of folders that the device does not let gleaner list. Their files are not counted.
    pub unlistable: u64,
}

/// Examines a device. The listing of a source is given up after `max_listing_time`.
///
/// Fails if the device fails, also over a listing without end. A source that is missing, or that the login
/// may not read, has its failure in its place.
pub async fn probe<D: Devices>(
    devices: &D,
    device: &DeviceName,
    sources: &[SourcePath],
    max_listing_time: Duration,
) -> Result<ProbedDevice, DeviceFailure> {
    let session = devices.connect(device, sources, ConnectHints::default()).await?;
    let probed = measure_all(&session, max_listing_time).await;
    let (abilities, facts) = (session.abilities(), session.facts().clone());
    session.close().await;
    Ok(ProbedDevice {
        abilities,
        facts,
        sources: probed?,
    })
}

async fn measure_all<S: Session>(session: &S, limit: Duration) -> Result<Vec<ProbedSource>, DeviceFailure> {
    let mut sources = Vec::new();
    for (path, disk) in session.facts().disks.clone() {
        let measured = timeout(limit, measure(session, &path)).await;
        let contents = measured.unwrap_or_else(|_| Err(DeviceFailure::endless_listing(&path, limit)));
        if let Err(failure) = &contents
            && !concerns_source_only(failure.class)
        {
            return Err(failure.clone());
        }
        sources.push(ProbedSource { path, disk, contents });
    }
    Ok(sources)
}

async fn measure<S: Session>(session: &S, source: &SourcePath) -> Result<Contents, DeviceFailure> {
    let (sender, mut items) = mpsc::channel::<Vec<SurveyItem>>(LISTING_QUEUE);
    let counting = async {
        let mut contents = Contents::default();
        while let Some(items) = items.recv().await {
            for item in &items {
                contents.add(item);
            }
        }
        contents
    };
    let (surveyed, contents) = tokio::join!(session.survey(source, sender), counting);
    match surveyed? {
        ListingEnd::Whole => Ok(contents),
        ListingEnd::Cut(failure) => Err(failure),
    }
}

impl Contents {
    fn add(&mut self, item: &SurveyItem) {
        match item {
            SurveyItem::Entry(entry) if entry.kind == EntryKind::File => {
                self.files.add(Amount::of_file(entry.identity.size));
            }
            SurveyItem::Unlistable(_) => self.unlistable += 1,
            SurveyItem::Entry(_) | SurveyItem::Refused(..) => {}
        }
    }
}
