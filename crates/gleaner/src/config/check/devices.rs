//! From the sections `[[device]]` to the devices: ids counted out, names and sources compared.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::Arc;

use model::{DeviceName, SourcePath};

use super::settings::{Settings, template};
use super::values::shown;
use crate::config::findings::Findings;
use crate::config::ids::{Ids, MOST_DEVICES};
use crate::config::meant::{Device, Rules};
use crate::config::template::{FORMS, Template};
use crate::config::written::{self, At};

/// Checks every section; devices with faults are left out.
pub(super) fn check(
    sections: &[written::Device],
    defaults: &written::Settings,
    findings: &mut Findings<'_>,
) -> Vec<Device> {
    let defaults = Settings::check(defaults, findings);
    if sections.is_empty() {
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
        if settings.source.is_none() {
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
    let Some(name) = &written.name else {
        let finding = findings.error(section.span.clone(), "the device has no `name`");
        finding.help("write `name = \"…\"`, an alias of your ssh_config");
        return None;
    };
    let name = template("name", &name.value.0, &name.span, findings)?;
    let ids = ids.transpose().ok()?;
    match (&ids, name.value.names_id()) {
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
    /// The sources on each machine that is named by host, port and way there, and whose they are.
    machines: HashMap<(String, Option<NonZeroU16>, Option<String>), Vec<(DeviceName, SourcePath)>>,
}

impl Fleet {
    /// Adds one device; false where something is wrong with it.
    fn add(&mut self, section: &Section, id: Option<u32>, findings: &mut Findings<'_>) -> bool {
        let Some(device) = expand(section, id, findings) else {
            return false;
        };
        if let Some(first) = self.names.get(&device.name) {
            let text = format!(
                "there are two devices named `{}`; the first stands in line {}",
                device.name,
                findings.line(first)
            );
            let finding = findings.error(section.name.span.clone(), text);
            finding.help("give each device a name of its own; a device with settings of its own is left out of the `ids` of the others");
            return false;
        }
        self.names.insert(device.name.clone(), section.name.span.clone());
        if !self.shares_no_source(&device, section, findings) {
            return false;
        }
        self.devices.push(device);
        true
    }

    /// Two devices that are the same machine must not empty the same folder.
    fn shares_no_source(&mut self, device: &Device, section: &Section, findings: &mut Findings<'_>) -> bool {
        let Some(host) = &device.host else { return true };
        let machine = (host.clone(), device.port, device.jump.clone());
        let known = self.machines.entry(machine).or_default();
        for source in &device.sources {
            if let Some((other, _)) = known.iter().find(|(_, known)| overlap(known, source)) {
                let port = device
                    .port
                    .map(|port| format!(" port {port}"))
                    .unwrap_or_default();
                let text = format!(
                    "`{}` and `{other}` are the same machine ({host}{port}) with the same source {source}",
                    device.name
                );
                let finding = findings.error(section.name.span.clone(), text);
                finding.help(
                    "give each device a `port`, `host` or `jump` of its own, such as `port = \"{id+5000}\"`",
                );
                return false;
            }
        }
        known.extend(
            device
                .sources
                .iter()
                .map(|source| (device.name.clone(), source.clone())),
        );
        true
    }
}

/// Whether one folder is the other, or lies in it.
fn overlap(left: &SourcePath, right: &SourcePath) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let (short, long) = if left.len() <= right.len() {
        (left, right)
    } else {
        (right, left)
    };
    long.strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The device for one id; `None` where something is wrong, which is reported.
fn expand(section: &Section, id: Option<u32>, findings: &mut Findings<'_>) -> Option<Device> {
    let settings = &section.settings;
    let name = expand_text("name", Some(&section.name), id, findings, |text| {
        DeviceName::new(text).map_err(Into::into)
    });
    let host = expand_text("host", settings.host.as_ref(), id, findings, host);
    let port = expand_text("port", settings.port.as_ref(), id, findings, port);
    let user = expand_text("user", settings.user.as_ref(), id, findings, user);
    let identity = expand_text("identity", settings.identity.as_ref(), id, findings, identity);
    let jump = expand_text("jump", settings.jump.as_ref(), id, findings, jump);
    let sources = sources(settings, id, findings);
    Some(Device {
        name: name??,
        host: host?,
        port: port?,
        user: user?,
        identity: identity?,
        jump: jump?,
        sources: sources?,
        rules: Arc::clone(&section.rules),
    })
}

/// The value for one id: `None` where it is wrong, `Some(None)` where there is none.
fn expand_text<T>(
    key: &str,
    written: Option<&At<Template>>,
    id: Option<u32>,
    findings: &mut Findings<'_>,
    admit: impl Fn(String) -> Result<T, String>,
) -> Option<Option<T>> {
    let Some(written) = written else { return Some(None) };
    let text = match written.value.expand(id) {
        Ok(text) => text,
        Err(problem) => {
            findings.error(written.span.clone(), format!("`{key}` {problem}"));
            return None;
        }
    };
    let quoted = shown(&text);
    match admit(text) {
        Ok(value) => Some(Some(value)),
        Err(problem) => {
            findings.error(written.span.clone(), format!("`{key}` {quoted} {problem}"));
            None
        }
    }
}

fn sources(settings: &Settings, id: Option<u32>, findings: &mut Findings<'_>) -> Option<Vec<SourcePath>> {
    let written = settings.source.as_ref()?;
    let mut sources: Vec<SourcePath> = Vec::new();
    for template in written.value.iter() {
        let source = expand_text("source", Some(template), id, findings, source)??;
        if let Some(other) = sources.iter().find(|other| overlap(other, &source)) {
            let text = if *other == source {
                format!("the source {source} is there twice")
            } else {
                format!("the sources {other} and {source} lie one inside the other")
            };
            findings
                .error(template.span.clone(), text)
                .help("name each folder once; what lies below it is gathered with it");
            return None;
        }
        sources.push(source);
    }
    (!sources.is_empty()).then_some(sources)
}

/// A folder on the device. Those that a system lives in are refused: gleaner would clear them away.
fn source(text: String) -> Result<SourcePath, String> {
    const OF_THE_SYSTEM: [&str; 18] = [
        "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
        "sbin", "srv", "sys", "usr", "var",
    ];
    const WHOLE_TREES: [&str; 10] = [
        "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr",
    ];
    if text.chars().any(char::is_control) {
        return Err("contains a control character".to_owned());
    }
    if !text.starts_with('/') {
        return Err(
            "is not an absolute path; write it from the root, such as \"/home/pi/beephotos\"".to_owned(),
        );
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let of_the_system = match parts.as_slice() {
        [] => true,
        [top] => OF_THE_SYSTEM.contains(top),
        [top, ..] => WHOLE_TREES.contains(top),
    };
    if of_the_system {
        return Err("belongs to the device's operating system, and would be emptied; name the folder of the recordings".to_owned());
    }
    SourcePath::new(format!("/{}", parts.join("/"))).map_err(Into::into)
}

fn port(text: String) -> Result<NonZeroU16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .ok_or_else(|| "is no port; it must be 1 to 65535, or an expression such as \"{id+5000}\"".to_owned())
}

/// A host name or address, as ssh takes it: never one that ssh would read as an option or its shell as a command.
fn host(text: String) -> Result<String, String> {
    let fit = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if text.is_empty() || text.len() > 255 || text.starts_with('-') || !text.chars().all(fit) {
        return Err("is no host name or address".to_owned());
    }
    Ok(text)
}

fn user(text: String) -> Result<String, String> {
    let fit = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+' | '$');
    if text.is_empty() || text.len() > 100 || text.starts_with('-') || !text.chars().all(fit) {
        return Err("is no login name".to_owned());
    }
    Ok(text)
}

fn identity(text: String) -> Result<String, String> {
    if text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err("contains a control character, a quote or a backslash".to_owned());
    }
    if !text.starts_with('/') && !text.starts_with("~/") {
        return Err("is neither an absolute path nor one that begins with ~/".to_owned());
    }
    Ok(text)
}

/// `[user@]host[:port]`, several divided by commas, or "none". The parts are judged as if they stood alone.
fn jump(text: String) -> Result<String, String> {
    const FORM: &str = "; write \"none\" or [user@]host[:port], several divided by commas";
    for hop in text.split(',') {
        let hop = hop.trim();
        let (login, place) = match hop.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, hop),
        };
        let (name, number) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => place
                .rsplit_once(':')
                .map_or((place, None), |(name, number)| (name, Some(number))),
        };
        let sound = host(name.to_owned()).is_ok()
            && login.is_none_or(|login| user(login.to_owned()).is_ok())
            && number.is_none_or(|number| port(number.to_owned()).is_ok());
        if !sound {
            return Err(format!("is no way to jump{FORM}"));
        }
    }
    Ok(text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
}
