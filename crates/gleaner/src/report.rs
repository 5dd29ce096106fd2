//! How gleaner shows a sweep: a log, progress bars for a terminal, JSON for programs, and a summary for
//! people. All of them consume the engine's closed list of events.

pub mod amount;
mod json;
mod log;
mod progress;
mod summary;

use std::sync::Arc;

use engine::event::{Event, Reporter, Reporters};
use model::Timestamp;

use json::EventLines;
use progress::Bars;
use summary::PlanLines;

pub(crate) use json::outcome as outcome_json;
pub use log::start as start_log;
pub use summary::{print as print_summary, print_plan};

/// What consumes the events of a sweep: the log, and what is shown beside it.
#[derive(Debug, Default)]
pub struct SweepReporter {
    consumers: Reporters,
    /// The bars, which log lines must not tear.
    bars: Option<Arc<Bars>>,
}

impl SweepReporter {
    /// Log lines only.
    pub fn log_only() -> Self {
        Self::default().with_log()
    }

    /// One JSON object per line on standard output, and the log.
    pub fn json() -> Self {
        Self::default().with(EventLines::default()).with_log()
    }

    /// The plan of a dry run, one line per file on standard output, and the log.
    pub fn plan() -> Self {
        Self::default().with(PlanLines).with_log()
    }

    /// Progress bars on the terminal that standard error is, and the log above them.
    pub fn bars() -> Self {
        let bars = Arc::new(Bars::new());
        let reporter = Self {
            bars: Some(bars.clone()),
            ..Self::default()
        };
        reporter.with(bars).with_log()
    }

    fn with(mut self, consumer: impl Reporter) -> Self {
        self.consumers.add(consumer);
        self
    }

    fn with_log(self) -> Self {
        let bars = self.bars.clone();
        self.with(log::EventLog::above(bars))
    }

    /// Logs a text that is not an event, visible beside the bars.
    pub fn notice(&self, text: &str) {
        progress::suspend(self.bars.as_deref(), || tracing::info!("{text}"));
    }

    /// Removes the bars, so that later output appears below the log.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }
}

impl Reporter for SweepReporter {
    fn report(&self, at: Timestamp, event: &Event) {
        self.consumers.report(at, event);
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
