//! Which files are none of gleaner's business: the `exclude` of a device.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Patterns of names to be left alone.
///
/// A pattern without a slash (but at its end) is about any file or folder of that name; one with a slash begins at the
/// source. What lies below a folder that is excluded is excluded too; a slash at the end means folders only. `*` and `?` stop at
/// a slash, `**` does not.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Exclude {
    /// Checks one pattern; the error fits after the pattern.
    pub fn check(pattern: &str) -> Result<(), String> {
        globs(pattern).map(|_| ())
    }

    /// All of the patterns together; the error fits after "the patterns".
    pub fn new(patterns: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let patterns: Vec<String> = patterns.into_iter().collect();
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            for glob in globs(pattern)? {
                set.add(glob);
            }
        }
        let set = set.build().map_err(|error| describe(&error))?;
        Ok(Self { patterns, set })
    }

    /// The patterns as written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a file, named by its path below the source, is excluded.
    pub fn excludes(&self, path: &[u8]) -> bool {
        !self.set.is_empty() && self.set.is_match(OsStr::from_bytes(path))
    }
}

impl Exclude {
    /// Whether everything in a folder is excluded, whatever it is called.
    pub fn excludes_folder(&self, path: &[u8]) -> bool {
        self.excludes(path) || self.excludes(&[path, b"/", ANY_NAME].concat())
    }
}

/// A name that no pattern means: one that takes it takes any.
const ANY_NAME: &[u8] = b"\x01any\x01name\x01";

impl PartialEq for Exclude {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Exclude {}

/// The globs for the thing itself and for what lies below it.
fn globs(pattern: &str) -> Result<Vec<Glob>, String> {
    let folders_only = pattern.ends_with('/');
    let inner = pattern.strip_suffix('/').unwrap_or(pattern);
    let anchored = inner.contains('/');
    let inner = inner.strip_prefix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Err("names nothing".to_owned());
    }
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("has an empty part, `.` or `..`, which no name below a source has".to_owned());
    }
    let base = if anchored {
        inner.to_owned()
    } else {
        format!("**/{inner}")
    };
    let below = format!("{base}/**");
    let wanted = if folders_only {
        vec![below]
    } else {
        vec![base, below]
    };
    wanted.iter().map(|glob| build(glob)).collect()
}

fn build(glob: &str) -> Result<Glob, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| describe(&error))
}

fn describe(error: &globset::Error) -> String {
    format!("is no pattern: {}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(pattern: &str, path: &[u8]) -> bool {
        Exclude::new([pattern.to_owned()]).unwrap().excludes(path)
    }

    #[test]
    fn a_plain_pattern_is_about_names_at_any_depth() {
        assert!(excludes("*.tmp", b"a.tmp"));
        assert!(excludes("*.tmp", b"day/set/a.tmp"));
        assert!(excludes("cache", b"day/cache/a.jpg"));
        assert!(excludes("cache/", b"cache/a.jpg"));
        assert!(!excludes("cache/", b"day/cache"));
        assert!(!excludes("*.tmp", b"a.tmp.jpg"));
        assert!(excludes("*.tmp", b"\xff.tmp"));
    }

    #[test]
    fn a_pattern_with_a_slash_begins_at_the_source() {
        assert!(excludes("/cache", b"cache/a.jpg"));
        assert!(!excludes("/cache", b"day/cache/a.jpg"));
        assert!(excludes("day/*.tmp", b"day/a.tmp"));
        assert!(!excludes("day/*.tmp", b"day/set/a.tmp"));
        assert!(excludes("day/**/*.tmp", b"day/set/a.tmp"));
    }

    #[test]
    fn a_folder_is_excluded_where_everything_in_it_is() {
        let excludes = |pattern: &str, path: &[u8]| {
            let exclude = Exclude::new([pattern.to_owned()]).unwrap();
            exclude.excludes_folder(path)
        };
        for pattern in [
            "dark",
            "dark/",
            "/day/",
            "/day/dark/",
            "/day/*",
            "day/dark/**",
            "d*k/",
        ] {
            assert!(excludes(pattern, b"day/dark"), "{pattern}");
        }
        for pattern in ["*.tmp", "/dark/", "/day/*.jpg", "day/dark/*.jpg", "day/dark/x"] {
            assert!(!excludes(pattern, b"day/dark"), "{pattern}");
        }
    }

    #[test]
    fn nothing_is_excluded_without_patterns() {
        assert!(!Exclude::default().excludes(b"a.jpg"));
    }

    #[test]
    fn a_pattern_that_can_never_match_is_refused() {
        for pattern in ["", "/", "[a", "a/../b", "./a", "{a"] {
            assert!(Exclude::check(pattern).is_err(), "{pattern}");
        }
    }
}
