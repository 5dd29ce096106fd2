//! Checks the raw sections and resolves them.
//!
//! `reading` has reported errors within a value; this module reports errors between keys. An error never
//! stops the remaining checks.

mod devices;

use std::path::Path;

use super::findings::{Finding, Findings};
use super::keys::{Fleet, Ledger, Ssh, Store};
use super::reading::File;
use super::resolved::{Config, Device};
use super::section::Section;
use crate::environment::Environment;

/// Checks everything. `None` if a setting without a default is missing or invalid. `Some` is usable only if
/// the findings contain no error.
pub(super) fn check(
    file: &mut File<'_>,
    path: &Path,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Config> {
    let section = file.table("store");
    if !section.mentions("path") {
        let finding = Finding::error(None, "the store has no `path`");
        findings.add(finding.help("write `[store]` and below it `path = \"/where/the/files/go\"`"));
    }
    let store = Store::read(section, None, findings);
    let ledger = Ledger::read(file.table("ledger"), None, findings);
    let ledger_id = ledger.as_ref().and_then(|ledger| ledger.id.clone());
    let ledger = ledger.and_then(|ledger| ledger.path);
    let ledger = ledger.or_else(|| environment.default_ledger());
    if ledger.is_none() && !file.table("ledger").mentions("path") {
        let text = "the ledger has no `path`, and the environment has neither $STATE_DIRECTORY nor $XDG_STATE_HOME nor $HOME";
        let remedy = "write `[ledger]` and below it `path = \"/var/lib/gleaner/ledger.db\"`";
        findings.add(Finding::error(None, text).help(remedy));
    }
    let ssh = Ssh::read(file.table("ssh"), None, findings);
    let fleet = Fleet::read(file.table("fleet"), None, findings);
    let devices = devices::check(file, findings);
    let store = store?;
    warn_about_collisions(&store, file.table("store"), &devices, findings);
    Some(Config {
        file: path.to_owned(),
        store,
        ledger: ledger?,
        ledger_id,
        ssh: ssh?,
        fleet: fleet?,
        devices,
    })
}

/// gleaner keeps both of two files with the same name, but under a surprising name: warn beforehand.
fn warn_about_collisions(
    store: &Store,
    section: &Section<'_>,
    devices: &[Device],
    findings: &mut Findings<'_>,
) {
    if section.is_invalid("layout") {
        return;
    }
    let mut warn = |problem: &str, remedy: &str| {
        let consequence =
            "of two files with the same name, gleaner adds part of the digest to the later one's name";
        let finding = Finding::warning(section.span_of("layout"), format!("{problem}: {consequence}"));
        findings.add(finding.help(format!("if you do not want that, {remedy}")));
    };
    let layout = &store.layout;
    if devices.len() > 1 && !layout.separates_devices() {
        let count = devices.len();
        warn(
            &format!("the layout has no {{device}}, but there are {count} devices"),
            "begin the layout with `{device}/`",
        );
    }
    let several = devices.iter().find(|device| device.sources.len() > 1);
    if let Some(device) = several.filter(|_| !layout.separates_sources()) {
        let (name, count) = (&device.name, device.sources.len());
        warn(
            &format!("the layout has no {{source}}, but device `{name}` has {count} sources"),
            "write `{source}/` before the path in the layout",
        );
    }
    if !layout.separates_folders() {
        warn(
            "the layout has neither {path} nor {folder}, so all folders of a source share one folder",
            "use `{path}`, or `{folder}/{name}`",
        );
    }
}
