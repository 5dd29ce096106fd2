//! Resolves the `[[device]]` sections into devices: expands ids, and compares names and sources.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::DeviceName;

use crate::config::address::{Name, path};
use crate::config::findings::{Faults, Finding, Findings};
use crate::config::ids::{Ids, MAX_DEVICES};
use crate::config::keys::{Address, DEFAULTS, DEVICE, Folders, Rules};
use crate::config::reading::File;
use crate::config::resolved::Device;
use crate::config::section::Section;
use crate::config::template::{ID_FORMS, Template};
use crate::config::units;

/// Checks every section; leaves out devices with errors.
pub(super) fn check(file: &mut File<'_>, findings: &mut Findings<'_>) -> Vec<Device> {
    if file.devices.is_empty() && !file.table(DEVICE.name).is_invalid {
        let remedy = "write `[[device]]` and below it `name = \"…\"`, an alias of your ssh_config";
        findings.add(Finding::error(None, "there is no device").help(remedy));
    }
    let defaults = std::mem::take(file.table(DEFAULTS.name));
    let default_rules = Rules::read(&defaults, None, findings);
    let mut shared_rules = None;
    let mut list = DeviceList::default();
    for section in &file.devices {
        let Some(ids) = findings.accept(ids(section)) else {
            continue;
        };
        list.count += ids.as_ref().map_or(1, Ids::count);
        if list.count > MAX_DEVICES {
            let text = format!("this section brings the number of devices to {}", list.count);
            findings.add(Finding::error(section.span.clone(), text).help("at most 10,000 are allowed"));
            break;
        }
        let mut merged = section.with_defaults(&defaults);
        if section.is_invalid("source") {
            // The device has its own, invalid source: do not fall back to the default.
            merged.values.remove("source");
        }
        if !merged.mentions("source") {
            let finding = Finding::error(section.span.clone(), "the device has no `source`");
            let remedy = "write `source = \"/home/pi/beephotos\"` here, or in [defaults] for all devices";
            findings.add(finding.help(remedy));
        }
        let has_own_rules = Rules::KEYS.iter().any(|key| section.mentions(key.name));
        let shared = shared_rules.clone().filter(|_| !has_own_rules);
        let own = || {
            let rules = Rules::read(section, default_rules.as_ref(), findings)?;
            Some(Arc::new(with_settle_blind(rules, &merged, findings)))
        };
        let Some(rules) = shared.or_else(own) else {
            continue;
        };
        if !has_own_rules {
            shared_rules = Some(Arc::clone(&rules));
        }
        let mut add = |id| {
            merged.context.id = id;
            list.add(&merged, &rules, findings)
        };
        match ids {
            None => add(None),
            // Report each error once per section: the other ids have the same.
            Some(ids) => ids.iter().all(|id| add(Some(id))),
        };
    }
    list.devices
}

/// The ids of a section, if any. The error is empty if the cause has been reported.
fn ids(section: &Section<'_>) -> Result<Option<Ids>, Faults> {
    if !section.mentions("name") {
        let finding = Finding::error(section.span.clone(), "the device has no `name`");
        let remedy = "write `name = \"…\"`, an alias of your ssh_config";
        return Err(finding.help(remedy).into());
    }
    let name = section.get::<Template>("name", None)?;
    let ids = section.get::<Option<Ids>>("ids", None)?;
    let fault = |text: &str, remedy: String| {
        let finding = Finding::error(section.span_of("name"), format!("`name` {text}"));
        Err(finding.help(remedy).into())
    };
    match (&ids, name.has_id()) {
        (None, _) if section.is_invalid("ids") => Err(Faults::new()),
        (None, true) => {
            let remedy = "write for example `ids = \"1-30\"` below it".to_owned();
            fault("contains {id}, but the device has no `ids`", remedy)
        }
        (Some(_), false) => fault(
            "is the same for all `ids`",
            format!("add the id to it, as {ID_FORMS}"),
        ),
        _ => Ok(ids),
    }
}

