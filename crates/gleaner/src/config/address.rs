//! Address, login and source folders of a device: validated, with errors that are phrases that follow the
//! value.
//!
//! Valid values end up in configuration files and command lines of ssh. No value passes that ssh could read
//! as an option, a pattern or shell code.

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

/// Declares kinds of values that differ from device to device: the type after the id is inserted, the
/// validation, and how the value is written back.
macro_rules! per_device {
    ($($(#[doc = $doc:literal])* $kind:ident: $value:ty = $validate:ident, $show:expr, $syntax:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        pub struct $kind;

        impl ValueKind for $kind {
            type Resolved = $value;
            const SYNTAX: Syntax = $syntax;

            fn read(raw: &RawValue<'_>) -> Result<$value, Faults> {
                expand(raw, &Template::read(raw)?, &raw.span, $validate).map_err(Into::into)
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
    /// A port number, or an expression with the id.
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

/// The text as a template that is the same for each id.
fn plain(text: impl AsRef<str>) -> Toml {
    braces::escape(text.as_ref()).into()
}

/// Expands a template for the device with that id, and validates the result.
fn expand<T>(
    raw: &RawValue<'_>,
    template: &Template,
    span: &Range<usize>,
    validate: impl Fn(&str) -> Result<T, String>,
) -> Result<T, Finding> {
    let id = raw.context.id;
    let fault = |problem: String| raw.fault_at(span, &problem);
    let text = template.expand(id).map_err(fault)?;
    validate(&text).map_err(|problem| {
        let id = id.filter(|_| template.has_id());
        let id = id.map(|id| format!(" for id {id}")).unwrap_or_default();
        fault(format!("{}{id} {problem}", quoted(&text)))
    })
}

/// The source folders of a device: at least one, none inside another.
#[derive(Debug)]
pub struct Sources;

impl ValueKind for Sources {
    type Resolved = Vec<SourcePath>;
    const SYNTAX: Syntax = Syntax::LIST;

    fn read(raw: &RawValue<'_>) -> Result<Vec<SourcePath>, Faults> {
        let mut sources: Vec<SourcePath> = Vec::new();
        for (template, span) in parse_templates(raw)? {
            let source = expand(raw, &template?, span, source)?;
            if let Some(other) = sources.iter().find(|other| overlaps(other, &source)) {
                let text = if *other == source {
                    format!("the source {source} appears twice")
                } else {
                    format!("the sources {other} and {source} overlap")
                };
                let remedy = "name each folder once; gleaner collects everything below it";
                return Err(Finding::error(span.clone(), text).help(remedy).into());
            }
            sources.push(source);
        }
        Ok(sources)
    }

    fn check(raw: &RawValue<'_>) -> Result<(), Faults> {
        let templates = parse_templates(raw)?;
        if templates.iter().all(|(template, _)| template.is_ok()) {
            return Ok(());
        }
        let faults = templates
            .into_iter()
            .filter_map(|(template, span)| match template {
                Err(fault) => Some(fault),
                // An invalid template must not hide errors in the others.
                Ok(template) if !template.has_id() => expand(raw, &template, span, source).err(),
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

/// A raw folder, and its position.
type Folder<'w> = (Result<Template, Finding>, &'w Range<usize>);

/// The raw folders; at least one.
fn parse_templates<'w>(raw: &'w RawValue<'_>) -> Result<Vec<Folder<'w>>, Finding> {
    let templates = raw.texts().map(|(text, span)| {
        let template = Template::parse(text);
        (template.map_err(|problem| raw.fault_at(span, &problem)), span)
    });
    let templates: Vec<_> = templates.collect();
    if templates.is_empty() {
        let finding = raw.fault_at(&raw.span, "is an empty list");
        return Err(finding.help("name the folder to empty, such as \"/home/pi/beephotos\""));
    }
    Ok(templates)
}

/// A name that is valid as a folder in the store and as an alias of ssh.
fn name(text: &str) -> Result<DeviceName, String> {
    let name = DeviceName::new(text)?;
    // In a `Host` line of ssh_config, some of these make a pattern or a list; ssh refuses others.
    match text
        .chars()
        .find(|c| c.is_ascii_punctuation() && !matches!(c, '.' | '-' | '_' | ':' | '+' | '~'))
    {
        Some(odd) => Err(format!("contains `{odd}`, which has a special meaning for ssh")),
        None => Ok(name),
    }
}

/// A folder on the device. Folders of the operating system are refused: gleaner would empty them.
fn source(text: &str) -> Result<SourcePath, String> {
    const SYSTEM_FOLDERS: [&str; 18] = [
        "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run",
        "sbin", "srv", "sys", "usr", "var",
    ];
    const SYSTEM_TREES: [&str; 10] = [
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
    let is_system = match parts.as_slice() {
        [] => true,
        [top] => SYSTEM_FOLDERS.contains(top),
        [top, ..] => SYSTEM_TREES.contains(top),
    };
    if is_system {
        return Err("belongs to the device's operating system, and gleaner would empty it; name the folder of the recordings".to_owned());
    }
    SourcePath::new(format!("/{}", parts.join("/"))).map_err(Into::into)
}

fn port(text: &str) -> Result<NonZeroU16, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| {
        "is not a port; it must be 1 to 65535, or an expression such as \"{id+5000}\"".to_owned()
    })
}

/// A host name or address. ssh and its shell cannot take it for an option or a command.
fn host(text: &str) -> Result<String, String> {
    word(text, 255, ".-_:").ok_or_else(|| "is not a host name or address".to_owned())
}

fn user(text: &str) -> Result<String, String> {
    word(text, 100, ".-_@+$").ok_or_else(|| "is not a login name".to_owned())
}

/// The text, if it consists of letters, digits and these marks, and ssh cannot take it for an option.
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
        return Err("is neither an absolute path nor one that starts with ~/".to_owned());
    }
    Ok(text.to_owned())
}

/// `[user@]host[:port]`, separated by commas, or "none". Each part is validated as if it stood alone.
fn jump(text: &str) -> Result<String, String> {
    const SYNTAX: &str = "; write \"none\" or [user@]host[:port], separated by commas";
    for hop in text.split(',') {
        let hop = hop.trim();
        let (login, rest) = match hop.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, hop),
        };
        let (name, number) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, rest)) => (name, rest.strip_prefix(':')),
            None => rest
                .rsplit_once(':')
                .map_or((rest, None), |(name, number)| (name, Some(number))),
        };
        let valid = host(name).is_ok()
            && login.is_none_or(|login| user(login).is_ok())
            && number.is_none_or(|number| port(number).is_ok());
        if !valid {
            return Err(format!("is not a jump host{SYNTAX}"));
        }
    }
    Ok(text.split(',').map(str::trim).collect::<Vec<_>>().join(","))
}

/// Whether one folder equals or contains the other.
fn overlaps(left: &SourcePath, right: &SourcePath) -> bool {
    let [left, right] = [left, right].map(path);
    left.starts_with(right) || right.starts_with(left)
}

/// A folder on a device, as a path that is ordered by its components.
pub(super) fn path(source: &SourcePath) -> &Path {
    Path::new(OsStr::from_bytes(source.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_passes_that_ssh_could_misread() {
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
    fn usual_addresses_pass() {
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
    fn a_folder_of_the_operating_system_is_refused_as_a_source() {
        for bad in "/ // /home /home/ /etc /etc/ssh /usr/local/data /proc/1 /var pictures ~/pictures /a/../b"
            .split(' ')
        {
            assert!(source(bad).is_err(), "{bad}");
        }
        for (raw, normalized) in [
            ("/home/pi/", "/home/pi"),
            ("/data//a/", "/data/a"),
            ("/var/lib/cam", "/var/lib/cam"),
            ("/mnt/usb", "/mnt/usb"),
        ] {
            assert_eq!(source(raw).unwrap().as_bytes(), normalized.as_bytes());
        }
    }

    #[test]
    fn folders_overlap_when_one_contains_the_other() {
        let overlaps = |left: &str, right: &str| overlaps(&source(left).unwrap(), &source(right).unwrap());
        assert!(overlaps("/data/a", "/data/a/"));
        assert!(overlaps("/data/a/b", "/data/a"));
        assert!(!overlaps("/data/a", "/data/ab"));
    }
}
