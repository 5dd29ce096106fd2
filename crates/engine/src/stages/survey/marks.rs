//! Which files their recorder has marked as done.

use std::collections::HashSet;

use model::{RelativePath, SourcePath};

use super::MAX_NAMES;
use super::listing::listed;
use crate::ports::{Entry, EntryKind, SurveyItem};
use crate::recourse::PassError;
use crate::visit::{Visit, hash};
use crate::withdrawn;
use crate::world::World;

/// Which files are marked as done, where a marker file says so: `a.np` is done when `a.np<suffix>` is there.
///
/// Holds a hash of each name, 8 bytes: two names that hash alike would at worst make a file ready, and settling still holds.
#[derive(Debug)]
pub(crate) struct Marks {
    suffix: Vec<u8>,
    marked: HashSet<u64>,
    present: HashSet<u64>,
    /// There are more names than could be looked at.
    is_cut: bool,
}

impl Marks {
    /// The marks in a source, where the rules want them: by a listing of its own, before the one that is judged.
    pub(crate) async fn collect<W: World>(
        visit: &Visit<'_, W>,
        source: &SourcePath,
    ) -> Result<Option<Self>, PassError> {
        let Some(suffix) = &visit.device.rules.done_suffix else {
            return Ok(None);
        };
        let mut marks = Self {
            is_cut: false,
            suffix: suffix.clone(),
            marked: HashSet::new(),
            present: HashSet::new(),
        };
        let cut = listed(visit, source, async |items| {
            for item in items {
                if let SurveyItem::Entry(entry) = item {
                    marks.note(&entry);
                }
            }
            Ok(())
        })
        .await?;
        marks.is_cut |= cut.is_some();
        Ok(Some(marks))
    }

    fn note(&mut self, entry: &Entry) {
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

    /// Whether a file may not be gathered yet: it is not marked, or it is the marker of a file that is still there.
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
