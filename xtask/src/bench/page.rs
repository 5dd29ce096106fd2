//! Writes the pages of the documents from the results and a text with gaps, `page/*.md.in`.
//!
//! A gap is `{{…}}`. A paragraph with a gap that has no results is left out. If it is a heading, so is its
//! section.

use anyhow::{Context, Result};

use super::catalogue::Catalogue;
use super::report::{self, amount};
use super::results::{Entry, Figure, Results, as_figure};

const BENCHMARKS: &str = include_str!("page/benchmarks.md.in");
const GROWTH: &str = include_str!("page/growth.md.in");

/// `docs/reference/benchmarks.md`, from all results at this scale.
pub(super) fn benchmarks(catalogue: &Catalogue, results: &Results, scale_percent: usize) -> Result<String> {
    fill(BENCHMARKS, |gap| {
        Ok(match gap {
            "trial" => trial(scale_percent),
            "comparisons" => comparisons(catalogue, results, scale_percent),
            "tools" => Some(tools(catalogue)),
            "facts" => Some(facts(results)),
            _ => return Err(unknown(gap)),
        })
    })
}

/// `docs/reference/growth.md`.
pub(super) fn growth(catalogue: &Catalogue, results: &Results) -> Result<String> {
    fill(GROWTH, |gap| {
        if gap == "facts" {
            return Ok(Some(facts(results)));
        }
        let words: Vec<_> = gap.split(' ').collect();
        let named = |work| {
            let growth = catalogue.growths.iter().find(|growth| growth.name == work);
            growth.with_context(|| unknown(gap))
        };
        let largest = |work| largest(results, work);
        Ok(match words.as_slice() {
            ["if", work] => largest(work).map(|_| String::new()),
            ["table", work] => report::grown(named(*work)?, catalogue, results),
            ["cold", work] => report::grown_cold(named(*work)?, catalogue, results),
            ["size", work] => largest(work).map(|entry| amount(as_figure(entry.size), 0)),
            ["goal", work] => {
                let goals = &named(*work)?.goals;
                let assess = |entry: &Entry| -> Vec<_> {
                    goals
                        .iter()
                        .filter_map(|goal| goal.assess(entry, &[entry]))
                        .collect()
                };
                largest(work).map(|entry| assess(entry).join(", "))
            }
            [work, figure, digits] => {
                let figure: Figure =
                    serde_json::from_value((*figure).into()).with_context(|| unknown(gap))?;
                let digits = digits.parse()?;
                let median = largest(work).and_then(|entry| entry.of_whole(figure).median());
                median.map(|median| amount(median, digits))
            }
            _ => return Err(unknown(gap)),
        })
    })
}

fn unknown(gap: &str) -> anyhow::Error {
    anyhow::anyhow!("no page knows what `{{{{{gap}}}}}` is")
}

/// The text with its gaps filled.
fn fill(text: &str, fill_gap: impl Fn(&str) -> Result<Option<String>>) -> Result<String> {
    let mut paragraphs = Vec::new();
    let mut is_left_out = false;
    for paragraph in text.trim_end().split("\n\n") {
        let is_heading = paragraph.starts_with("## ");
        if is_left_out && !is_heading {
            continue;
        }
        let filled = fill_paragraph(paragraph, &fill_gap)?;
        is_left_out = is_heading && filled.is_none();
        paragraphs.extend(filled);
    }
    Ok(paragraphs.join("\n\n") + "\n")
}

fn fill_paragraph(
    paragraph: &str,
    fill_gap: impl Fn(&str) -> Result<Option<String>>,
) -> Result<Option<String>> {
    let mut filled = String::new();
    let mut rest = paragraph;
    while let Some((before, gap)) = rest.split_once("{{") {
        let (gap, after) = gap.split_once("}}").context("a gap without an end")?;
        let Some(text) = fill_gap(gap)? else {
            return Ok(None);
        };
        filled.push_str(before);
        // The blank line makes the table a paragraph. It is still left out together with the words before it.
        if text.starts_with('|') && !filled.is_empty() {
            filled.push('\n');
        }
        filled.push_str(&text);
        rest = after;
    }
    filled.push_str(rest);
    Ok(Some(filled.trim_end().to_owned()))
}

