//! Finds the known word that a typo probably stands for.

/// The known word nearest to the raw text, if the distance looks like a typo: one or two letters omitted,
/// inserted, changed or swapped, but never more than a third of the word.
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
    fn a_typo_is_recognised_and_another_word_is_not() {
        let known = ["settle", "settle_blind", "source", "port", "exclude"];
        for (raw, expected) in [
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
            assert_eq!(nearest(raw, known), expected, "{raw}");
        }
    }
}
