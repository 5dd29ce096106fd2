//! What a device is reached by, and the folders there: admitted, or refused in words that fit after what was
//! written.
//!
//! What is admitted ends in configuration files and command lines of ssh: nothing passes that could be read
//! there as an option, a pattern or a piece of shell.

use std::ffi::OsStr;
use std::num::NonZeroU16;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use model::{DeviceName, SourcePath};
use toml::Value as Toml;

use super::braces;
use super::findings::{Faults, Finding};
use super::template::Template;
use super::value::{RawValue, Syntax, ValueKind, quoted};

/// Declares kinds of values that differ from device to device: what each becomes once the id is in it, how
/// that is admitted, and how it is shown.
macro_rules! per_device {
    ($($(#[doc = $doc:literal])* $kind:ident: $value:ty = $admit:ident, $show:expr, $syntax:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $kind;

        impl ValueKind for $kind {
            type Resolved = $value;
            const SYNTAX: Syntax = $syntax;

            fn read(raw: &RawValue<'_>) -> Result<$value, Faults> {
                expanded(raw, &Template::read(raw)?, &raw.span, $admit).map_err(Into::into)
            }

            fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
                Template::check(raw)
            }

            fn show(value: &$value) -> Option<Toml> {
                Some($show(value))
            }
        }
    )*};
}

per_device! {
    /// The name of a device.
    Name: DeviceName = name, |name: &DeviceName| plain(name.as_str()), Template::SYNTAX;
    /// A host name or an address.
    Host: String = host, plain, Template::SYNTAX;
    /// A port number, or an expression of the id.
    Port: NonZeroU16 = port, |port: &NonZeroU16| Toml::Integer(port.get().into()), Syntax {
        types: &["string", "integer"],
        ..Syntax::text("port", "a number, or an expression in quotes such as \"{id+5000}\"")
    };
    /// A login.
    User: String = user, plain, Template::SYNTAX;
    /// The file of a private key.
    IdentityFile: String = identity, plain, Template::SYNTAX;
    /// The hosts to jump through.
    Jump: String = jump, plain, Template::SYNTAX;
}

/// A text as a template that means the same for each id.
fn plain(text: impl AsRef<str>) -> Toml {
    braces::escape(text.as_ref()).into()
}

/// What a template means for the device of that id.
fn expanded<T>(
    raw: &RawValue<'_>,
    template: &Template,
    span: &Range<usize>,
    admit: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Finding> {
    let id = raw.context.id;
    let fault = |problem: String| raw.fault_at(span, &problem);
    let text = template.expand(id).map_err(fault)?;
    admit(&text).map_err(|problem| {
        let id = id.filter(|_| template.names_id());
        let id = id.map(|id| format!(" for id {id}")).unwrap_or_default();
        fault(format!("{}{id} {problem}", quoted(&text)))
    })
}

/// The folders on a device: at least one, none inside another.
#[derive(Debug)]
pub struct Sources;

impl ValueKind for Sources {
    type Resolved = Vec<SourcePath>;
    const SYNTAX: Syntax = Syntax::LIST;

    fn read(raw: &RawValue<'_>) -> Result<Vec<SourcePath>, Faults> {
        let mut sources: Vec<SourcePath> = Vec::new();
        for (template, span) in templates(raw)? {
            let source = expanded(raw, &template?, span, source)?;
            if let Some(other) = sources.iter().find(|other| overlap(other, &source)) {
                let text = if *other == source {
                    format!("the source {source} is there twice")
                } else {
                    format!("the sources {other} and {source} lie one inside the other")
                };
                let remedy = "name each folder once; what lies below it is gathered with it";
                return Err(Finding::error(span.clone(), text).help(remedy).into());
            }
            sources.push(source);
        }
        Ok(sources)
    }

    fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
        let templates = templates(raw)?;
        if templates.iter().all(|(template, _)| template.is_ok()) {
            return Ok(());
        }
        let faults = templates
            .into_iter()
            .filter_map(|(template, span)| match template {
                Err(fault) => Some(fault),
                // What is no template must not hide what is wrong with the others.
                Ok(template) if !template.names_id() => expanded(raw, &template, span, source).err(),
                Ok(_) => None,
            });
        Err(faults.collect())
    }

    fn show(sources: &Vec<SourcePath>) -> Option<Toml> {
        let texts = sources
            .iter()
            .map(|source| String::from_utf8_lossy(source.as_bytes()));
        Some(texts.map(plain).collect::<Vec<Toml>>().into())
    }
}

/// A folder as it is written, and its place.
type Folder<'w> = (Result<Template, Finding>, &'w Range<usize>);

/// The folders as they are written; at least one.
fn templates<'w>(raw: &'w RawValue<'_>) -> Result<Vec<Folder<'w>>, Finding> {
    let templates = raw.texts().map(|(text, span)| {
        let template = Template::parse(text);
        (template.map_err(|problem| raw.fault_at(span, &problem)), span)
    });
    let templates: Vec<_> = templates.collect();
    if templates.is_empty() {
        let finding = raw.fault_at(&raw.span, "is an empty list");
        return Err(finding.help("name the folder that is to be emptied, such as \"/home/pi/beephotos\""));
    }
    Ok(templates)
}

