//! Progress on a terminal: one bar for each device with a pass under way, and one for all.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use engine::event::{Event, Reporter};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use model::{DeviceName, Timestamp};

use super::amount;

/// More bars would scroll; further devices count in the total only.
const MAX_BARS: usize = 16;

/// The bars of a sweep.
#[derive(Debug)]
pub(super) struct Bars {
    screen: MultiProgress,
    state: Mutex<BarState>,
}

#[derive(Debug)]
struct BarState {
    total: ProgressBar,
    devices: HashMap<DeviceName, ProgressBar>,
    released: u64,
}

impl Bars {
    pub(super) fn new() -> Self {
        let screen = MultiProgress::new();
        let total = screen.add(ProgressBar::no_length().with_style(style(TOTAL)));
        total.set_prefix("all");
        total.enable_steady_tick(Duration::from_millis(250));
        let state = BarState {
            total,
            devices: HashMap::new(),
            released: 0,
        };
        Self {
            screen,
            state: Mutex::new(state),
        }
    }

    pub(super) fn finish(&self) {
        let state = self.lock();
        state.devices.values().for_each(ProgressBar::finish_and_clear);
        state.total.finish_and_clear();
        drop(state);
        self.screen.clear().unwrap_or_default();
    }

    fn show(&self, event: &Event) {
        let mut state = self.lock();
        match event {
            Event::Connecting { device } => self.add_bar(&mut state, device),
            Event::Connected { device, .. } => state.set_message(device, "surveying"),
            Event::Surveyed { device, ready, .. } => {
                lengthen(&state.total, ready.bytes);
                if let Some(bar) = state.devices.get(device) {
                    lengthen(bar, ready.bytes);
                    bar.set_message(format!("{} to collect", amount::count(ready.files, "file")));
                }
            }
            Event::Received { device, bytes } => {
                state.total.inc(*bytes);
                if let Some(bar) = state.devices.get(device) {
                    bar.inc(*bytes);
                }
            }
            Event::Resumed { device, bytes, .. } => {
                state.total.inc(*bytes);
                if let Some(bar) = state.devices.get(device) {
                    bar.inc(*bytes);
                    bar.set_message(format!("resuming after {}", amount::bytes(*bytes)));
                }
            }
            Event::Released { .. } => {
                state.released += 1;
                let message = format!("{} released", amount::count(state.released, "file"));
                state.total.set_message(message);
            }
            Event::PassEnded { device, .. } => {
                if let Some(bar) = state.devices.remove(device) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
            Event::SweepBegan { .. }
            | Event::ForeignStaging { .. }
            | Event::SweepEnded { .. }
            | Event::Planned { .. }
            | Event::FolderReplaced { .. }
            | Event::TimeNotKept { .. }
            | Event::Stored { .. }
            | Event::LeftBehind { .. } => {}
        }
    }

    fn add_bar(&self, state: &mut BarState, device: &DeviceName) {
        if state.devices.len() >= MAX_BARS {
            return;
        }
        let bar = ProgressBar::no_length().with_style(style(DEVICE));
        let bar = self.screen.insert_before(&state.total, bar);
        bar.set_prefix(device.to_string());
        bar.set_message("connecting");
        bar.tick();
        state.devices.insert(device.clone(), bar);
    }

    fn lock(&self) -> MutexGuard<'_, BarState> {
        self.state.lock()
    }
}

/// Writes something to the terminal without tearing the bars, if there are any.
pub(super) fn suspend(bars: Option<&Bars>, write: impl FnOnce()) {
    match bars {
        Some(bars) => bars.screen.suspend(write),
        None => write(),
    }
}

impl Reporter for Bars {
    fn report(&self, _: Timestamp, event: &Event) {
        self.show(event);
    }
}

/// Sets a length only when there is one: a bar without a length is drawn empty, a bar of length zero full.
fn lengthen(bar: &ProgressBar, bytes: u64) {
    bar.set_length(bar.length().unwrap_or(0).saturating_add(bytes));
}

impl BarState {
    fn set_message(&self, device: &DeviceName, message: &'static str) {
        if let Some(bar) = self.devices.get(device) {
            bar.set_message(message);
        }
    }
}

const DEVICE: &str = "{prefix:>16.bold} [{bar:24}] {decimal_bytes:>10}/{decimal_total_bytes:<10} {msg}";
const TOTAL: &str = "{prefix:>16.bold} [{bar:24.green}] {decimal_bytes:>10}/{decimal_total_bytes:<10} {decimal_bytes_per_sec:>11} {msg}";

/// The templates are constants; an invalid one falls back to the plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