fn largest<'a>(results: &'a Results, work: &str) -> Option<&'a Entry> {
    let entries = results.entries.iter().filter(|entry| entry.work == work);
    entries.max_by_key(|entry| entry.size)
}

fn trial(scale_percent: usize) -> Option<String> {
    let text = || format!("**A trial with {scale_percent} % of the work. Its figures mean nothing.**");
    (scale_percent != 100).then(text)
}

fn comparisons(catalogue: &Catalogue, results: &Results, scale_percent: usize) -> Option<String> {
    let mut sections = Vec::new();
    for work in &catalogue.works {
        for link in &catalogue.links {
            let entries = results.table(&work.name, &link.name, scale_percent);
            let Some(first) = entries.first() else {
                continue;
            };
            let rounds = entries
                .iter()
                .map(|entry| entry.runs.len())
                .max()
                .unwrap_or_default();
            let goals = catalogue.goals_of(&work.name, &link.name);
            let mut words = capital(&format!("{},\n{}.\nRounds: {rounds}.", work.about, link.about));
            words.extend(goals.iter().map(|goal| format!("\nGoal: {}.", goal.in_words())));
            if entries.iter().any(|entry| entry.measurement != first.measurement) {
                words.push_str(
                    "\nNot all tools were measured side by side; ratios are given for those that were.",
                );
            }
            let table = report::compared(&entries, goals);
            sections.push(format!(
                "## `{}` over `{}`\n\n{words}\n\n{table}",
                work.name, link.name
            ));
        }
    }
    (!sections.is_empty()).then(|| sections.join("\n"))
}