/// A name that is fit for a folder in the store and for an alias of ssh.
fn name(text: &str) -> Result<DeviceName, String> {
    let name = DeviceName::new(text)?;
    // In a `Host` line of ssh_config, some of these make a pattern or a list; in others, ssh refuses them.
    match text
        .chars()
        .find(|c| c.is_ascii_punctuation() && !matches!(c, '.' | '-' | '_' | ':' | '+' | '~'))
    {
        Some(odd) => Err(format!("contains `{odd}`, which means something else to ssh")),
        None => Ok(name),
    }
}

/// A folder on the device. Those that a system lives in are refused: gleaner would clear them away.
fn source(text: &str) -> Result<SourcePath, String> {
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

fn port(text: &str) -> Result<NonZeroU16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number
        .ok_or_else(|| "is no port; it must be 1 to 65535, or an expression such as \"{id+5000}\"".to_owned())
}

/// A host name or address, as ssh takes it: never one that ssh would read as an option or its shell as a
/// command.
fn host(text: &str) -> Result<String, String> {
    word(text, 255, ".-_:").ok_or_else(|| "is no host name or address".to_owned())
}

fn user(text: &str) -> Result<String, String> {
    word(text, 100, ".-_@+$").ok_or_else(|| "is no login name".to_owned())
}

/// The text, if it is one of letters, digits and these marks, which ssh does not take for an option.
fn word(text: &str, max_length: usize, marks: &str) -> Option<String> {
    let is_fit = |c: char| c.is_alphanumeric() || marks.contains(c);
    let is_short = (1..=max_length).contains(&text.len());
    (is_short && !text.starts_with('-') && text.chars().all(is_fit)).then(|| text.to_owned())
}

fn identity(text: &str) -> Result<String, String> {
    if text.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err("contains a control character, a quote or a backslash".to_owned());
    }
    if !text.starts_with('/') && !text.starts_with("~/") {
        return Err("is neither an absolute path nor one that begins with ~/".to_owned());
    }
    Ok(text.to_owned())
}

/// `[user@]host[:port]`, several divided by commas, or "none". The parts are judged as if they stood alone.
fn jump(text: &str) -> Result<String, String> {
    const SYNTAX: &str = "; write \"none\" or [user@]host[:port], several divided by commas";
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
        let sound = host(name).is_ok()
            && login.is_none_or(|login| user(login).is_ok())
            && number.is_none_or(|number| port(number).is_ok());
        if !sound {
            return Err(format!("is no way to jump{SYNTAX}"));
        }
    }
    Ok(text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
}

/// Whether one folder is the other, or lies in it.
fn overlap(left: &SourcePath, right: &SourcePath) -> bool {
    let [left, right] = [left, right].map(path);
    left.starts_with(right) || right.starts_with(left)
}

/// A folder on a device, as a path whose order is that of its components.
pub(super) fn path(source: &SourcePath) -> &Path {
    Path::new(OsStr::from_bytes(source.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_that_ssh_could_take_for_something_else() {
        for bad in "|-oProxyCommand=reboot|a b|a\nb|$(reboot)|a;b|a/b|*|!a|a,b|a\"b|a%h".split('|') {
            assert!(name(bad).is_err(), "name {bad:?}");
            assert!(host(bad).is_err(), "host {bad:?}");
            assert!(jump(bad).is_err() || bad == "a,b", "jump {bad:?}");
        }
        for bad in ["", "-l", "a b", "a\nb", "a;b", "`a`"] {
            assert!(user(bad).is_err(), "user {bad:?}");
        }
        for bad in ["", "id_rsa", "~ana/id", "/a\nb", "/a\"b"] {
            assert!(identity(bad).is_err(), "identity {bad:?}");
        }
        for bad in ["", "0", "65536", "-1", "+22", "22 ", "ssh"] {
            assert!(port(bad).is_err(), "port {bad:?}");
        }
    }

    #[test]
    fn the_usual_ways_to_a_device_pass() {
        let mut names = ["raspberry07", "cam.example.org", "pi_2"].into_iter();
        assert!(names.all(|good| name(good).is_ok()));
        let mut hosts = ["localhost", "10.0.0.1", "fe80::1"].into_iter();
        assert!(hosts.all(|good| host(good).is_ok()));
        for good in "none gateway ana@gateway.example.org:2222 a,b@c [fe80::1]:22 ana@[fe80::1]".split(' ') {
            assert_eq!(jump(good).as_deref(), Ok(good));
        }
        assert_eq!(jump("a, b").as_deref(), Ok("a,b"));
    }

    #[test]
    fn a_folder_that_the_operating_system_lives_in_is_no_source() {
        for bad in "/ // /home /home/ /etc /etc/ssh /usr/local/data /proc/1 /var pictures ~/pictures /a/../b"
            .split(' ')
        {
            assert!(source(bad).is_err(), "{bad}");
        }
        for (raw, meant) in [
            ("/home/pi/", "/home/pi"),
            ("/data//a/", "/data/a"),
            ("/var/lib/cam", "/var/lib/cam"),
            ("/mnt/usb", "/mnt/usb"),
        ] {
            assert_eq!(source(raw).unwrap().as_bytes(), meant.as_bytes());
        }
    }

    #[test]
    fn folders_overlap_when_one_lies_in_the_other() {
        let overlaps = |left: &str, right: &str| overlap(&source(left).unwrap(), &source(right).unwrap());
        assert!(overlaps("/data/a", "/data/a/"));
        assert!(overlaps("/data/a/b", "/data/a"));
        assert!(!overlaps("/data/a", "/data/ab"));
    }
}
