//! Files that their recorder has marked as done.

use std::collections::HashSet;

use model::RelativePath;

use super::MAX_NAMES;
use super::listing::list;
use crate::path_hash::hash;
use crate::ports::{Entry, EntryKind, SurveyItem};
use crate::recourse::PassError;
use crate::visit::SourceVisit;
use crate::withdrawn;
use crate::world::World;

/// Files that are marked as done by a marker file: `a.np` is done when `a.np<suffix>` exists.
///
/// Holds a hash of 8 bytes for each name. Two names with one hash would at worst make a file ready too early,
/// and it must still settle.
#[derive(Debug)]
pub(crate) struct Marks {
    suffix: Vec<u8>,
    marked: HashSet<u64>,
    present: HashSet<u64>,
    /// The listing was not complete, or had too many names.
    is_cut: bool,
}

impl Marks {
    /// The marks of a source, if the rules ask for them: by a listing of their own, before the survey.
    pub(crate) async fn collect<W: World>(visit: &SourceVisit<'_, W>) -> Result<Option<Self>, PassError> {
        let Some(suffix) = &visit.device.rules.done_suffix else {
            return Ok(None);
        };
        let mut marks = Self {
            is_cut: false,
            suffix: suffix.clone(),
            marked: HashSet::new(),
            present: HashSet::new(),
        };
        let cut = list(visit, async |items| {
            for item in items {
                if let SurveyItem::Entry(entry) = item {
                    marks.record(&entry);
                }
            }
            Ok(())
        })
        .await?;
        marks.is_cut |= cut.is_some();
        Ok(Some(marks))
    }

    fn record(&mut self, entry: &Entry) {
        if entry.kind != EntryKind::File || withdrawn::is_within(&entry.path) {
            return;
        }
        if self.marked.len() + self.present.len() >= MAX_NAMES {
            self.is_cut = true;
            return;
        }
        match entry.path.as_bytes().strip_suffix(&self.suffix[..]) {
            Some(name) => self.marked.insert(hash(&name)),
            None => self.present.insert(hash(&entry.path.as_bytes())),
        };
    }

    /// Whether a file may not be gathered yet: it is not marked, or it marks a file that still exists.
    pub(super) fn forbid(&self, path: &RelativePath) -> bool {
        if withdrawn::is_within(path) {
            return false;
        }
        match path.as_bytes().strip_suffix(&self.suffix[..]) {
            Some(name) => self.is_cut || self.present.contains(&hash(&name)),
            None => !self.marked.contains(&hash(&path.as_bytes())),
        }
    }
}
