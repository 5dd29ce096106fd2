//! The known word that was probably meant.

/// The known word nearest to what was written, if it is near enough to be a slip: one or two letters left out, put
/// in, changed or swapped, but never more than a third of the word.
pub(super) fn nearest<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let written = written.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|word| (distance(&written, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= 2 && *distance * 3 <= word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Words with quotes, divided by commas, for the text of a finding.
pub(super) fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// Edits between two words, where swapping neighbours is one edit (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, left) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_right = None;
        for (column, right) in right.iter().copied().enumerate() {
            let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = cell(&last, column) + usize::from(left != right);
            let mut best = changed
                .min(cell(&last, column + 1) + 1)
                .min(cell(&current, column) + 1);
            if previous_right == Some(left) && previous_left == Some(right) && column > 0 {
                best = best.min(cell(&before_last, column - 1) + 1);
            }
            current.push(best);
            previous_right = Some(right);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_left = Some(left);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["settle", "settle_blind", "source", "port", "exclude"];
        for (written, meant) in [
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
            assert_eq!(nearest(written, known), meant, "{written}");
        }
    }
}
