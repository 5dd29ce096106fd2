//! Which files gleaner leaves alone: the `exclude` patterns of a device.

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Patterns of file names to leave alone.
///
/// A pattern without a slash, except at its end, matches any file or folder of that name. A pattern with a
/// slash starts at the source. Everything below an excluded folder is excluded too. A slash at the end
/// matches only folders. `*` and `?` do not match a slash, `**` does.
#[derive(Debug, Clone, Default)]
pub struct Exclude {
    patterns: Vec<String>,
    set: GlobSet,
}

impl Exclude {
    /// Checks one pattern. The error text continues a message that ends with the pattern.
    pub fn check(pattern: &str) -> Result<(), String> {
        globs(pattern).map(|_| ())
    }

    /// Compiles all patterns. The error text continues a message that ends with "the patterns".
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

    /// Whether everything in a folder is excluded, whatever the name.
    pub fn excludes_folder(&self, path: &[u8]) -> bool {
        self.excludes(path) || self.excludes(&[path, b"/", ANY_NAME].concat())
    }
}

/// A name that no pattern contains literally: a pattern that matches this name matches any name.
const ANY_NAME: &[u8] = b"\x01any\x01name\x01";

impl PartialEq for Exclude {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Exclude {}

/// The globs for the file or folder itself, and for everything below it.
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
    let globs = if folders_only {
        vec![below]
    } else {
        vec![base, below]
    };
    globs.iter().map(|glob| build(glob)).collect()
}

fn build(glob: &str) -> Result<Glob, String> {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| describe(&error))
}

fn describe(error: &globset::Error) -> String {
    format!("is not a valid pattern: {}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(pattern: &str, path: &[u8]) -> bool {
        Exclude::new([pattern.to_owned()]).unwrap().excludes(path)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_at_any_depth() {
        assert!(excludes("*.tmp", b"a.tmp"));
        assert!(excludes("*.tmp", b"day/set/a.tmp"));
        assert!(excludes("cache", b"day/cache/a.jpg"));
        assert!(excludes("cache/", b"cache/a.jpg"));
        assert!(!excludes("cache/", b"day/cache"));
        assert!(!excludes("*.tmp", b"a.tmp.jpg"));
        assert!(excludes("*.tmp", b"\xff.tmp"));
    }

    #[test]
    fn a_pattern_with_a_slash_starts_at_the_source() {
        assert!(excludes("/cache", b"cache/a.jpg"));
        assert!(!excludes("/cache", b"day/cache/a.jpg"));
        assert!(excludes("day/*.tmp", b"day/a.tmp"));
        assert!(!excludes("day/*.tmp", b"day/set/a.tmp"));
        assert!(excludes("day/**/*.tmp", b"day/set/a.tmp"));
    }

    #[test]
    fn a_folder_is_excluded_if_everything_in_it_is() {
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
