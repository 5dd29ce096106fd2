//! How a sweep is shown: a log for machines and people who look later, bars for who watches, JSON for programs, and a summary that a
//! tired person understands. All of them consume the engine's closed list of events.

pub mod amount;
mod json;
mod log;
mod progress;
mod summary;

use engine::event::{Event, Reporter};

pub(crate) use json::outcome as outcome_json;
pub use log::start as start_log;
pub use summary::{print as print_summary, print_plan};

/// Shows events in one of three ways, and always logs them.
#[derive(Debug)]
pub struct SweepReporter {
    display: Display,
}

#[derive(Debug)]
enum Display {
    /// Log lines only.
    Log,
    /// Bars on a terminal; the log is written around them.
    Bars(progress::Bars),
    /// One JSON object per line on standard output.
    Json(json::EventLines),
    /// What would be done, one line per file on standard output.
    Plan,
}

impl SweepReporter {
    /// Log lines only.
    pub fn log_only() -> Self {
        Self {
            display: Display::Log,
        }
    }

    /// One JSON object per line on standard output, and the log.
    pub fn json() -> Self {
        Self {
            display: Display::Json(json::EventLines::default()),
        }
    }

    /// Bars on the terminal that standard error is.
    pub fn bars() -> Self {
        Self {
            display: Display::Bars(progress::Bars::new()),
        }
    }

    /// What a dry run would do with each file, on standard output, and the log.
    pub fn plan() -> Self {
        Self {
            display: Display::Plan,
        }
    }

    /// Says something that is no event, where whoever watches sees it.
    pub fn notice(&self, text: &str) {
        match &self.display {
            Display::Bars(bars) => bars.around(|| tracing::info!("{text}")),
            Display::Log | Display::Json(_) | Display::Plan => tracing::info!("{text}"),
        }
    }

    /// Ends the bars, so that what follows stands below them.
    pub fn finish(&self) {
        if let Display::Bars(bars) = &self.display {
            bars.finish();
        }
    }
}

impl Reporter for SweepReporter {
    fn report(&self, event: &Event) {
        match &self.display {
            Display::Log => log::write(event),
            Display::Plan => {
                summary::write_planned(event);
                log::write(event);
            }
            Display::Bars(bars) => {
                bars.show(event);
                bars.around(|| log::write(event));
            }
            Display::Json(lines) => {
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
