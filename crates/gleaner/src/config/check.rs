//! From what is written to what is meant.
//!
//! Each value is checked once, where it stands; what several devices inherit is not reported several times. A fault never
//! stops the checking of the rest.

mod devices;
mod reach;
mod settings;
mod values;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::findings::Findings;
use super::layout::Layout;
use super::meant::{Config, Fleet, Names, Ssh, Store};
use super::{reading, written};
use crate::Environment;
use values::{Checker, Limits};

/// The layout where none is written.
const LAYOUT: &str = "{device}/{path}";
/// What must stay free where nothing is written: room for what other programs have under way.
const MIN_FREE: u64 = 1 << 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PARALLEL: usize = 16;
/// More ssh clients than that are more than one machine of this kind can start or hold.
const MOST_PARALLEL: usize = 1000;
const EVERY: Duration = Duration::from_mins(1);

/// Checks everything; `None` where something that has no default is missing or wrong. Even `Some` counts only if there
/// are no errors among the findings.
pub(super) fn check(
    written: &written::File,
    file: &Path,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Config> {
    let mut checker = Checker { findings, file };
    let store = store(&written.store, &mut checker);
    let ledger = ledger(&written.ledger, environment, &mut checker);
    let ssh = ssh(&written.ssh, &mut checker);
    let fleet = fleet(&written.fleet, &mut checker);
    let devices = devices::check(&written.device, &written.defaults, checker.findings);
    let store = store?;
    let layout_at = written.store.layout.as_ref().map(|layout| layout.span.clone());
    warn_of_collisions(&store.layout, layout_at, &devices, findings);
    Some(Config {
        file: file.to_owned(),
        store,
        ledger: ledger?,
        ssh,
        fleet,
        devices,
    })
}

fn store(written: &written::Store, checker: &mut Checker<'_, '_>) -> Option<Store> {
    let path = match &written.path {
        Some(path) => checker.local_path("path", path),
        None if checker.findings.is_spoilt(reading::STORE, "path") => None,
        None => {
            let finding = checker.findings.error(None, "the store has no `path`");
            finding.help("write `[store]` and below it `path = \"/where/the/files/go\"`");
            None
        }
    };
    let layout = match &written.layout {
        Some(layout) => checker.layout(layout),
        None => Layout::parse(LAYOUT).ok(),
    };
    let min_free = written
        .min_free
        .as_ref()
        .and_then(|size| checker.size("min_free", size));
    let file_mode = written.file_mode.as_ref();
    let dir_mode = written.dir_mode.as_ref();
    let store = Store {
        path: path.clone().unwrap_or_default(),
        min_free: min_free.unwrap_or(MIN_FREE),
        file_mode: file_mode.and_then(|mode| checker.file_mode(mode)),
        dir_mode: dir_mode.and_then(|mode| checker.dir_mode(mode)),
        names: written
            .names
            .as_ref()
            .and_then(|names| checker.word("names", names))
            .unwrap_or(Names::Bytes),
        layout: layout?,
    };
    path.map(|_| store)
}

fn ledger(
    written: &written::Ledger,
    environment: &Environment,
    checker: &mut Checker<'_, '_>,
) -> Option<PathBuf> {
    match &written.path {
        Some(path) => checker.local_path("path", path),
        None if checker.findings.is_spoilt("[ledger]", "path") => None,
        None => environment.default_ledger().or_else(|| {
            let text = "the ledger has no `path`, and the environment has neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME";
            let finding = checker.findings.error(None, text);
            finding.help("write `[ledger]` and below it `path = \"/var/lib/gleaner/ledger.db\"`");
            None
        }),
    }
}

fn ssh(written: &written::Ssh, checker: &mut Checker<'_, '_>) -> Ssh {
    let timeout = written.connect_timeout.as_ref();
    Ssh {
        config: written
            .config
            .as_ref()
            .and_then(|path| checker.local_path("config", path)),
        connect_timeout: timeout
            .and_then(|timeout| checker.duration("connect_timeout", timeout, Limits::WAITS))
            .unwrap_or(CONNECT_TIMEOUT),
    }
}

fn fleet(written: &written::Fleet, checker: &mut Checker<'_, '_>) -> Fleet {
    let parallel = written.parallel.as_ref();
    let every = written.every.as_ref();
    Fleet {
        parallel: parallel
            .and_then(|number| checker.number("parallel", number, 1..=MOST_PARALLEL))
            .unwrap_or(PARALLEL),
        every: every
            .and_then(|every| checker.duration("every", every, Limits::WAITS))
            .unwrap_or(EVERY),
    }
}

/// Files that get the same name are both kept, but under names that nobody expects: worth a word beforehand.
fn warn_of_collisions(
    layout: &Layout,
    at: Option<Range<usize>>,
    devices: &[super::meant::Device],
    findings: &mut Findings<'_>,
) {
    let consequence =
        "of two files with the same name, the later one gets a part of its digest into its name";
    if devices.len() > 1 && !layout.tells_devices_apart() {
        let text = format!(
            "the layout has no {{device}}, but there are {} devices: {consequence}",
            devices.len()
        );
        findings
            .warning(at.clone(), text)
            .help("if that is not meant, begin the layout with `{device}/`");
    }
    let several = devices.iter().find(|device| device.sources.len() > 1);
    if let Some(device) = several.filter(|_| !layout.tells_sources_apart()) {
        let text = format!(
            "the layout has no {{source}}, but device `{}` has {} sources: {consequence}",
            device.name,
            device.sources.len()
        );
        let finding = findings.warning(at.clone(), text);
        finding.help("if that is not meant, write `{source}/` before the path in the layout");
    }
    if !layout.tells_folders_apart() {
        let text = format!(
            "the layout has neither {{path}} nor {{folder}}, so all folders of a source become one: {consequence}"
        );
        findings
            .warning(at, text)
            .help("if that is not meant, use `{path}`, or `{folder}/{name}`");
    }
}
