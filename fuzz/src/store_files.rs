//! The small files and names that identify a store.

use model::Timestamp;
use storage::fuzzing;

/// The input is parsed as a marker, as the record of a ledger, as a name and as a time.
pub(crate) fn hold(input: &[u8]) {
    match fuzzing::marker(input) {
        Ok(marker) => {
            let written = fuzzing::render_marker(&marker, Timestamp::EPOCH);
            assert_eq!(fuzzing::marker(written.as_bytes()), Ok(marker));
        }
        Err(reason) => {
            assert!(
                !reason.is_empty() && !reason.contains(char::is_control),
                "{reason:?}"
            );
        }
    }
    if let Some([machine, ledger, last_used]) = fuzzing::known_ledger(input) {
        let again = fuzzing::render_known_ledger(&machine, &ledger, &last_used);
        assert_eq!(
            fuzzing::known_ledger(again.as_bytes()),
            Some([machine, ledger, last_used])
        );
    }
    if let Some((_, written)) = fuzzing::partial_name(input) {
        assert_eq!(written, input, "the name belongs to another file");
    }
    if let Some(time) = std::str::from_utf8(input).ok().and_then(fuzzing::time) {
        let whole = Timestamp::from_seconds(time.seconds());
        assert_eq!(fuzzing::time(&fuzzing::render_time(whole)), Some(whole));
    }
}
