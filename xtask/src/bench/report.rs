//! The tables, as shown on the terminal and in the pages.

use super::candidate::COLD;
use super::catalogue::{Catalogue, Column};
use super::goals::{Goal, ratio_to};
use super::results::{Entry, Figure, Results, RunResult, Spread, as_figure};
use super::work::{Growth, Subject};

/// The name of the work and the tool under which the size of a growing ledger is kept.
pub(super) const LEDGER_SIZE: &str = "ledger-size";

const NOTHING: &str = "–";

/// The columns behind the time and the goals: heading, figure, digits after the decimal point.
const COSTS: [(&str, Figure, usize); 7] = [
    ("stored s", Figure::LastStoredSeconds, 2),
    ("CPU s here", Figure::CpuSeconds, 1),
    ("device CPU s", Figure::DeviceCpuSeconds, 1),
    ("device s/GB", Figure::DeviceCpuPerGb, 1),
    ("memory MB", Figure::MemoryMb, 0),
    ("MB in", Figure::DownMb, 1),
    ("MB out", Figure::UpMb, 1),
];

/// One work over one link, one row for each tool. A column without a figure in any row is left out.
pub(super) fn compared(entries: &[&Entry], goals: &[Goal]) -> String {
    let peer = goals.iter().find_map(Goal::peer);
    let ratio_heading = peer.map_or(NOTHING.to_owned(), |peer| format!("÷ {peer}"));
    let headings = ["tool", "seconds", &ratio_heading, "goals"];
    let heading = headings.into_iter().chain(COSTS.map(|(heading, _, _)| heading));
    let heading: Vec<_> = heading.map(str::to_owned).collect();
    let row = |entry: &&Entry| {
        let ratio = peer.and_then(|peer| ratio_to(entry, peer, Figure::Seconds, entries));
        let typical = |(_, figure, digits): (&str, Figure, usize)| {
            let spread = if entry.went_over_limit() {
                entry.of_all(figure)
            } else {
                entry.of_whole(figure)
            };
            shown(spread.median(), digits)
        };
        let assessed = assessed(entry, goals, entries);
        let first = [entry.tool.clone(), seconds(entry), shown(ratio, 2), assessed];
        first.into_iter().chain(COSTS.map(typical)).collect()
    };
    let columns = heading.len();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(entries.iter().map(row)).collect();
    let says_something = |column: &usize| {
        let mut cells = rows.iter().skip(1).filter_map(|row| row.get(*column));
        cells.any(|cell| cell != NOTHING)
    };
    let columns: Vec<usize> = (0..columns).filter(says_something).collect();
    let chosen = |row: &Vec<String>| {
        columns
            .iter()
            .filter_map(|column| row.get(*column).cloned())
            .collect()
    };
    markdown(&rows.iter().map(chosen).collect::<Vec<_>>())
}

/// Which goals gleaner reached.
fn assessed(entry: &Entry, goals: &[Goal], entries: &[&Entry]) -> String {
    if entry.tool != "gleaner" && !entry.tool.starts_with("gleaner-") {
        return NOTHING.to_owned();
    }
    let results = goals.iter().filter_map(|goal| goal.assess(entry, entries));
    let results = results.collect::<Vec<_>>().join("; ");
    if results.is_empty() {
        NOTHING.to_owned()
    } else {
        results
    }
}

/// The median and the spread, or the reason why the run is incomplete. An incomplete run never shows as a
/// time.
fn seconds(entry: &Entry) -> String {
    let spread = entry.of_whole(Figure::Seconds);
    let mut parts: Vec<_> = spread
        .median()
        .map(|median| median_and_range(median, &spread))
        .into_iter()
        .collect();
    if entry.went_over_limit() {
        parts.push(format!("> {}", entry.limit_seconds));
    }
    for run in &entry.runs {
        match &run.result {
            RunResult::NotWhole(words) if !parts.contains(words) => parts.push(words.clone()),
            _ => {}
        }
    }
    parts.join("; ")
}

fn median_and_range(median: f64, spread: &Spread) -> String {
    match (spread.least(), spread.most()) {
        (Some(least), Some(most)) if least < most => format!("{median:.2} ({least:.2}–{most:.2})"),
        _ => format!("{median:.2}"),
    }
}

/// A work that grows, one row for each size. A ledger is read in several ways, with one column for each.
/// `None` if the work was not measured.
pub(super) fn grown(growth: &Growth, catalogue: &Catalogue, results: &Results) -> Option<String> {
    let columns = catalogue.columns.get(&growth.columns)?;
    match growth.of {
        Subject::Ledger => by_tool(growth, catalogue, results, ""),
        Subject::Files | Subject::Fleet => {
            let entries = results.by_size(&growth.name, growth.tools.first()?);
            by_size(growth.of, columns, &entries)
        }
    }
}

/// The same for a ledger that is not cached.
pub(super) fn grown_cold(growth: &Growth, catalogue: &Catalogue, results: &Results) -> Option<String> {
    by_tool(growth, catalogue, results, COLD)
}

