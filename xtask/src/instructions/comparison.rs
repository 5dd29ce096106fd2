//! Compares counts: which scenarios take more than before, and which take more per item as the number of
//! items grows.

use super::{KEPT, Kept, Scenario};

/// Percentage by which a count may exceed the kept one. Ten runs differed by at most 0.1 %, most not at all.
const MAX_MORE: f64 = 2.0;
/// Percentage by which an item may cost more among ten times as many items. Sorting alone takes 2 %.
const MAX_GROWTH: f64 = 10.0;

/// The printed lines, and the reasons to fail.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The table, followed by hints.
    pub(super) lines: Vec<String>,
    pub(super) failures: Vec<String>,
    /// A summary in a few words.
    pub(super) figure: String,
}

/// Compares all counts. `is_all` means that no scenario was left out on purpose.
pub(super) fn compare(scenarios: &[Scenario], now: &Kept, kept: &Kept, is_all: bool) -> Comparison {
    let [name, count, each, before] = ["scenario", "instructions", "for each", "kept"];
    let mut lines = vec![format!("{name:<24} {count:>13} {each:>16} {before:>13}   change")];
    let (mut failures, mut hints, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for scenario in scenarios {
        let (name, count) = (&scenario.name, now.count(scenario));
        let each = format!("{} / {}", now.each(scenario), scenario.of);
        let Some(before) = kept.counts.get(name) else {
            lines.push(format!("{name:<24} {count:>13} {each:>16}"));
            failures.push(format!(
                "{name} has no kept count; type: cargo xtask instructions --write"
            ));
            continue;
        };
        let more = percent_more(count, *before);
        lines.push(format!(
            "{name:<24} {count:>13} {each:>16} {before:>13} {more:>+6.2} %"
        ));
        if more > MAX_MORE {
            failures.push(format!(
                "{name} takes {more:+.2} % more instructions than the kept count ({count} instead of {before})"
            ));
        }
        if more < -MAX_MORE {
            hints.push(format!(
                "{name} takes fewer instructions; to keep the count, type: cargo xtask instructions --write"
            ));
        }
        changes.push(more);
    }
    lines.extend(hints);
    let is_gone = |name: &&String| is_all && !now.counts.contains_key(*name);
    let gone = kept.counts.keys().filter(is_gone);
    failures.extend(gone.map(|name| format!("a count is kept for {name}, which is not a scenario")));
    let differences = differences(now, kept);
    let largest = changes.into_iter().reduce(f64::max).unwrap_or_default();
    let mut summary = format!("largest {largest:+.1} %");
    if !differences.is_empty() {
        lines.extend(differences);
        lines.push(format!(
            "the counts cannot be compared with those in {KEPT}, so none of them fails here"
        ));
        failures.clear();
        "kept for another machine".clone_into(&mut summary);
    }
    // Growth fails even if the counts are not comparable.
    let pairs = scenarios.iter().zip(scenarios.iter().skip(1));
    failures.extend(pairs.filter_map(|(few, many)| growth(few, many, now)));
    Comparison {
        lines,
        failures,
        figure: format!("{} counts, {summary}", scenarios.len()),
    }
}

impl Kept {
    fn count(&self, scenario: &Scenario) -> u64 {
        self.counts.get(&scenario.name).copied().unwrap_or_default()
    }

    fn each(&self, scenario: &Scenario) -> u64 {
        self.count(scenario) / scenario.number.max(1)
    }
}

/// The parts of `made_with` that differ here from those of the kept counts.
fn differences(now: &Kept, kept: &Kept) -> Vec<String> {
    let kept = |what: &str| kept.made_with.get(what).map_or("another", String::as_str);
    let made_with = now.made_with.iter();
    made_with
        .filter(|(what, here)| kept(what) != **here)
        .map(|(what, here)| format!("the {what} is {here}, but the counts are kept for {}", kept(what)))
        .collect()
}

/// If two scenarios differ only in their number, each item must cost the same in both.
fn growth(few: &Scenario, many: &Scenario, now: &Kept) -> Option<String> {
    let family = family(&few.name).filter(|name| family(&many.name) == Some(name))?;
    let (small, large) = (now.each(few), now.each(many));
    (percent_more(large, small) > MAX_GROWTH).then(|| {
        format!(
            "{family} grows: {small} instructions for each {} among {}, {large} among {}",
            few.of, few.number, many.number
        )
    })
}

/// The name without the number at its end, if it has one.
fn family(name: &str) -> Option<&str> {
    let (family, number) = name.rsplit_once('-')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(family)
}

#[allow(
    clippy::cast_precision_loss,
    reason = "counts are far below the 52 bits that are exact"
)]
fn percent_more(count: u64, than: u64) -> f64 {
    (count as f64 - than as f64) * 100.0 / than.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(compiler: &str, counts: &[(&str, u64)]) -> Kept {
        let made_with = [("compiler", compiler), ("processor", "x86_64")];
        Kept {
            made_with: made_with
                .map(|(what, word)| (what.to_owned(), word.to_owned()))
                .into(),
            counts: counts
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
        }
    }

    fn scenario(name: &str, number: u64) -> Scenario {
        Scenario {
            name: name.to_owned(),
            number,
            of: "file".to_owned(),
            uncounted: String::new(),
        }
    }

    fn compared(now: &[(&str, u64)], before: &[(&str, u64)]) -> Comparison {
        let scenarios: Vec<_> = now.iter().map(|(name, _)| scenario(name, 100)).collect();
        compare(&scenarios, &kept("1.95", now), &kept("1.95", before), true)
    }

    #[test]
    fn kept_counts_are_read_as_written() {
        let kept = kept("1.95", &[("sftp/list", 5), ("a", u64::from(u32::MAX))]);
        assert_eq!(
            toml::from_str::<Kept>(&toml::to_string(&kept).unwrap()).unwrap(),
            kept
        );
    }

    #[test]
    fn an_increase_above_two_percent_fails_with_both_counts() {
        let fine = compared(&[("a", 1_020), ("b", 3)], &[("a", 1_000), ("b", 3)]);
        assert!(fine.failures.is_empty());
        assert_eq!(fine.figure, "2 counts, largest +2.0 %");
        let comparison = compared(&[("a", 1_021)], &[("a", 1_000)]);
        assert_eq!(comparison.failures.len(), 1);
        let message = &comparison.failures[0];
        assert!(
            message.contains("+2.10 %") && message.contains("1021 instead of 1000"),
            "{message}"
        );
    }

    #[test]
    fn a_decrease_is_reported_and_does_not_fail() {
        let comparison = compared(&[("a", 900)], &[("a", 1_000)]);
        assert!(comparison.failures.is_empty());
        assert!(comparison.lines[1].ends_with("-10.00 %"));
        assert!(comparison.lines[2].contains("fewer instructions"));
    }

    #[test]
    fn a_scenario_without_a_count_and_a_count_without_a_scenario_fail() {
        let comparison = compared(&[("new", 1)], &[("old", 1)]);
        assert_eq!(comparison.failures.len(), 2);
        let some = compare(&[], &kept("1.95", &[]), &kept("1.95", &[("old", 1)]), false);
        assert!(some.failures.is_empty());
    }

    #[test]
    fn growth_per_item_fails_on_every_machine() {
        let grown = |many| {
            let counts = [("plan-100", 10_000), ("plan-1000", many)];
            let scenarios = [scenario(counts[0].0, 100), scenario(counts[1].0, 1_000)];
            compare(&scenarios, &kept("1.95", &counts), &kept("1.96", &counts), true).failures
        };
        assert!(grown(110_000).is_empty());
        assert_eq!(grown(112_000).len(), 1);
        assert!(grown(112_000)[0].contains("100 instructions for each file among 100, 112 among 1000"));
    }

    #[test]
    fn only_names_that_end_in_a_number_form_a_family() {
        assert_eq!(family("engine/plan-1000"), Some("engine/plan"));
        assert_eq!(family("sftp/encode-read"), None);
        assert_eq!(family("sftp"), None);
    }

    #[test]
    fn a_different_compiler_is_reported_and_does_not_fail() {
        let here = kept("1.95", &[("a", 9)]);
        let comparison = compare(&[scenario("a", 1)], &here, &kept("1.96", &[("a", 1)]), true);
        assert_eq!(differences(&here, &here), [""; 0]);
        assert!(comparison.lines[2].contains("1.95") && comparison.lines[2].contains("1.96"));
        assert!(comparison.failures.is_empty());
    }
}
