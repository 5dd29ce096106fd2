//! From the sections `[[device]]` to the devices: ids counted out, names and sources compared.

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
use crate::config::template::{FORMS, Template};
use crate::config::units;

/// Checks every section; devices with faults are left out.
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
        let Some(ids) = findings.sound(ids(section)) else {
            continue;
        };
        list.count += ids.as_ref().map_or(1, Ids::count);
        if list.count > MAX_DEVICES {
            let text = format!("with this section there are {} devices", list.count);
            findings.add(Finding::error(section.span.clone(), text).help("at most 10,000 are possible"));
            break;
        }
        let mut merged = section.or(&defaults);
        if section.is_invalid("source") {
            // Other folders were meant than those of the defaults: nothing follows from the latter.
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
            // One fault of a kind is enough for a section: the other ids have the same.
            Some(ids) => ids.iter().all(|id| add(Some(id))),
        };
    }
    list.devices
}

/// The ids of a section, if it has any; without a finding where what is wrong has been reported.
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
    match (&ids, name.names_id()) {
        (None, _) if section.is_invalid("ids") => Err(Faults::new()),
        (None, true) => {
            let remedy = "write for example `ids = \"1-30\"` below it".to_owned();
            fault("has {id} in it, but the device has no `ids`", remedy)
        }
        (Some(_), false) => fault(
            "is the same for all `ids`",
            format!("put the id into it, as {FORMS}"),
        ),
        _ => Ok(ids),
    }
}

/// The rules of a section that is merged with the defaults: where less can be seen, it is waited at least as long.
fn with_settle_blind(mut rules: Rules, section: &Section<'_>, findings: &mut Findings<'_>) -> Rules {
    let Some(span) = section.span_of("settle_blind") else {
        rules.settle_blind = rules.settle_blind.max(rules.settle);
        return rules;
    };
    if rules.settle_blind < rules.settle {
        let [blind, settle] = [rules.settle_blind, rules.settle].map(units::format_duration);
        let text = format!("`settle_blind` is {blind}, which is less than `settle`, {settle}");
        let remedy = "where less can be seen, it is better waited longer: write at least as much as `settle`";
        findings.add(Finding::warning(span, text).help(remedy));
    }
    rules
}

/// The devices so far, and what a later one may not repeat.
#[derive(Default)]
struct DeviceList {
    count: u64,
    devices: Vec<Device>,
    /// The line of each name.
    names: HashMap<DeviceName, usize>,
    machines: HashMap<MachineKey, OccupiedFolders>,
}

/// What tells one machine from another, where the configuration says more than a name.
#[derive(PartialEq, Eq, Hash)]
struct MachineKey {
    host: String,
    port: Option<NonZeroU16>,
    jump: Option<String>,
}

/// The sources on a machine, none inside another, and whose they are.
type OccupiedFolders = BTreeMap<PathBuf, DeviceName>;

impl DeviceList {
    /// Adds one device; false where something is wrong with it. Everything is tried before anything is given
    /// up.
    fn add(&mut self, section: &Section<'_>, rules: &Arc<Rules>, findings: &mut Findings<'_>) -> bool {
        let at = section.span_of("name").unwrap_or_default();
        let line = findings.line(&at);
        let name = section.get::<Name>("name", None);
        let name = findings.sound(name.and_then(|name| self.take_name(name, &at, line)));
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
        let taken = findings.sound(self.take_sources(&device, at));
        self.devices.push(device);
        taken.is_some()
    }

    /// The name, if no other device has it.
    fn take_name(&mut self, name: DeviceName, at: &Range<usize>, line: usize) -> Result<DeviceName, Faults> {
        let Some(first) = self.names.get(&name) else {
            self.names.insert(name.clone(), line);
            return Ok(name);
        };
        let text = format!("there are two devices named `{name}`; the first stands in line {first}");
        let remedy = "give each device a name of its own; one with settings of its own is left out of the `ids` of the others";
        Err(Finding::error(at.clone(), text).help(remedy).into())
    }

    /// Two devices that are the same machine must not empty the same folder.
    fn take_sources(&mut self, device: &Device, at: Range<usize>) -> Result<(), Faults> {
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
            let remedy =
                "give each device a `port`, `host` or `jump` of its own, such as `port = \"{id+5000}\"`";
            return Err(Finding::error(at, text).help(remedy).into());
        }
        for source in &device.sources {
            occupied.insert(path(source).to_owned(), device.name.clone());
        }
        Ok(())
    }
}

/// Whose folder this one is, lies in or contains: its neighbour, as paths are in the order of their
/// components.
fn occupant<'o>(occupied: &'o OccupiedFolders, source: &Path) -> Option<&'o DeviceName> {
    let before = occupied.range(..=source.to_owned()).next_back();
    let after = occupied.range(source.to_owned()..).next();
    let above = before.filter(|(other, _)| source.starts_with(other));
    let (_, device) = above.or(after.filter(|(other, _)| other.starts_with(source)))?;
    Some(device)
}
