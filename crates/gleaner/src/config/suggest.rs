//! The known word that was probably meant.

/// The known word nearest to what was written, if it is near enough to be a slip: one or two letters left
/// out, put in, changed or swapped, but never more than a third of the word.
pub(super) fn nearest<'k>(raw: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let raw = raw.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|word| (strsim::osa_distance(&raw, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= 2 && *distance * 3 <= word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["settle", "settle_blind", "source", "port", "exclude"];
        for (raw, meant) in [
            ("setle", Some("settle")),
            ("sette", Some("settle")),
            ("stetle", Some("settle")),
            ("Settle", Some("settle")),
            ("settle-blind", Some("settle_blind")),
            ("sources", Some("source")),
            ("prot", Some("port")),
            ("excludes", Some("exclude")),
            ("path", None),
            ("destination", None),
            ("", None),
        ] {
            assert_eq!(nearest(raw, known), meant, "{raw}");
        }
    }
}
