//! The marker file `.gleaner/store.toml`, which identifies a store: an unmounted path looks like an empty
//! folder.

use engine::ports::StoreError;
use model::{StoreId, Timestamp};
use serde::Deserialize;

use crate::disk::{Access, Disk};
use crate::fault::{StoreLabel, errno};
use crate::files::read_whole;
use rustix::io::Errno;

/// The name of the marker in the control folder.
pub(crate) const MARKER: &[u8] = b"store.toml";

/// The path of the marker in the store.
const MARKER_PATH: &[u8] = b".gleaner/store.toml";

/// The format of the control folder that this version supports.
const VERSION: u32 = 1;

/// Bytes that are read at most; more than any marker has.
const MAX_LENGTH: u64 = 64 << 10;

/// The content of a marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The id of the store.
    pub id: StoreId,
    /// The publish method found when the store was made.
    pub method: PublishMethod,
}

/// How a file gets its name without replacing another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishMethod {
    /// `link`, which fails if the name is taken.
    Link,
    /// `renameat2` with `RENAME_NOREPLACE`.
    Rename,
}

impl PublishMethod {
    fn code(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Rename => "rename",
        }
    }
}

/// The text of a marker, without its version. Keys that a later version adds are ignored while `version`
/// stays the same.
#[derive(Deserialize)]
struct RawMarker {
    id: String,
    publish: String,
}

impl Marker {
    pub(crate) fn render(&self, created: Timestamp) -> String {
        format!(
            "# This folder is a store of gleaner. Its files belong to you; \
             the folder .gleaner belongs to gleaner.\n\
             # The id identifies this store: do not copy it to another store.\n\
             version = {VERSION}\nid = \"{}\"\ncreated = \"{}\"\npublish = \"{}\"\n",
            self.id,
            render_time(created),
            self.method.code()
        )
    }

    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8 text".to_owned())?;
        if text.trim().is_empty() {
            return Err("it is empty".to_owned());
        }
        let version = toml::from_str::<toml::Table>(text)
            .map_err(|error| first_line(&error.to_string()))?
            .get("version")
            .and_then(toml::Value::as_integer);
        match version {
            None => return Err("it has no version".to_owned()),
            Some(version) if version != i64::from(VERSION) => {
                return Err(format!(
                    "its format is version {version}; this gleaner supports version {VERSION} only"
                ));
            }
            Some(_) => {}
        }
        let raw: RawMarker = toml::from_str(text).map_err(|error| first_line(&error.to_string()))?;
        let id = StoreId::new(raw.id).ok_or("its id is not valid")?;
        let method = match raw.publish.as_str() {
            "link" => PublishMethod::Link,
            "rename" => PublishMethod::Rename,
            _ => return Err("its `publish` is neither \"link\" nor \"rename\"".to_owned()),
        };
        Ok(Self { id, method })
    }
}

/// Reads the marker of the store at an open folder.
pub(crate) fn read<D: Disk>(disk: &D, root: &D::Folder, label: &StoreLabel) -> Result<Marker, StoreError> {
    let reading = |error| label.fault("read .gleaner/store.toml", error);
    let file = match disk.open_file(root, MARKER_PATH, Access::Read) {
        Ok(file) => file,
        Err(error) if matches!(errno(&error), Some(Errno::NOENT | Errno::NOTDIR)) => {
            return Err(label.no_marker());
        }
        Err(error) if matches!(errno(&error), Some(Errno::LOOP)) => {
            return Err(damaged(label, "it is a symbolic link, or .gleaner is".to_owned()));
        }
        Err(error) => return Err(reading(error)),
    };
    let text = read_whole(disk, &file, MAX_LENGTH).map_err(reading)?;
    Marker::parse(&text).map_err(|reason| damaged(label, reason))
}

fn damaged(label: &StoreLabel, reason: String) -> StoreError {
    StoreError::DamagedMarker {
        location: label.location(),
        reason,
    }
}

/// The first line of a parser's message, without its excerpt of the text. Escaped, because it quotes the
/// file.
fn first_line(message: &str) -> String {
    model::escaped(message.lines().next().unwrap_or_default().as_bytes())
}

/// As RFC 3339 in UTC.
pub(crate) fn render_time(time: Timestamp) -> String {
    match jiff::Timestamp::from_nanosecond(time.nanoseconds().into()) {
        Ok(time) => format!("{time:.0}"),
        Err(_) => "unknown".to_owned(),
    }
}

/// The reverse of [`render_time`].
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_nanoseconds(
        i64::try_from(time.as_nanosecond()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_parses_as_rendered() {
        let marker = Marker {
            id: StoreId::new("0123456789abcdef").unwrap(),
            method: PublishMethod::Rename,
        };
        let text = marker.render(Timestamp::from_seconds(1_795_000_000));
        assert!(text.contains("created = \"2026-11-18T11:06:40Z\""), "{text}");
        assert_eq!(Marker::parse(text.as_bytes()), Ok(marker));
    }

    #[test]
    fn the_fault_of_a_damaged_marker_is_reported() {
        for (text, reason) in [
            ("", "it is empty"),
            ("id = \"a\"", "it has no version"),
            (
                "version = 2\nfoo = 1",
                "its format is version 2; this gleaner supports version 1 only",
            ),
            (
                "version = 1\nid = \"A B\"\npublish = \"link\"",
                "its id is not valid",
            ),
            (
                "version = 1\nid = \"a\"\npublish = \"copy\"",
                "its `publish` is neither \"link\" nor \"rename\"",
            ),
        ] {
            assert_eq!(Marker::parse(text.as_bytes()), Err(reason.to_owned()), "{text}");
        }
        assert!(Marker::parse(b"version = \x1b[2J").is_err());
        assert!(Marker::parse(b"\xff").is_err());
    }
}
