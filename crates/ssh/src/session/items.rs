//! The items of a survey, from the names that a device reports.

use engine::ports::device::SurveyItem;
use model::{RelativePath, escaped};

/// The most items in one message.
pub(super) const BATCH: usize = 256;
/// The most bytes of an invalid name, or of find's message, to show.
const MAX_SHOWN: usize = 256;

/// An item about a valid path, otherwise a refusal. find's names may begin with `./`.
pub(super) fn named(name: &[u8], item: impl FnOnce(RelativePath) -> SurveyItem) -> SurveyItem {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    match RelativePath::new(name) {
        Ok(path) => item(path),
        Err(error) => SurveyItem::Refused(shown(name), error),
    }
}

/// The beginning of the device's text, escaped. A name may be of any length.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut shown = escaped(bytes.get(..MAX_SHOWN).unwrap_or(bytes));
    if bytes.len() > MAX_SHOWN {
        shown.push('…');
    }
    shown
}
