//! A table of one work over one link, as it stands on the terminal and in the page.

use super::goals::{goal_of, memory_of, ratio_to};
use super::results::{Entry, Run, Spread, Verdict};
use super::tools::GLEANER;

const NOTHING: &str = "–";

/// Markdown, with its columns in line.
pub(super) fn table(entries: &[&Entry]) -> String {
    let Some(first) = entries.first() else {
        return String::new();
    };
    let goal = goal_of(&first.work, &first.link);
    let peer = goal.and_then(super::goals::Goal::peer);
    let mut rows = vec![
        [
            "tool".to_owned(),
            "seconds".to_owned(),
            peer.map_or(NOTHING.to_owned(), |peer| format!("÷ {peer}")),
            "goal".to_owned(),
            "CPU s here".to_owned(),
            "CPU s there".to_owned(),
            "memory MB".to_owned(),
            "MB in".to_owned(),
            "MB out".to_owned(),
        ]
        .to_vec(),
    ];
    for entry in entries {
        let ratio = peer.and_then(|peer| ratio_to(entry, peer, entries));
        let judged = goal
            .filter(|_| is_gleaner(entry))
            .and_then(|goal| goal.judge(entry, entries));
        let typical = |figure: fn(&Run) -> Option<f64>, digits: usize| {
            let spread = match entry.went_over_limit() {
                true => entry.of_all(figure),
                false => entry.of_whole(figure),
            };
            shown(spread.median(), digits)
        };
        rows.push(vec![
            entry.tool.clone(),
            seconds(entry),
            shown(ratio, 2),
            judged.unwrap_or_else(|| NOTHING.to_owned()),
            typical(|run| Some(run.client_cpu_seconds), 1),
            typical(|run| run.server_cpu_seconds, 1),
            typical(memory_of, 0),
            typical(|run| run.down_bytes.map(megabytes), 1),
            typical(|run| run.up_bytes.map(megabytes), 1),
        ]);
    }
    // A column that says nothing in any row is left out.
    let columns: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .filter(|column| {
            rows.iter()
                .skip(1)
                .any(|row| row.get(*column).is_some_and(|cell| cell != NOTHING))
        })
        .collect();
    aligned(&rows, &columns)
}

fn is_gleaner(entry: &Entry) -> bool {
    entry.tool == GLEANER || entry.tool.starts_with("gleaner-")
}

/// The median and the spread, or what went wrong. A run that is not whole never shows as a time.
fn seconds(entry: &Entry) -> String {
    let spread = entry.of_whole(|run| Some(run.wall_seconds));
    let mut parts = Vec::new();
    if let Some(median) = spread.median() {
        parts.push(median_and_range(median, &spread));
    }
    if entry.went_over_limit() {
        parts.push(format!("> {}", entry.limit_seconds));
    }
    let mut complaints: Vec<&str> = Vec::new();
    for run in &entry.runs {
        match &run.verdict {
            Verdict::NotWhole(words) if !complaints.contains(&words.as_str()) => complaints.push(words),
            _ => {}
        }
    }
    parts.extend(complaints.into_iter().map(str::to_owned));
    parts.join("; ")
}

fn median_and_range(median: f64, spread: &Spread) -> String {
    match (spread.least(), spread.most()) {
        (Some(least), Some(most)) if least < most => format!("{median:.2} ({least:.2}–{most:.2})"),
        _ => format!("{median:.2}"),
    }
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or(NOTHING.to_owned(), |figure| format!("{figure:.digits$}"))
}

#[allow(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Any table in Markdown, with its columns in line; the first row is the heading.
pub(super) fn aligned_table(rows: &[Vec<String>]) -> String {
    let columns: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).collect();
    aligned(rows, &columns)
}

fn aligned(rows: &[Vec<String>], columns: &[usize]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
    let mut text = String::new();
    for (row, number) in rows.iter().zip(0..) {
        let cells = columns.iter().zip(&widths).map(|(column, width)| {
            let cell = row.get(*column).map_or("", String::as_str);
            format!("| {cell:<width$} ")
        });
        text.extend(cells.chain(["|\n".to_owned()]));
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

    #[test]
    fn a_table_has_medians_spreads_ratios_and_the_goal() {
        let (gleaner, tar) = (entry("gleaner", &[20.0, 22.0, 21.0]), entry("tar", &[21.0]));
        let expected = "\
| tool    | seconds             | ÷ tar | goal          | CPU s here | CPU s there | memory MB | MB in | MB out |
|---------|---------------------|-------|---------------|------------|-------------|-----------|-------|--------|
| gleaner | 21.00 (20.00–22.00) | 1.00  | reached: 1.00 | 1.5        | 2.2         | 20        | 212.0 | 1.0    |
| tar     | 21.00               | 1.00  | –             | 1.5        | 2.2         | 20        | 212.0 | 1.0    |
";
        assert_eq!(table(&[&gleaner, &tar]), expected);
    }

    #[test]
    fn a_run_that_is_not_whole_or_not_done_is_no_time() {
        let mut lftp = entry("lftp", &[3.0, 300.0]);
        lftp.runs[0].verdict = Verdict::NotWhole("12 missing".to_owned());
        lftp.runs[1].verdict = Verdict::OverLimit;
        let shown = table(&[&lftp]);
        assert!(shown.contains("| > 300; 12 missing |"), "{shown}");
        assert!(!shown.contains("÷ tar"), "{shown}");
    }
}