fn by_size(of: Subject, columns: &[Column], entries: &[&Entry]) -> Option<String> {
    let first = match of {
        Subject::Fleet => "devices",
        Subject::Files | Subject::Ledger => "files",
    };
    let heading = std::iter::once(first.to_owned()).chain(columns.iter().map(|it| it.heading.clone()));
    let row = |entry: &&Entry| {
        let cell = |column: &Column| shown(entry.of_whole(column.figure).median(), column.digits);
        let size = amount(as_figure(entry.size), 0);
        std::iter::once(size).chain(columns.iter().map(cell)).collect()
    };
    let rows: Vec<Vec<_>> = std::iter::once(heading.collect())
        .chain(entries.iter().map(row))
        .collect();
    (!entries.is_empty()).then(|| markdown(&rows))
}

fn by_tool(growth: &Growth, catalogue: &Catalogue, results: &Results, suffix: &str) -> Option<String> {
    let column = catalogue.columns.get(&growth.columns)?.first()?;
    let sizes = results.by_size(LEDGER_SIZE, LEDGER_SIZE);
    let sizes: Vec<_> = sizes.into_iter().map(|entry| entry.size).collect();
    let heading = std::iter::once("files in the ledger".to_owned())
        .chain(sizes.iter().map(|size| amount(as_figure(*size), 0)));
    let row = |name: &String| {
        let entries = results.by_size(&growth.name, &format!("{name}{suffix}"));
        let cell = |size: &usize| {
            let entry = entries.iter().find(|entry| entry.size == *size)?;
            entry.of_whole(column.figure).median()
        };
        let tool = catalogue.tools.iter().find(|tool| tool.name == *name);
        let about = tool.map(|tool| tool.about.clone()).unwrap_or_default();
        let cells = sizes.iter().map(|size| shown(cell(size), column.digits));
        std::iter::once(about).chain(cells).collect()
    };
    let rows: Vec<Vec<_>> = std::iter::once(heading.collect())
        .chain(growth.tools.iter().map(row))
        .collect();
    (!sizes.is_empty()).then(|| markdown(&rows))
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or(NOTHING.to_owned(), |figure| format!("{figure:.digits$}"))
}

/// A number with separated thousands.
pub(super) fn amount(figure: f64, digits: usize) -> String {
    let text = format!("{figure:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (digit, left) in whole.chars().zip((0..whole.len()).rev()) {
        grouped.push(digit);
        if left > 0 && left % 3 == 0 {
            grouped.push(',');
        }
    }
    grouped + rest
}

/// A table in Markdown with aligned columns. The first row is the heading.
fn markdown(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for (row, number) in rows.iter().zip(0..) {
        let cells = row.iter().zip(&widths);
        text.extend(cells.map(|(cell, width)| format!("| {cell:<width$} ")));
        text.push_str("|\n");
        if number == 0 {
            text.extend(widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))));
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::entry;
    use super::*;

    fn goals() -> [Goal; 2] {
        let of_tar = |of, at_most| Goal::Ratio {
            of,
            peer: "tar".to_owned(),
            at_most,
        };
        [
            of_tar(Figure::Seconds, 1.05),
            of_tar(Figure::DeviceCpuSeconds, 0.5),
        ]
    }

    #[test]
    fn a_table_has_medians_spreads_ratios_and_the_goals() {
        let (gleaner, tar) = (entry("gleaner", &[20.0, 22.0, 21.0]), entry("tar", &[21.0]));
        let table = compared(&[&gleaner, &tar], &goals());
        let lines: Vec<_> = table.lines().collect();
        let expected = [
            "| tool    | seconds             | ÷ tar | goals                           | CPU s here | device CPU s \
             | device s/GB | memory MB | MB in | MB out |",
            "| gleaner | 21.00 (20.00–22.00) | 1.00  | reached: 1.00; missed: 1.00 CPU | 1.5        | 2.2          \
             | 10.5        | 20        | 212.0 | 1.0    |",
            "| tar     | 21.00               | 1.00  | –                               | 1.5        | 2.2          \
             | 10.5        | 20        | 212.0 | 1.0    |",
        ];
        assert_eq!([lines[0], lines[2], lines[3]], expected);
    }

    #[test]
    fn an_incomplete_or_unfinished_run_shows_no_time() {
        let mut lftp = entry("lftp", &[3.0, 300.0]);
        lftp.runs[0].result = RunResult::NotWhole("12 missing".to_owned());
        lftp.runs[1].result = RunResult::OverLimit;
        let shown = compared(&[&lftp], &goals());
        assert!(shown.contains("| > 300; 12 missing |"), "{shown}");
        assert!(!shown.contains("÷ tar"), "{shown}");
    }

    #[test]
    fn numbers_have_separated_thousands() {
        let written = [0.0, 16.0, 1000.0, 10_000_000.0].map(|figure| amount(figure, 0));
        assert_eq!(written, ["0", "16", "1,000", "10,000,000"]);
        assert_eq!(amount(1234.25, 2), "1,234.25");
    }
}
