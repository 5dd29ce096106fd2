//! Listings: which entries a device sends, when, and whether the listing ends.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::ports::{ListingEnd, SurveyItem, SurveySender};
use tokio::time::sleep;

use super::connection::DeviceConnection;
use super::endpoint::STEP;
use crate::simulator::device::{DeviceState, invented};

/// A listing in progress. The open files are found first; then entries are sent as fast as the caller reads.
#[derive(Debug)]
pub(super) struct Listing {
    open: Option<BTreeSet<u64>>,
    /// The entries that were read before the caller listens.
    ahead: Vec<SurveyItem>,
    /// The names that remain.
    names: Vec<Vec<u8>>,
}

impl Listing {
    /// A listing that starts before the caller reads it.
    pub(super) fn ahead(state: &DeviceState) -> Self {
        let is_quick = state.faults.pause_before_each_name.is_zero();
        Self::begin(state, if is_quick { ENTRIES } else { 0 })
    }

    pub(super) fn begin(state: &DeviceState, ahead: usize) -> Self {
        let (open, mut ahead_names) = (state.open_files(), state.listing());
        let names = ahead_names.split_off(ahead.min(ahead_names.len()));
        let entries = ahead_names
            .iter()
            .filter_map(|path| state.entry(path, open.as_ref()));
        Self {
            ahead: entries.collect(),
            names,
            open,
        }
    }
}

/// The number of entries that are read ahead, and then sent at a time.
const ENTRIES: usize = 32;

impl DeviceConnection {
    /// Sends the entries as long as the caller reads.
    pub(super) async fn list(&self, listing: Listing, items: SurveySender) -> ListingEnd {
        let pause = self.on_device(|state| state.faults.pause_before_each_name).await;
        let (at_once, step) = if pause.is_zero() {
            (ENTRIES, STEP)
        } else {
            (1, pause)
        };
        if items.send(listing.ahead).await.is_err() {
            return ListingEnd::Whole;
        }
        for names in listing.names.chunks(at_once) {
            sleep(step).await;
            let entries = self.on_device(|state| {
                let entry = |path: &Vec<u8>| state.entry(path, listing.open.as_ref());
                names.iter().filter_map(entry).collect::<Vec<SurveyItem>>()
            });
            let entries = entries.await;
            if items.send(entries).await.is_err() {
                return ListingEnd::Whole;
            }
            if !pause.is_zero() {
                self.note_arrival();
            }
        }
        self.end_listing(items).await
    }

    /// Applies the faults that follow the last name.
    async fn end_listing(&self, items: SurveySender) -> ListingEnd {
        let (faults, now) = self.on_device(|state| (state.faults.clone(), state.now())).await;
        let modified = now.minus(Duration::from_hours(1));
        if let Some(name) = faults.invents.and_then(|name| invented(name, modified)) {
            while items.send(vec![name.clone(); ENTRIES]).await.is_ok() {}
        }
        if faults.lists_without_end {
            std::future::pending::<()>().await;
        }
        faults.gives_up_listing.map_or(ListingEnd::Whole, ListingEnd::Cut)
    }
}