/// Raises the default of `settle_blind` to `settle`, or warns if an explicit `settle_blind` is lower.
fn with_settle_blind(mut rules: Rules, section: &Section<'_>, findings: &mut Findings<'_>) -> Rules {
    let Some(span) = section.span_of("settle_blind") else {
        rules.settle_blind = rules.settle_blind.max(rules.settle);
        return rules;
    };
    if rules.settle_blind < rules.settle {
        let [blind, settle] = [rules.settle_blind, rules.settle].map(units::format_duration);
        let text = format!("`settle_blind` is {blind}, which is less than `settle`, {settle}");
        let remedy = "write at least the value of `settle`: with less information, gleaner must wait longer";
        findings.add(Finding::warning(span, text).help(remedy));
    }
    rules
}

/// The devices so far, and the names and folders that a later device must not repeat.
#[derive(Default)]
struct DeviceList {
    count: u64,
    devices: Vec<Device>,
    /// The line of each name.
    names: HashMap<DeviceName, usize>,
    machines: HashMap<MachineKey, OccupiedFolders>,
}

/// Identifies a machine, for devices whose configuration sets a host.
#[derive(PartialEq, Eq, Hash)]
struct MachineKey {
    host: String,
    port: Option<NonZeroU16>,
    jump: Option<String>,
}

/// The sources on a machine, none inside another, and the device of each.
type OccupiedFolders = BTreeMap<PathBuf, DeviceName>;

impl DeviceList {
    /// Adds one device. Runs every check before it gives up; false if any failed.
    fn add(&mut self, section: &Section<'_>, rules: &Arc<Rules>, findings: &mut Findings<'_>) -> bool {
        let at = section.span_of("name").unwrap_or_default();
        let line = findings.line(&at);
        let name = section.get::<Name>("name", None);
        let name = findings.accept(name.and_then(|name| self.reserve_name(name, &at, line)));
        let address = Address::read(section, None, findings);
        let folders = Folders::read(section, None, findings);
        let sources = folders.and_then(|folders| folders.source);
        let (Some(name), Some(address), Some(sources)) = (name, address, sources) else {
            return false;
        };
        let device = Device {
            name,
            address,
            sources,
            rules: Arc::clone(rules),
        };
        let taken = findings.accept(self.reserve_sources(&device, at));
        self.devices.push(device);
        taken.is_some()
    }

    /// Reserves the name, unless another device has it.
    fn reserve_name(
        &mut self,
        name: DeviceName,
        at: &Range<usize>,
        line: usize,
    ) -> Result<DeviceName, Faults> {
        let Some(first) = self.names.get(&name) else {
            self.names.insert(name.clone(), line);
            return Ok(name);
        };
        let text = format!("there are two devices named `{name}`; the first is on line {first}");
        let remedy = "give each device a unique name; remove the id of a device with its own section from the `ids` of the others";
        Err(Finding::error(at.clone(), text).help(remedy).into())
    }

    /// Reserves the sources: two devices on the same machine must not empty the same folder.
    fn reserve_sources(&mut self, device: &Device, at: Range<usize>) -> Result<(), Faults> {
        let Some(host) = &device.address.host else {
            return Ok(());
        };
        let port = device.address.port;
        let machine = MachineKey {
            host: host.clone(),
            port,
            jump: device.address.jump.clone(),
        };
        let occupied = self.machines.entry(machine).or_default();
        let mut sources = device.sources.iter();
        let conflict = sources.find_map(|source| Some((source, occupant(occupied, path(source))?)));
        if let Some((source, other)) = conflict {
            let port = port.map(|port| format!(" port {port}")).unwrap_or_default();
            let name = &device.name;
            let text = format!(
                "`{name}` and `{other}` are the same machine ({host}{port}) with the same source {source}"
            );
            let remedy = "give each device its own `port`, `host` or `jump`, such as `port = \"{id+5000}\"`";
            return Err(Finding::error(at, text).help(remedy).into());
        }
        for source in &device.sources {
            occupied.insert(path(source).to_owned(), device.name.clone());
        }
        Ok(())
    }
}

/// The device whose folder equals, contains or is inside this one. Paths are ordered by their components, so
/// only the neighbours need checking.
fn occupant<'o>(occupied: &'o OccupiedFolders, source: &Path) -> Option<&'o DeviceName> {
    let before = occupied.range(..=source.to_owned()).next_back();
    let after = occupied.range(source.to_owned()..).next();
    let above = before.filter(|(other, _)| source.starts_with(other));
    let (_, device) = above.or(after.filter(|(other, _)| other.starts_with(source)))?;
    Some(device)
}
