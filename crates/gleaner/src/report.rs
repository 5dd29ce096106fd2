//! How gleaner shows a sweep: a log, progress bars for a terminal, JSON for programs, and a summary for
//! people. All of them consume the engine's closed list of events.

pub mod amount;
mod json;
mod log;
mod progress;
mod summary;

use engine::event::{Event, Reporter};

pub(crate) use json::outcome as outcome_json;
pub use log::start as start_log;
pub use summary::{print as print_summary, print_plan};

/// Shows events in one way, and always logs them.
#[derive(Debug)]
pub struct SweepReporter {
    style: Style,
}

#[derive(Debug)]
enum Style {
    /// Log lines only.
    Log,
    /// Progress bars on a terminal; log lines appear above them.
    Bars(progress::Bars),
    /// One JSON object per line on standard output.
    Json(json::EventLines),
    /// The plan of a dry run, one line per file on standard output.
    Plan,
}

impl SweepReporter {
    /// Log lines only.
    pub fn log_only() -> Self {
        Self { style: Style::Log }
    }

    /// One JSON object per line on standard output, and the log.
    pub fn json() -> Self {
        Self {
            style: Style::Json(json::EventLines::default()),
        }
    }

    /// Progress bars on the terminal that standard error is, and the log.
    pub fn bars() -> Self {
        Self {
            style: Style::Bars(progress::Bars::new()),
        }
    }

    /// The plan of a dry run, one line per file on standard output, and the log.
    pub fn plan() -> Self {
        Self { style: Style::Plan }
    }

    /// Logs a text that is not an event, visible beside the bars.
    pub fn notice(&self, text: &str) {
        match &self.style {
            Style::Bars(bars) => bars.around(|| tracing::info!("{text}")),
            Style::Log | Style::Json(_) | Style::Plan => tracing::info!("{text}"),
        }
    }

    /// Removes the bars, so that later output appears below the log.
    pub fn finish(&self) {
        if let Style::Bars(bars) = &self.style {
            bars.finish();
        }
    }
}

impl Reporter for SweepReporter {
    fn report(&self, event: &Event) {
        match &self.style {
            Style::Log => log::write(event),
            Style::Plan => {
                summary::write_planned(event);
                log::write(event);
            }
            Style::Bars(bars) => {
                bars.show(event);
                bars.around(|| log::write(event));
            }
            Style::Json(lines) => {
                lines.write(event);
                log::write(event);
            }
        }
    }
}

/// The text with its first letter as a capital.
pub(crate) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
