//! What the counts say: which scenario takes more than it did, and which takes more for each thing the more there are.

use std::fmt;

use super::Scenario;
use super::kept::{Counts, Kept};

/// A scenario may take so many thousandths more than what is kept: 2 %. Ten runs differed by 0.1 % at most, and in most of them not at all.
const MOST_MORE: u64 = 20;
/// What each thing costs may be so many thousandths more among ten times as many: 10 %, where sorting alone takes 2 %.
const MOST_GROWTH: u64 = 100;

/// What is to be said.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) rows: Vec<Row>,
    /// More than is kept. Counts only where all is as it was when they were kept.
    pub(super) regressions: Vec<String>,
    /// More for each thing, the more there are. Counts everywhere.
    pub(super) growth: Vec<String>,
    pub(super) hints: Vec<String>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    scenario: Scenario,
    count: u64,
    kept: Option<u64>,
}

impl Row {
    pub(super) const HEAD: &'static str =
        "scenario                      instructions  for each                      kept   change";
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = format!(
            "{} / {}",
            self.count / self.scenario.number.max(1),
            self.scenario.of
        );
        write!(
            formatter,
            "{:<28} {:>13}  {each:<18}",
            self.scenario.name, self.count
        )?;
        match self.kept {
            Some(kept) => write!(formatter, " {kept:>13}  {:>7}", percent(self.count, kept)),
            None => write!(formatter, " {:>13}", "–"),
        }
    }
}

/// Judges all counts; `is_all` where none of the scenarios was left out on purpose.
pub(super) fn judge(scenarios: &[Scenario], counts: &Counts, kept: &Kept, is_all: bool) -> Verdict {
    let mut verdict = Verdict::default();
    for scenario in scenarios {
        let count = counts.get(&scenario.name).copied().unwrap_or_default();
        let before = kept.counts.get(&scenario.name).copied();
        verdict.rows.push(Row {
            scenario: scenario.clone(),
            count,
            kept: before,
        });
        let name = &scenario.name;
        match before {
            None => verdict.regressions.push(format!(
                "{name} has no kept count; type: cargo xtask instructions --write"
            )),
            Some(before) if is_more(count, before, MOST_MORE) => verdict.regressions.push(format!(
                "{name} takes {} instructions more than is kept ({count} for {before})",
                percent(count, before)
            )),
            Some(before) if is_more(before, count, MOST_MORE) => verdict.hints.push(format!(
                "{name} takes less than is kept ({}): keep that with `cargo xtask instructions --write`",
                percent(count, before)
            )),
            Some(_) => {}
        }
    }
    let gone = kept
        .counts
        .keys()
        .filter(|name| is_all && scenarios.iter().all(|scenario| scenario.name != **name));
    verdict
        .regressions
        .extend(gone.map(|name| format!("a count is kept of {name}, which is no scenario")));
    verdict.growth = growth(&verdict.rows);
    verdict
}

/// Where two scenarios differ in their number only, each thing costs the same in both.
fn growth(rows: &[Row]) -> Vec<String> {
    let mut growth = Vec::new();
    for (few, many) in rows.iter().zip(rows.iter().skip(1)) {
        let (small, large) = (&few.scenario, &many.scenario);
        if family(&small.name).is_none() || family(&small.name) != family(&large.name) {
            continue;
        }
        let each = [few.count / small.number.max(1), many.count / large.number.max(1)];
        if is_more(each[1], each[0], MOST_GROWTH) {
            growth.push(format!(
                "{} grows: {} instructions for each {} among {}, {} among {}",
                family(&small.name).unwrap_or_default(),
                each[0],
                small.of,
                small.number,
                each[1],
                large.number
            ));
        }
    }
    growth
}

/// The name without the number at its end, where it has one.
fn family(name: &str) -> Option<&str> {
    let (family, number) = name.rsplit_once('-')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(family)
}

fn is_more(count: u64, than: u64, thousandths: u64) -> bool {
    u128::from(count) * 1_000 > u128::from(than) * u128::from(1_000 + thousandths)
}

/// How much more, with its sign.
fn percent(count: u64, before: u64) -> String {
    let difference = i128::from(count) - i128::from(before);
    let hundredths = difference * 10_000 / i128::from(before.max(1));
    let sign = if difference < 0 { '-' } else { '+' };
    let hundredths = hundredths.unsigned_abs();
    format!("{sign}{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::super::kept::tests::kept;
    use super::*;

    fn scenario(name: &str, number: u64) -> Scenario {
        Scenario {
            name: name.to_owned(),
            number,
            of: "file".to_owned(),
            but_for: String::new(),
        }
    }

    fn judged(now: &[(&str, u64)], before: &[(&str, u64)]) -> Verdict {
        let scenarios: Vec<_> = now.iter().map(|(name, _)| scenario(name, 100)).collect();
        judge(&scenarios, &kept(now).counts, &kept(before), true)
    }

    #[test]
    fn what_takes_more_than_two_percent_more_is_named_with_both_counts() {
        assert!(judged(&[("a", 1_020)], &[("a", 1_000)]).regressions.is_empty());
        let verdict = judged(&[("a", 1_021)], &[("a", 1_000)]);
        assert_eq!(verdict.regressions.len(), 1);
        let said = &verdict.regressions[0];
        assert!(
            said.contains("+2.10 %") && said.contains("1021 for 1000"),
            "{said}"
        );
    }

    #[test]
    fn what_takes_less_is_told_and_fails_nothing() {
        let verdict = judged(&[("a", 900)], &[("a", 1_000)]);
        assert!(verdict.regressions.is_empty());
        assert_eq!(verdict.hints.len(), 1);
        assert!(verdict.rows[0].to_string().ends_with("-10.00 %"));
    }

    #[test]
    fn a_scenario_that_is_not_kept_and_one_that_is_gone_are_named() {
        let verdict = judged(&[("new", 1)], &[("old", 1)]);
        assert_eq!(verdict.regressions.len(), 2);
        let some = judge(&[], &Counts::new(), &kept(&[("old", 1)]), false);
        assert!(some.regressions.is_empty());
    }

    #[test]
    fn work_that_grows_faster_than_its_number_is_named() {
        let scenarios = [scenario("plan-100", 100), scenario("plan-1000", 1_000)];
        let grown = |many| {
            let counts = [("plan-100", 10_000), ("plan-1000", many)];
            judge(&scenarios, &kept(&counts).counts, &kept(&counts), true).growth
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
}
