//! Compares counts: which scenarios take more than before, and which take more per item as the number of
//! items grows.

use super::{KEPT, Kept, Scenario};

/// Percentage by which a count may exceed the kept one. Ten runs differed by at most 0.1 %, most not at all.
const MAX_MORE: f64 = 2.0;
/// Percentage by which an item may cost more among ten times as many items. Sorting alone takes 2 %.
const MAX_GROWTH: f64 = 10.0;

/// The printed lines, and the reasons to fail.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The table, followed by hints.
    pub(super) lines: Vec<String>,
    pub(super) failures: Vec<String>,
    /// A summary in a few words.
    pub(super) figure: String,
}

/// Compares all counts. `is_all` means that no scenario was left out on purpose.
pub(super) fn judge(scenarios: &[Scenario], now: &Kept, kept: &Kept, is_all: bool) -> Verdict {
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
                "{name} takes {more:+.2} % more instructions than kept ({count} for {before})"
            ));
        }
        if more < -MAX_MORE {
            hints.push(format!(
                "{name} takes less: keep that with `cargo xtask instructions --write`"
            ));
        }
        changes.push(more);
    }
    lines.extend(hints);
    let is_gone = |name: &&String| is_all && !now.counts.contains_key(*name);
    let gone = kept.counts.keys().filter(is_gone);
    failures.extend(gone.map(|name| format!("a count is kept of {name}, which is no scenario")));
    let differences = differences(now, kept);
    let largest = changes.into_iter().reduce(f64::max).unwrap_or_default();
    let mut comparison = format!("largest {largest:+.1} %");
    if !differences.is_empty() {
        lines.extend(differences);
        lines.push(format!(
            "so the counts are not comparable with those of {KEPT}: none of them fails here"
        ));
        failures.clear();
        "kept for another machine".clone_into(&mut comparison);
    }
    // Growth fails even if the counts are not comparable.
    let pairs = scenarios.iter().zip(scenarios.iter().skip(1));
    failures.extend(pairs.filter_map(|(few, many)| growth(few, many, now)));
    Verdict {
        lines,
        failures,
        figure: format!("{} counts, {comparison}", scenarios.len()),
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
        .map(|(what, here)| {
            format!(
                "the {what} here is {here}, the counts are kept for {}",
                kept(what)
            )
        })
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
    reason = "no count comes near the 52 bits that are exact"
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

    fn scenario((name, _): &(&str, u64), number: u64) -> Scenario {
        Scenario {
            name: (*name).to_owned(),
            number,
            of: "file".to_owned(),
            uncounted: String::new(),
        }
    }

    fn judged(now: &[(&str, u64)], before: &[(&str, u64)]) -> Verdict {
        let scenarios: Vec<_> = now.iter().map(|now| scenario(now, 100)).collect();
        judge(&scenarios, &kept("1.95", now), &kept("1.95", before), true)
    }

    #[test]
    fn what_is_kept_is_read_as_it_was_written() {
        let kept = kept("1.95", &[("sftp/list", 5), ("a", u64::from(u32::MAX))]);
        assert_eq!(
            toml::from_str::<Kept>(&toml::to_string(&kept).unwrap()).unwrap(),
            kept
        );
    }

    #[test]
    fn what_takes_more_than_two_percent_more_is_named_with_both_counts() {
        let fine = judged(&[("a", 1_020), ("b", 3)], &[("a", 1_000), ("b", 3)]);
        assert!(fine.failures.is_empty());
        assert_eq!(fine.figure, "2 counts, largest +2.0 %");
        let verdict = judged(&[("a", 1_021)], &[("a", 1_000)]);
        assert_eq!(verdict.failures.len(), 1);
        let said = &verdict.failures[0];
        assert!(
            said.contains("+2.10 %") && said.contains("1021 for 1000"),
            "{said}"
        );
    }

    #[test]
    fn what_takes_less_is_told_and_fails_nothing() {
        let verdict = judged(&[("a", 900)], &[("a", 1_000)]);
        assert!(verdict.failures.is_empty());
        assert!(verdict.lines[1].ends_with("-10.00 %"));
        assert!(verdict.lines[2].contains("keep that"));
    }

    #[test]
    fn a_scenario_that_is_not_kept_and_one_that_is_gone_are_named() {
        let verdict = judged(&[("new", 1)], &[("old", 1)]);
        assert_eq!(verdict.failures.len(), 2);
        let some = judge(&[], &kept("1.95", &[]), &kept("1.95", &[("old", 1)]), false);
        assert!(some.failures.is_empty());
    }

    #[test]
    fn work_that_grows_faster_than_its_number_is_named_wherever_it_runs() {
        let grown = |many| {
            let counts = [("plan-100", 10_000), ("plan-1000", many)];
            let scenarios = [scenario(&counts[0], 100), scenario(&counts[1], 1_000)];
            judge(&scenarios, &kept("1.95", &counts), &kept("1.96", &counts), true).failures
        };
        assert!(grown(110_000).is_empty());
        assert_eq!(grown(112_000).len(), 1);
        assert!(grown(112_000)[0].contains("100 instructions for each file among 100, 112 among 1000"));
    }

    #[test]
    fn only_names_that_end_in_a_number_are_of_a_family() {
        assert_eq!(family("engine/plan-1000"), Some("engine/plan"));
        assert_eq!(family("sftp/encode-read"), None);
        assert_eq!(family("sftp"), None);
    }

    #[test]
    fn another_compiler_is_named_with_the_one_that_is_kept_and_fails_nothing() {
        let here = kept("1.95", &[("a", 9)]);
        let verdict = judge(&[scenario(&("a", 9), 1)], &here, &kept("1.96", &[("a", 1)]), true);
        assert_eq!(differences(&here, &here), [""; 0]);
        assert!(verdict.lines[2].contains("1.95") && verdict.lines[2].contains("1.96"));
        assert!(verdict.failures.is_empty());
    }
}
