//! The `layout` of a store: the pattern of file names in the store. Parsed here, applied by the engine.

pub use engine::placement::LayoutPart;

use super::braces;

/// A pattern that gives each file a relative name in the store. Different files of a folder get different
/// names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    text: String,
    parts: Vec<LayoutPart>,
}

/// The placeholders, except the one with a time format.
const PLACEHOLDERS: [(&str, LayoutPart); 7] = [
    ("device", LayoutPart::Device),
    ("source", LayoutPart::Source),
    ("path", LayoutPart::Path),
    ("name", LayoutPart::Name),
    ("folder", LayoutPart::Folder),
    ("stem", LayoutPart::Stem),
    ("ext", LayoutPart::Extension),
];

impl Layout {
    /// Parses a layout. The error is a phrase that follows "the layout".
    pub fn parse(text: &str) -> Result<Self, String> {
        let layout = Self {
            text: text.to_owned(),
            parts: braces::split(text, LayoutPart::Literal, placeholder)?,
        };
        layout.check_names()?;
        if !layout.separates_files() {
            return Err(
                "can give two files of a folder the same name: it needs {path}, {name}, or {stem} and {ext}"
                    .to_owned(),
            );
        }
        Ok(layout)
    }

    /// The parts, in order.
    pub fn parts(&self) -> &[LayoutPart] {
        &self.parts
    }

    /// The layout as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the files of different devices get different names.
    pub fn separates_devices(&self) -> bool {
        self.parts.contains(&LayoutPart::Device)
    }

    /// Whether the files of different sources of a device get different names, if the sources' last
    /// components differ.
    pub fn separates_sources(&self) -> bool {
        self.parts.contains(&LayoutPart::Source)
    }

    /// Whether the files of different folders of a source get different names.
    pub fn separates_folders(&self) -> bool {
        self.parts.contains(&LayoutPart::Path) || self.parts.contains(&LayoutPart::Folder)
    }

    fn separates_files(&self) -> bool {
        let has = |part| self.parts.contains(&part);
        has(LayoutPart::Path) || has(LayoutPart::Name) || has(LayoutPart::Stem) && has(LayoutPart::Extension)
    }

    /// Applies the layout to an example file, and checks the resulting name.
    fn check_names(&self) -> Result<(), String> {
        let parts = self.parts.iter().map(|part| match part {
            LayoutPart::Literal(literal) => Ok(literal.clone()),
            LayoutPart::Modified(format) => modified(format),
            _ => Ok("x".to_owned()),
        });
        let name = parts.collect::<Result<String, String>>()?;
        let problem = match name.as_str() {
            "" => "is empty",
            name if name.starts_with('/') => "begins with a slash; it must be a name within the store",
            name if name.ends_with('/') => "ends with a slash; its last part is the name of a file",
            name if name.chars().any(char::is_control) => "contains a control character",
            name => return name.split('/').try_for_each(check_component),
        };
        Err(problem.to_owned())
    }
}

fn check_component(component: &str) -> Result<(), String> {
    Err(match component {
        "" => "has two slashes in a row".to_owned(),
        "." | ".." => format!("has a folder `{component}`; it must stay within the store"),
        ".gleaner" => "uses the folder `.gleaner`, which belongs to gleaner itself".to_owned(),
        _ => return Ok(()),
    })
}

fn placeholder(inside: &str) -> Result<LayoutPart, String> {
    if let Some((_, part)) = PLACEHOLDERS.into_iter().find(|(name, _)| *name == inside) {
        return Ok(part);
    }
    if inside == "mtime" {
        return Err("has {mtime} without a format; write {mtime:%Y-%m-%d}".to_owned());
    }
    let Some(format) = inside.strip_prefix("mtime:") else {
        let known = PLACEHOLDERS.map(|(name, _)| format!("{{{name}}}")).join(", ");
        let inside = model::escaped(inside.as_bytes());
        return Err(format!(
            "has the unknown placeholder `{{{inside}}}`; known are {known}, {{mtime:%Y-%m-%d}}"
        ));
    };
    modified(format)?;
    Ok(LayoutPart::Modified(format.to_owned()))
}

/// An example time in that format, or an error about the format.
fn modified(format: &str) -> Result<String, String> {
    let time = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    match jiff::fmt::strtime::format(format, &time) {
        Ok(text) if text.is_empty() => {
            Err("has {mtime:} without a format; write {mtime:%Y-%m-%d}".to_owned())
        }
        Ok(text) => Ok(text),
        Err(error) => Err(format!(
            "has the time format `{}`, which strftime does not support: {error}",
            model::escaped(format.as_bytes())
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_parsed_into_its_parts() {
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
        assert!(layout.separates_devices());
        assert!(!layout.separates_sources());
    }

    #[test]
    fn a_layout_that_leaves_the_store_or_mixes_files_is_refused() {
        for (text, problem) in [
            (
                "/{path}",
                "begins with a slash; it must be a name within the store",
            ),
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
                "can give two files of a folder the same name: it needs {path}, {name}, or {stem} and {ext}",
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
