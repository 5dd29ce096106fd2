//! From what is written to what is meant.
//!
//! What is wrong in a value was found when the file was read; here are the faults that lie between the keys.
//! A fault never stops the checking of the rest.

mod devices;

use std::path::Path;

use super::findings::{Finding, Findings};
use super::keys::{Fleet, Ledger, Ssh, Store};
use super::reading::File;
use super::resolved::{Config, Device};
use super::section::Section;
use crate::environment::Environment;

/// Checks everything; `None` where something that has no default is missing or wrong. Even `Some` counts only
/// if there are no errors among the findings.
pub(super) fn check(
    file: &mut File<'_>,
    path: &Path,
    environment: &Environment,
    findings: &mut Findings<'_>,
) -> Option<Config> {
    let raw = file.table("store");
    if !raw.mentions("path") {
        let finding = Finding::error(None, "the store has no `path`");
        findings.add(finding.help("write `[store]` and below it `path = \"/where/the/files/go\"`"));
    }
    let store = Store::read(raw, None, findings);
    let ledger = Ledger::read(file.table("ledger"), None, findings);
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
    warn_of_collisions(&store, file.table("store"), &devices, findings);
    Some(Config {
        file: path.to_owned(),
        store,
        ledger: ledger?,
        ssh: ssh?,
        fleet: fleet?,
        devices,
    })
}

/// Files that get the same name are both kept, but under names that nobody expects: worth a word beforehand.
fn warn_of_collisions(store: &Store, raw: &Section<'_>, devices: &[Device], findings: &mut Findings<'_>) {
    if raw.is_invalid("layout") {
        return;
    }
    let mut warn = |problem: &str, remedy: &str| {
        let consequence =
            "of two files with the same name, the later one gets a part of its digest into its name";
        let finding = Finding::warning(raw.span_of("layout"), format!("{problem}: {consequence}"));
        findings.add(finding.help(format!("if that is not meant, {remedy}")));
    };
    let layout = &store.layout;
    if devices.len() > 1 && !layout.tells_devices_apart() {
        let count = devices.len();
        warn(
            &format!("the layout has no {{device}}, but there are {count} devices"),
            "begin the layout with `{device}/`",
        );
    }
    let several = devices.iter().find(|device| device.sources.len() > 1);
    if let Some(device) = several.filter(|_| !layout.tells_sources_apart()) {
        let (name, count) = (&device.name, device.sources.len());
        warn(
            &format!("the layout has no {{source}}, but device `{name}` has {count} sources"),
            "write `{source}/` before the path in the layout",
        );
    }
    if !layout.tells_folders_apart() {
        warn(
            "the layout has neither {path} nor {folder}, so all folders of a source become one",
            "use `{path}`, or `{folder}/{name}`",
        );
    }
}