fn capital(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

fn tools(catalogue: &Catalogue) -> String {
    let tools = catalogue.compared_tools();
    let tools = tools.map(|it| format!("**`{}`**: {}.\n\n```sh\n{}\n```", it.name, it.about, it.script));
    tools.collect::<Vec<_>>().join("\n\n")
}

fn facts(results: &Results) -> String {
    let mut text = "| item | value |\n|---|---|\n".to_owned();
    for (what, which) in &results.facts {
        text.extend([format!("| {what} | {} |\n", which.replace('|', "\\|"))]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::entry;
    use super::super::results::{Figures, Run, RunResult};
    use super::*;

    fn compared() -> Results {
        let mut results = Results::default();
        results.facts.push(("cores".to_owned(), "2".to_owned()));
        results.add(entry("gleaner", &[20.0]));
        results.add(entry("tar", &[21.0]));
        results
    }

    fn benchmarks_of(results: &Results, scale_percent: usize) -> String {
        benchmarks(&Catalogue::load().unwrap(), results, scale_percent).unwrap()
    }

    fn growth_of(results: &Results) -> String {
        growth(&Catalogue::load().unwrap(), results).unwrap()
    }

    fn add(results: &mut Results, work: &str, tool: &str, size: usize, figures: &[(Figure, f64)]) {
        results.add(Entry {
            work: work.to_owned(),
            size,
            runs: vec![Run {
                result: RunResult::Whole,
                figures: figures.iter().copied().collect(),
            }],
            ..entry(tool, &[])
        });
    }

    fn grown() -> Results {
        let mut results = compared();
        for (size, milliseconds) in [(1000, 0.5), (10_000, 0.45)] {
            let figures = [(Figure::MsEach, milliseconds), (Figure::CollectorMb, 30.0)];
            add(&mut results, "files", "gleaner", size, &figures);
        }
        let size = [
            (Figure::LedgerMb, 4_500.0),
            (Figure::LedgerBytesEach, 450.0),
            (Figure::PassesMb, 24.0),
        ];
        add(
            &mut results,
            report::LEDGER_SIZE,
            report::LEDGER_SIZE,
            10_000_000,
            &size,
        );
        add(
            &mut results,
            "ledger",
            "status",
            10_000_000,
            &[(Figure::Seconds, 0.25)],
        );
        results
    }

    #[test]
    fn the_page_has_a_section_for_what_was_measured_and_none_for_what_was_not() {
        let page = benchmarks_of(&compared(), 100);
        assert!(page.contains(
            "\n## `small` over `wan`\n\n10,000 files of 2 to 40 KB in 20 folders,\n\
             at a round trip of 100 ms and 100 Mbit/s.\n\
             Rounds: 1.\nGoal: at most 1.05 times the time of `tar`.\n\n| tool "
        ));
        assert!(page.contains("reached: 0.95"));
        assert!(!page.contains("over `loopback`"));
        assert!(page.contains("| cores | 2 |"));
        assert!(page.lines().all(|line| line == line.trim_end()) && page.ends_with('\n'));
        assert_eq!(page.lines().filter(|line| line.starts_with("# ")).count(), 1);
    }

    #[test]
    fn figures_of_a_trial_are_not_in_the_page_of_the_whole() {
        let mut results = compared();
        for entry in &mut results.entries {
            entry.size = 1;
        }
        assert!(!benchmarks_of(&results, 100).contains("## `small`"));
        let trial = benchmarks_of(&results, 1);
        assert!(trial.contains("## `small` over `wan`") && trial.contains("mean nothing"));
    }

    #[test]
    fn what_was_not_measured_side_by_side_is_said() {
        let mut results = compared();
        results.entries[1].measurement = "0".to_owned();
        assert!(benchmarks_of(&results, 100).contains("Not all tools were measured side by side"));
    }

    #[test]
    fn growth_has_what_was_measured_and_nothing_of_what_was_not() {
        let page = growth_of(&grown());
        assert!(page.contains("| 10,000 | –       | 0.450       |"), "{page}");
        assert!(page.contains(
            "With 10,000,000 files the ledger takes 4,500 MB on the disk,\n450 bytes for each file. The"
        ));
        assert!(
            page.contains("| `gleaner status`, all devices               | 0.25       |"),
            "{page}"
        );
        assert!(!page.contains("## Devices") && !page.contains("Forgetting all passes"));
        assert!(page.contains("| cores | 2 |"));
        assert!(page.lines().all(|line| line == line.trim_end()) && page.ends_with('\n'));
    }

    #[test]
    fn the_end_of_a_collector_is_that_of_the_largest_fleet() {
        let mut results = grown();
        for (size, in_five_minutes) in [(50, 3_300.0), (500, 5_000.0)] {
            let mut figures = vec![(Figure::InFiveMinutes, in_five_minutes), (Figure::MsEach, 60.0)];
            let of_sweep = [Figure::Seconds, Figure::CpuSeconds, Figure::ServerCpuSeconds];
            figures.extend(of_sweep.map(|figure| (figure, 30.0)));
            add(&mut results, "fleet-idle", "gleaner", size, &figures);
            add(
                &mut results,
                "fleet-files",
                "gleaner",
                size,
                &[(Figure::InFiveMinutes, 3_000.0)],
            );
        }
        let page = growth_of(&results).replace('\n', " ");
        assert!(
            page.contains("serves 5,000 devices of this kind, and 3,000 where"),
            "{page}"
        );
    }

    #[test]
    fn nothing_is_left_out_of_a_page_when_all_was_measured() {
        let catalogue = Catalogue::load().unwrap();
        let mut results = grown();
        let every: Figures = serde_json::from_str(EVERY_FIGURE).unwrap();
        let every: Vec<_> = every.into_iter().collect();
        add(
            &mut results,
            report::LEDGER_SIZE,
            report::LEDGER_SIZE,
            10_000_000,
            &every,
        );
        for growth in &catalogue.growths {
            for tool in &growth.tools {
                let size = *growth.sizes.last().unwrap();
                results.entries.retain(|entry| entry.work != growth.name);
                add(&mut results, &growth.name, tool, size, &every);
            }
        }
        let page = growth_of(&results);
        for paragraph in GROWTH.split("\n\n") {
            let words = paragraph.split("{{").next().unwrap().trim();
            assert!(page.contains(words), "{words}\n\n{page}");
        }
        assert!(!page.contains("{{"));
    }

    const EVERY_FIGURE: &str = r#"{ "seconds": 1, "cpu_seconds": 1, "server_cpu_seconds": 1, "collector_mb": 1, "ms_each": 1,
        "in_five_minutes": 100, "not_served": 0, "first_released_seconds": 1, "ledger_mb": 1, "ledger_bytes_each": 1, "passes_mb": 1,
        "passes_percent": 1 }"#;
}
