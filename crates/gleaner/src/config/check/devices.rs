//! From the sections `[[device]]` to the devices: ids counted out, names and sources compared.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::Arc;

use model::{DeviceName, SourcePath};

use super::reach;
use super::settings::{Settings, template};
use super::values::shown;
use crate::config::findings::Findings;
use crate::config::ids::{Ids, MOST_DEVICES};
use crate::config::meant::{Device, Rules};
use crate::config::reading;
use crate::config::template::{FORMS, Template};
use crate::config::written::{self, At};

/// Checks every section; devices with faults are left out.
pub(super) fn check(
    sections: &[written::Device],
    defaults: &written::Settings,
    findings: &mut Findings<'_>,
) -> Vec<Device> {
    let defaults = Settings::check(defaults, findings);
    if sections.is_empty() && !findings.is_spoilt(reading::DEVICE, "name") {
        let finding = findings.error(None, "there is no device");
        finding.help("write `[[device]]` and below it `name = \"…\"`, an alias of your ssh_config");
    }
    let mut fleet = Fleet::default();
    for section in sections {
        let settings = Settings::check(&section.settings, findings).or(&defaults);
        let Some((name, ids)) = identification(section, findings) else {
            continue;
        };
        fleet.count += ids.as_ref().map_or(1, Ids::count);
        if fleet.count > MOST_DEVICES {
            let finding = findings.error(
                section.span.clone(),
                format!("with this section there are {} devices", fleet.count),
            );
            finding.help("at most 10,000 are possible");
            break;
        }
        let spoilt = |place: &str| findings.is_spoilt(place, "source");
        if settings.source.is_none()
            && !spoilt(reading::DEFAULTS)
            && !spoilt(&reading::device_section(&section.span))
        {
            let finding = findings.error(section.span.clone(), "the device has no `source`");
            finding.help("write `source = \"/home/pi/beephotos\"` here, or in [defaults] for all devices");
        }
        let rules = Arc::new(settings.rules(findings));
        let section = Section {
            name,
            settings,
            rules,
        };
        match ids {
            None => fleet.add(&section, None, findings),
            // One fault of a kind is enough for a section: the other ids have the same.
            Some(ids) => ids.iter().all(|id| fleet.add(&section, Some(id), findings)),
        };
    }
    fleet.devices
}

/// What the section is about; `None` where that cannot be said.
fn identification(
    section: &written::Device,
    findings: &mut Findings<'_>,
) -> Option<(At<Template>, Option<Ids>)> {
    let written = &section.identification;
    let ids = written.ids.as_ref().map(|ids| {
        Ids::parse(&ids.value.0).map_err(|problem| {
            findings.error(ids.span.clone(), format!("`ids` {problem}"));
        })
    });
    let place = reading::device_section(&section.span);
    let Some(name) = &written.name else {
        if findings.is_spoilt(&place, "name") {
            return None;
        }
        let finding = findings.error(section.span.clone(), "the device has no `name`");
        finding.help("write `name = \"…\"`, an alias of your ssh_config");
        return None;
    };
    let name = template("name", &name.value.0, &name.span, findings)?;
    let ids = ids.transpose().ok()?;
    match (&ids, name.value.names_id()) {
        (None, _) if findings.is_spoilt(&place, "ids") => None,
        (None, true) => {
            let finding = findings.error(
                name.span.clone(),
                "`name` has {id} in it, but the device has no `ids`",
            );
            finding.help("write for example `ids = \"1-30\"` below it");
            None
        }
        (Some(_), false) => {
            let finding = findings.error(name.span.clone(), "`name` is the same for all `ids`");
            finding.help(format!("put the id into it, as {FORMS}"));
            None
        }
        _ => Some((name, ids)),
    }
}

/// A section, ready to be counted out.
struct Section {
    name: At<Template>,
    settings: Settings,
    rules: Arc<Rules>,
}

/// The devices so far, and what no further one may repeat.
#[derive(Default)]
struct Fleet {
    count: u64,
    devices: Vec<Device>,
    /// Where each name stands.
    names: HashMap<DeviceName, Range<usize>>,
    machines: HashMap<Machine, Occupied>,
}

/// What tells one machine from another, where the configuration says more than a name.
#[derive(PartialEq, Eq, Hash)]
struct Machine {
    host: String,
    port: Option<NonZeroU16>,
    jump: Option<String>,
}

/// The sources on a machine, and whose they are. In order, so that what lies in a folder follows it.
type Occupied = BTreeMap<Vec<u8>, DeviceName>;

impl Fleet {
    /// Adds one device; false where something is wrong with it.
    fn add(&mut self, section: &Section, id: Option<u32>, findings: &mut Findings<'_>) -> bool {
        let name = expand("name", Some(&section.name), id, findings, reach::name);
        let named = self.takes_name(name.ok().flatten(), &section.name.span, findings);
        let (Some(name), Ok(device)) = (named, Expanded::of(section, id, findings)) else {
            return false;
        };
        let device = Device {
            name,
            host: device.host,
            port: device.port,
            user: device.user,
            identity: device.identity,
            jump: device.jump,
            sources: device.sources,
            rules: Arc::clone(&section.rules),
        };
        let alone = self.shares_no_source(&device, section, findings);
        self.devices.push(device);
        alone
    }

