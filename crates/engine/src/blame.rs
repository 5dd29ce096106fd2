//! Which files may have ended the session of a visit.

use std::collections::HashSet;

use model::{RelativePath, SourcePath};

use crate::path_hash::hash_in_source;
use crate::recourse::PassError;

/// Which files may have ended the session of a visit.
#[derive(Debug, Default)]
pub(crate) struct Blame {
    /// Suspects that the ledger knows, each by a hash of its source and current path.
    known: HashSet<u64>,
    is_claimed: bool,
    note: Option<String>,
}

impl Blame {
    /// Remembers that the ledger knows a file as a suspect.
    pub(crate) fn track(&mut self, source: &SourcePath, current_path: &RelativePath) {
        self.known.insert(hash_in_source(source, current_path));
    }

    /// Whether the ledger knows a file as a suspect.
    pub(crate) fn is_tracked(&self, source: &SourcePath, current_path: &RelativePath) -> bool {
        !self.known.is_empty() && self.known.contains(&hash_in_source(source, current_path))
    }

    /// `true` for the first caller in a visit, who records the suspects. Other batches see the same failure.
    pub(crate) fn claim_once(&mut self) -> bool {
        !std::mem::replace(&mut self.is_claimed, true)
    }

    /// Sets what is added to the failure that ends the session.
    pub(crate) fn set_note(&mut self, note: String) {
        self.note = Some(note);
    }

    /// Adds the note to the failure of the device, if there are both.
    pub(crate) fn annotate(&mut self, result: Result<(), PassError>) -> Result<(), PassError> {
        result.map_err(|error| match (error, self.note.take()) {
            (PassError::Device(failure), Some(note)) => PassError::Device(failure.with_note(note)),
            (error, _) => error,
        })
    }
}
