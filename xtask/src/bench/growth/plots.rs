//! The plots of the page.

use super::arguments::Subject;
use super::collector::as_figure;
use super::figures::Figures;
use super::plot::{Line, Plot};
use super::{files, fleet, ledger};

/// A plot, and where it lies beside the page.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) subject: Subject,
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
}

/// A work, the figure that is plotted, and what the line is called.
type Series = (String, &'static str, String);

/// Those of which something was measured.
pub(super) fn all(figures: &Figures) -> Vec<Drawn> {
    [
        files_time(figures),
        files_memory(figures),
        ledger_time(figures),
        fleet_time(figures),
        fleet_memory(figures),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn files_time(figures: &Figures) -> Option<Drawn> {
    drawn(
        figures,
        Subject::Files,
        "growth-files-time.svg",
        ("Time per file", "files on the device", "milliseconds per file"),
        &[series(files::GATHER, "ms_per_file", "one device, files of 2 KB")],
    )
}

fn files_memory(figures: &Figures) -> Option<Drawn> {
    drawn(
        figures,
        Subject::Files,
        "growth-files-memory.svg",
        ("Memory", "files on the device", "megabytes at most"),
        &[
            series(files::GATHER, "collector_mb", "gleaner"),
            series(
                files::GATHER,
                "helpers_mb",
                "ssh and shells, what they do not share",
            ),
        ],
    )
}

fn ledger_time(figures: &Figures) -> Option<Drawn> {
    let lines: Vec<_> = ledger::QUESTIONS
        .iter()
        .map(|question| series(question.name, "seconds", &question.about.replace('`', "")))
        .collect();
    drawn(
        figures,
        Subject::Ledger,
        "growth-ledger.svg",
        ("Time beside a full ledger", "files in the ledger", "seconds"),
        &lines,
    )
}

fn fleet_time(figures: &Figures) -> Option<Drawn> {
    let lines = [
        (fleet::IDLE, "nothing waits, 16 at a time"),
        (fleet::IDLE_AT_ONCE, "nothing waits, all at once"),
        (fleet::FILES, "20 files each, 16 at a time"),
        (fleet::FILES_AT_ONCE, "20 files each, all at once"),
    ];
    drawn(
        figures,
        Subject::Fleet,
        "growth-fleet-time.svg",
        ("Time per device", "devices", "milliseconds per device"),
        &lines.map(|(work, name)| series(work, "ms_per_device", name)),
    )
}

fn fleet_memory(figures: &Figures) -> Option<Drawn> {
    let lines = [
        (fleet::FILES, "collector_mb", "gleaner, 16 at a time"),
        (fleet::FILES, "helpers_mb", "ssh and shells, 16 at a time"),
        (fleet::FILES_AT_ONCE, "collector_mb", "gleaner, all at once"),
        (fleet::FILES_AT_ONCE, "helpers_mb", "ssh and shells, all at once"),
    ];
    drawn(
        figures,
        Subject::Fleet,
        "growth-fleet-memory.svg",
        ("Memory", "devices with 20 files each", "megabytes at most"),
        &lines.map(|(work, figure, name)| series(work, figure, name)),
    )
}

fn series(work: &str, figure: &'static str, name: &str) -> Series {
    (work.to_owned(), figure, name.to_owned())
}

fn drawn(
    figures: &Figures,
    subject: Subject,
    file: &'static str,
    (title, x_axis, y_axis): (&'static str, &'static str, &'static str),
    series: &[Series],
) -> Option<Drawn> {
    let line = |(work, figure, name): &Series| {
        let sizes = figures.sizes(subject.name(), work).into_iter();
        let point = |size| {
            Some((
                as_figure(size),
                figures.median(subject.name(), work, size, figure)?,
            ))
        };
        Line {
            name: name.clone(),
            points: sizes.filter_map(point).collect(),
        }
    };
    let lines: Vec<_> = series
        .iter()
        .map(line)
        .filter(|line| !line.points.is_empty())
        .collect();
    (!lines.is_empty()).then(|| Drawn {
        subject,
        file,
        title,
        svg: Plot {
            title,
            x_axis,
            y_axis,
            lines,
        }
        .svg(),
    })
}
