//! The `layout` of a store: the pattern of the names that files get there. Parsed here, applied by the engine.

pub use engine::placement::LayoutPart;

use super::braces;

/// A pattern that gives each file a relative name in the store, and different files of a folder different ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    text: String,
    parts: Vec<LayoutPart>,
}

/// The placeholders, for messages.
pub const PLACEHOLDERS: [&str; 8] = [
    "{device}",
    "{source}",
    "{path}",
    "{name}",
    "{folder}",
    "{stem}",
    "{ext}",
    "{mtime:%Y-%m-%d}",
];

impl Layout {
    /// Reads a layout; the error says what is wrong, and fits after "the layout".
    pub fn parse(text: &str) -> Result<Self, String> {
        let layout = Self {
            text: text.to_owned(),
            parts: braces::split(text, LayoutPart::Literal, placeholder)?,
        };
        layout.check_names()?;
        if !layout.tells_files_apart() {
            return Err(
                "does not tell the files of a folder apart: it needs {path}, {name}, or {stem} and {ext}"
                    .to_owned(),
            );
        }
        Ok(layout)
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[LayoutPart] {
        &self.parts
    }

    /// The layout as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the files of different devices get different names.
    pub fn tells_devices_apart(&self) -> bool {
        self.parts.contains(&LayoutPart::Device)
    }

    /// Whether the files of different sources of a device get different names, if the sources' last components differ.
    pub fn tells_sources_apart(&self) -> bool {
        self.parts.contains(&LayoutPart::Source)
    }

    /// Whether the files of different folders of a source get different names.
    pub fn tells_folders_apart(&self) -> bool {
        self.parts.contains(&LayoutPart::Path) || self.parts.contains(&LayoutPart::Folder)
    }

    fn tells_files_apart(&self) -> bool {
        let has = |part| self.parts.contains(&part);
        has(LayoutPart::Path) || has(LayoutPart::Name) || has(LayoutPart::Stem) && has(LayoutPart::Extension)
    }

    /// Tries the layout on a file, and checks the name that comes out.
    fn check_names(&self) -> Result<(), String> {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                LayoutPart::Literal(literal) => name.push_str(literal),
                LayoutPart::Modified(format) => name.push_str(&modified(format)?),
                LayoutPart::Device
                | LayoutPart::Source
                | LayoutPart::Path
                | LayoutPart::Name
                | LayoutPart::Folder
                | LayoutPart::Stem
                | LayoutPart::Extension => name.push('x'),
            }
        }
        if name.is_empty() {
            return Err("is empty".to_owned());
        }
        if name.starts_with('/') {
            return Err("begins with a slash; it is a name within the store".to_owned());
        }
        if name.ends_with('/') {
            return Err("ends with a slash; its last part is the name of a file".to_owned());
        }
        if name.chars().any(char::is_control) {
            return Err("contains a control character".to_owned());
        }
        for component in name.split('/') {
            match component {
                "" => return Err("has two slashes in a row".to_owned()),
                "." | ".." => {
                    return Err(format!(
                        "has a folder `{component}`; it must stay within the store"
                    ));
                }
                ".gleaner" => {
                    return Err("uses the folder `.gleaner`, which belongs to gleaner itself".to_owned());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn placeholder(inside: &str) -> Result<LayoutPart, String> {
    Ok(match inside {
        "device" => LayoutPart::Device,
        "source" => LayoutPart::Source,
        "path" => LayoutPart::Path,
        "name" => LayoutPart::Name,
        "folder" => LayoutPart::Folder,
        "stem" => LayoutPart::Stem,
        "ext" => LayoutPart::Extension,
        "mtime" => return Err("has {mtime} without a format; write {mtime:%Y-%m-%d}".to_owned()),
        _ => match inside.strip_prefix("mtime:") {
            Some(format) => {
                modified(format)?;
                LayoutPart::Modified(format.to_owned())
            }
            None => {
                return Err(format!(
                    "has the unknown placeholder `{{{}}}`; known are {}",
                    model::escaped(inside.as_bytes()),
                    PLACEHOLDERS.join(", ")
                ));
            }
        },
    })
}

/// A time in that format, or what is wrong with the format.
fn modified(format: &str) -> Result<String, String> {
    let time = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    match jiff::fmt::strtime::format(format, &time) {
        Ok(text) if text.is_empty() => {
            Err("has {mtime:} without a format; write {mtime:%Y-%m-%d}".to_owned())
        }
        Ok(text) => Ok(text),
        Err(error) => Err(format!(
            "has the time format `{}`, which strftime does not know: {error}",
            model::escaped(format.as_bytes())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_comes_apart_into_its_parts() {
        let layout = Layout::parse("photos/{device}/{mtime:%Y/%m}/{stem}_{{x}}.{ext}").unwrap();
        let literal = |text: &str| LayoutPart::Literal(text.to_owned());
        assert_eq!(
            layout.parts(),
            [
                literal("photos/"),
                LayoutPart::Device,
                literal("/"),
                LayoutPart::Modified("%Y/%m".to_owned()),
                literal("/"),
                LayoutPart::Stem,
                literal("_{x}."),
                LayoutPart::Extension,
            ]
        );
        assert!(layout.tells_devices_apart());
        assert!(!layout.tells_sources_apart());
    }

    #[test]
    fn a_layout_that_leaves_the_store_or_mixes_files_is_refused() {
        for (text, problem) in [
            ("/{path}", "begins with a slash; it is a name within the store"),
            (
                "{path}/",
                "ends with a slash; its last part is the name of a file",
            ),
            ("a//{path}", "has two slashes in a row"),
            ("../{path}", "has a folder `..`; it must stay within the store"),
            ("a/./{path}", "has a folder `.`; it must stay within the store"),
            (
                ".gleaner/{path}",
                "uses the folder `.gleaner`, which belongs to gleaner itself",
            ),
            ("a\n/{path}", "contains a control character"),
            (
                "{mtime}/{path}",
                "has {mtime} without a format; write {mtime:%Y-%m-%d}",
            ),
            (
                "{mtime:}/{path}",
                "has {mtime:} without a format; write {mtime:%Y-%m-%d}",
            ),
            ("{path", "has a `{` without its `}`"),
            ("path}", "has a `}` without its `{`"),
            (
                "{device}/{folder}/{stem}",
                "does not tell the files of a folder apart: it needs {path}, {name}, or {stem} and {ext}",
            ),
            ("", "is empty"),
        ] {
            assert_eq!(Layout::parse(text), Err(problem.to_owned()), "{text}");
        }
        assert!(Layout::parse("{mtime:%1}/{path}").unwrap_err().contains("`%1`"));
        assert!(
            Layout::parse("{raspberry}/{path}")
                .unwrap_err()
                .contains("known are {device}, {source}")
        );
    }
}