    /// The name, if no other device has it.
    fn takes_name(
        &mut self,
        name: Option<DeviceName>,
        span: &Range<usize>,
        findings: &mut Findings<'_>,
    ) -> Option<DeviceName> {
        let name = name?;
        let Some(first) = self.names.get(&name) else {
            self.names.insert(name.clone(), span.clone());
            return Some(name);
        };
        let line = findings.line(first);
        let text = format!("there are two devices named `{name}`; the first stands in line {line}");
        findings.error(span.clone(), text).help(
            "give each device a name of its own; one with settings of its own is left out of the `ids` of the others",
        );
        None
    }

    /// Two devices that are the same machine must not empty the same folder.
    fn shares_no_source(&mut self, device: &Device, section: &Section, findings: &mut Findings<'_>) -> bool {
        let Some(host) = &device.host else { return true };
        let machine = Machine {
            host: host.clone(),
            port: device.port,
            jump: device.jump.clone(),
        };
        let occupied = self.machines.entry(machine).or_default();
        let conflict = device
            .sources
            .iter()
            .find_map(|source| Some((source, occupant(occupied, source)?)));
        if let Some((source, other)) = conflict {
            let port = device
                .port
                .map(|port| format!(" port {port}"))
                .unwrap_or_default();
            let name = &device.name;
            let text = format!(
                "`{name}` and `{other}` are the same machine ({host}{port}) with the same source {source}"
            );
            let finding = findings.error(section.name.span.clone(), text);
            finding.help(
                "give each device a `port`, `host` or `jump` of its own, such as `port = \"{id+5000}\"`",
            );
            return false;
        }
        for source in &device.sources {
            occupied.insert(source.as_bytes().to_vec(), device.name.clone());
        }
        true
    }
}

/// Whose folder this one is, lies in or contains.
fn occupant<'o>(occupied: &'o Occupied, source: &SourcePath) -> Option<&'o DeviceName> {
    let path = source.as_bytes();
    let slashes = path
        .iter()
        .enumerate()
        .filter(|(at, byte)| **byte == b'/' && *at > 0);
    let mut ancestors = slashes.filter_map(|(at, _)| path.get(..at)).chain([path]);
    let above = ancestors.find_map(|ancestor| occupied.get(ancestor));
    above.or_else(|| {
        let inside = [path, b"/"].concat();
        let (first, device) = occupied.range(inside.clone()..).next()?;
        first.starts_with(&inside).then_some(device)
    })
}

/// Something was wrong, and has been reported.
struct Reported;

/// What becomes of the settings for one id.
struct Expanded {
    host: Option<String>,
    port: Option<NonZeroU16>,
    user: Option<String>,
    identity: Option<String>,
    jump: Option<String>,
    sources: Vec<SourcePath>,
}

impl Expanded {
    /// Everything is tried before anything is given up.
    fn of(section: &Section, id: Option<u32>, findings: &mut Findings<'_>) -> Result<Self, Reported> {
        let settings = &section.settings;
        let host = expand("host", settings.host.as_ref(), id, findings, reach::host);
        let port = expand("port", settings.port.as_ref(), id, findings, reach::port);
        let user = expand("user", settings.user.as_ref(), id, findings, reach::user);
        let identity = expand(
            "identity",
            settings.identity.as_ref(),
            id,
            findings,
            reach::identity,
        );
        let jump = expand("jump", settings.jump.as_ref(), id, findings, reach::jump);
        let sources = sources(settings, id, findings);
        Ok(Self {
            host: host?,
            port: port?,
            user: user?,
            identity: identity?,
            jump: jump?,
            sources: sources?,
        })
    }
}

/// The value for one id, if there is any.
fn expand<T>(
    key: &str,
    written: Option<&At<Template>>,
    id: Option<u32>,
    findings: &mut Findings<'_>,
    admit: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Reported> {
    let Some(written) = written else { return Ok(None) };
    let text = written.value.expand(id).map_err(|problem| {
        findings.error(written.span.clone(), format!("`{key}` {problem}"));
        Reported
    })?;
    admit(&text).map(Some).map_err(|problem| {
        let id = id.filter(|_| written.value.names_id());
        let id = id.map(|id| format!(" for id {id}")).unwrap_or_default();
        let text = format!("`{key}` {}{id} {problem}", shown(&text));
        findings.error(written.span.clone(), text);
        Reported
    })
}

fn sources(
    settings: &Settings,
    id: Option<u32>,
    findings: &mut Findings<'_>,
) -> Result<Vec<SourcePath>, Reported> {
    let written = settings.source.as_ref().ok_or(Reported)?;
    let mut sources: Vec<SourcePath> = Vec::new();
    for template in written.value.iter() {
        let source = expand("source", Some(template), id, findings, reach::source)?.ok_or(Reported)?;
        if let Some(other) = sources.iter().find(|other| reach::overlap(other, &source)) {
            let text = if *other == source {
                format!("the source {source} is there twice")
            } else {
                format!("the sources {other} and {source} lie one inside the other")
            };
            let finding = findings.error(template.span.clone(), text);
            finding.help("name each folder once; what lies below it is gathered with it");
            return Err(Reported);
        }
        sources.push(source);
    }
    if sources.is_empty() {
        Err(Reported)
    } else {
        Ok(sources)
    }
}
