//! How a sweep is shown: a log for machines and people who look later, bars for who watches, JSON for programs, and a summary that a
//! tired person understands. All of them consume the engine's closed list of events.

pub mod amount;
mod json;
mod log;
mod progress;
mod summary;

use engine::event::{Event, Reporter};

pub use log::start as start_log;
pub use summary::{print as print_summary, print_plan};

/// Shows events in one of three ways, and always logs them.
#[derive(Debug)]
pub struct SweepReporter {
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// Log lines only.
    Log,
    /// Bars on a terminal; the log is written around them.
    Bars(progress::Bars),
    /// One JSON object per line on standard output.
    Json(json::Lines),
    /// What would be done, one line per file on standard output.
    Plan,
}

impl SweepReporter {
    /// Log lines only.
    pub fn log_only() -> Self {
        Self { shown: Shown::Log }
    }

    /// One JSON object per line on standard output, and the log.
    pub fn json() -> Self {
        Self {
            shown: Shown::Json(json::Lines::default()),
        }
    }

    /// Bars on the terminal that standard error is.
    pub fn bars() -> Self {
        Self {
            shown: Shown::Bars(progress::Bars::new()),
        }
    }

    /// What a dry run would do with each file, on standard output, and the log.
    pub fn plan() -> Self {
        Self { shown: Shown::Plan }
    }

    /// Says something that is no event, where whoever watches sees it.
    pub fn notice(&self, text: &str) {
        match &self.shown {
            Shown::Bars(bars) => bars.around(|| tracing::info!("{text}")),
            Shown::Log | Shown::Json(_) | Shown::Plan => tracing::info!("{text}"),
        }
    }

    /// Ends the bars, so that what follows stands below them.
    pub fn finish(&self) {
        if let Shown::Bars(bars) = &self.shown {
            bars.finish();
        }
    }
}

impl Reporter for SweepReporter {
    fn report(&self, event: &Event) {
        match &self.shown {
            Shown::Log => log::write(event),
            Shown::Plan => {
                summary::write_planned(event);
                log::write(event);
            }
            Shown::Bars(bars) => {
                bars.show(event);
                bars.around(|| log::write(event));
            }
            Shown::Json(lines) => {
                lines.write(event);
                log::write(event);
            }
        }
    }
}
