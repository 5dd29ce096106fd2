//! The name that a file of a device gets in the store. Pure.

mod component;
mod portable;
mod store_names;

use std::borrow::Cow;

use model::names::CONTROL_FOLDER;
use model::{DeviceName, Digest, NameError, RelativePath, SourcePath, Timestamp};

use component::{insert_digest, split_extension};
pub use store_names::StoreNames;

/// The layout of the store: how the name of a file is composed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The parts, in order. Slashes in their joined text separate folders.
    pub parts: Vec<LayoutPart>,
}

/// A part of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutPart {
    /// Text as written.
    Literal(String),
    /// The name of the device.
    Device,
    /// The last component of the source.
    Source,
    /// The whole path below the source.
    Path,
    /// The folder part of the path. Empty for a file directly in the source.
    Folder,
    /// The last component of the path.
    Name,
    /// The last component up to its last dot.
    Stem,
    /// The last component after its last dot. Empty without a dot.
    Extension,
    /// The time of last modification in UTC, in strftime format.
    Modified(String),
}

/// Which names the store accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Any bytes except NUL and slash.
    Bytes,
    /// Only bytes that SMB and Windows accept. Others become `%XX`.
    Portable,
}

/// What the name of a file depends on.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The device that the file comes from.
    pub device: &'a DeviceName,
    /// The source that the file comes from.
    pub source: &'a SourcePath,
    /// The original path of the file.
    pub path: &'a RelativePath,
    /// The time of last modification.
    pub modified: Timestamp,
    /// The digest of the content.
    pub digest: &'a Digest,
    /// The longest component that the store accepts, in bytes.
    pub max_component: usize,
}

/// The first choice of name for a file.
///
/// It depends on the arguments alone, so a repeated pass finds the same name. Fails only if the layout yields
/// an inadmissible path, for example one that is too long.
pub fn place(layout: &Layout, names: NameRule, subject: &Subject<'_>) -> Result<RelativePath, NameError> {
    let mut path = Vec::new();
    for part in &layout.parts {
        append_part(&mut path, part, subject);
    }
    let mut name = Vec::with_capacity(path.len());
    // An empty part leaves no empty component: `{folder}/{name}` in the source itself is just the name.
    for component in path
        .split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
    {
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(&admissible_component(component, names, subject));
    }
    RelativePath::new(name)
}

fn append_part(path: &mut Vec<u8>, part: &LayoutPart, subject: &Subject<'_>) {
    let name = || subject.path.file_name();
    match part {
        LayoutPart::Literal(text) => path.extend_from_slice(text.as_bytes()),
        LayoutPart::Device => path.extend_from_slice(subject.device.as_str().as_bytes()),
        LayoutPart::Source => path.extend_from_slice(subject.source.folder_name()),
        LayoutPart::Path => path.extend_from_slice(subject.path.as_bytes()),
        LayoutPart::Folder => {
            path.extend_from_slice(subject.path.folder().unwrap_or_default());
        }
        LayoutPart::Name => path.extend_from_slice(name()),
        LayoutPart::Stem => path.extend_from_slice(split_extension(name()).0),
        LayoutPart::Extension => {
            path.extend_from_slice(split_extension(name()).1.get(1..).unwrap_or_default());
        }
        LayoutPart::Modified(format) => {
            path.extend_from_slice(formatted_time(subject.modified, format).as_bytes());
        }
    }
}

/// The configuration check has validated the format. A time that still cannot be formatted becomes seconds
/// since 1970.
fn formatted_time(time: Timestamp, format: &str) -> String {
    let formatted = jiff::Timestamp::from_second(time.seconds())
        .map_err(drop)
        .and_then(|time| {
            jiff::fmt::strtime::format(format, &time.to_zoned(jiff::tz::TimeZone::UTC)).map_err(drop)
        });
    formatted.unwrap_or_else(|()| time.seconds().to_string())
}

/// The component as the store accepts it: escaped by the name rule, never the control folder, and not too
/// long.
fn admissible_component<'c>(component: &'c [u8], names: NameRule, subject: &Subject<'_>) -> Cow<'c, [u8]> {
    let mut component = match names {
        NameRule::Bytes => Cow::Borrowed(component),
        NameRule::Portable => Cow::Owned(portable::escape(component)),
    };
    // A layout may use the stem alone, which is a dot for a name such as `..np`.
    if names_control_folder(&component) || matches!(&component[..], b"." | b"..") {
        component.to_mut().push(b'~');
    }
    if component.len() > subject.max_component {
        Cow::Owned(insert_digest(
            &component,
            subject.digest,
            8,
            subject.max_component,
        ))
    } else {
        component
    }
}

/// Whether some file system would resolve this component to the control folder. Windows and SMB fold case and
/// strip trailing dots and spaces.
fn names_control_folder(component: &[u8]) -> bool {
    let end = component
        .iter()
        .rposition(|byte| !matches!(byte, b'.' | b' '))
        .map_or(0, |last| last + 1);
    component
        .get(..end)
        .is_some_and(|stem| stem.eq_ignore_ascii_case(CONTROL_FOLDER))
}

#[cfg(test)]
mod tests;
