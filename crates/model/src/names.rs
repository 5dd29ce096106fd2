//! Names on devices and in the store. Names are bytes: a device may use all except NUL and slash.

use std::fmt;
use std::sync::Arc;

use crate::escaped;

/// The folder, in a source or in a folder below it, into which gleaner withdraws files.
pub const WITHDRAWN_FOLDER: &[u8] = b".gleaner-withdrawn";

/// The folder in the store that belongs to gleaner.
pub const CONTROL_FOLDER: &[u8] = b".gleaner";

/// A relative path that cannot leave its base folder.
///
/// One or more components, none of which is empty, `.` or `..`, or contains a slash or NUL. gleaner converts
/// a path from a device to this type before any other use, or refuses it.
///
/// A clone shares the bytes: each stage uses the paths of the same thousands of files.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(Arc<[u8]>);

impl RelativePath {
    /// Accepts a path, or returns the rule that it breaks.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        Self::accept(path.as_ref(), MAX_DEPTH)
    }

    /// As [`RelativePath::new`], without the maximum depth: for a path that an older gleaner recorded.
    pub fn from_recorded(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        Self::accept(path.as_ref(), MAX_PATH_LENGTH)
    }

    fn accept(path: &[u8], max_depth: usize) -> Result<Self, NameError> {
        if path.is_empty() {
            return Err(NameError::Empty);
        }
        if path.len() > MAX_PATH_LENGTH {
            return Err(NameError::TooLong);
        }
        if path.first() == Some(&b'/') {
            return Err(NameError::Absolute);
        }
        if path.contains(&0) {
            return Err(NameError::Nul);
        }
        for (depth, component) in path.split(|byte| *byte == b'/').enumerate() {
            match component {
                _ if depth > max_depth => return Err(NameError::TooDeep),
                b"" => return Err(NameError::EmptyComponent),
                b"." | b".." => return Err(NameError::Dots),
                _ => {}
            }
        }
        Ok(Self(path.into()))
    }

    /// The path, with `/` between its components.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, outermost first; at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// The last component.
    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The folder of the last component; `None` for a path of one component.
    pub fn parent(&self) -> Option<Self> {
        self.folder().map(|folder| Self(folder.into()))
    }

    /// The bytes of [`Self::parent`].
    pub fn folder(&self) -> Option<&[u8]> {
        let end = self.0.iter().rposition(|byte| *byte == b'/')?;
        self.0.get(..end)
    }

    /// This path followed by another.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self([&self.0[..], b"/", &below.0[..]].concat().into())
    }
}

/// The maximum length of a path: Linux's `PATH_MAX`. No system call accepts a longer path.
const MAX_PATH_LENGTH: usize = 4096;

/// The maximum number of folders in a path. Without it, a folder that contains itself would be listed two
/// thousand times, until its path is too long.
const MAX_DEPTH: usize = 127;

impl fmt::Display for RelativePath {
    /// Escaped, so that it can be displayed anywhere.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(&self.0))
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RelativePath({self})")
    }
}

/// Why bytes are not a [`RelativePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No bytes at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than any system call accepts.
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// It begins with a slash.
    #[error("the name begins with '/'")]
    Absolute,
    /// It contains a NUL byte.
    #[error("the name contains a NUL byte")]
    Nul,
    /// Two slashes in a row, or one at the end.
    #[error("the name has an empty part")]
    EmptyComponent,
    /// Deeper than any real folder tree.
    #[error("the path is more than 127 folders deep")]
    TooDeep,
    /// A component is `.` or `..`.
    #[error("the name has a part '.' or '..'")]
    Dots,
}

/// A folder on a device that gleaner empties: an absolute path, or one relative to the folder where a login
/// begins.
///
/// It comes from the configuration, not from a device. It is never empty, contains no NUL and no line break
/// (gleaner sends it to the device as one line), and has no slash at the end (except `/` itself).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePath(Vec<u8>);

impl SourcePath {
    /// Accepts a path, or returns what is wrong with it, to follow "the source …". Removes slashes at the
    /// end.
    pub fn new(path: impl Into<Vec<u8>>) -> Result<Self, &'static str> {
        let mut path = path.into();
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        if path.is_empty() {
            return Err("is empty");
        }
        if path.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
            return Err("contains a line break or a NUL byte");
        }
        if path
            .split(|byte| *byte == b'/')
            .any(|component| matches!(component, b"." | b".."))
        {
            return Err("contains '.' or '..' as a part");
        }
        Ok(Self(path))
    }

    /// The path as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path of `below` on the device, including the source.
    pub fn join(&self, below: &RelativePath) -> Vec<u8> {
        let slash: &[u8] = if self.0 == b"/" { b"" } else { b"/" };
        [&self.0[..], slash, below.as_bytes()].concat()
    }

    /// The last component, which replaces `{source}` in a layout; `root` for `/`.
    pub fn folder_name(&self) -> &[u8] {
        match self.0.rsplit(|byte| *byte == b'/').next() {
            Some(name) if !name.is_empty() => name,
            _ => b"root",
        }
    }
}

impl fmt::Display for SourcePath {
    /// Escaped, so that it can be displayed anywhere.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(&self.0))
    }
}

impl fmt::Debug for SourcePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SourcePath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_deeper_than_127_folders_is_accepted_only_if_recorded() {
        let path = |folders| [b"f/".repeat(folders), b"name".to_vec()].concat();
        assert!(RelativePath::new(path(127)).is_ok());
        assert_eq!(RelativePath::new(path(128)), Err(NameError::TooDeep));
        assert!(RelativePath::from_recorded(path(128)).is_ok());
        assert_eq!(RelativePath::from_recorded("a/../b"), Err(NameError::Dots));
        assert_eq!(RelativePath::from_recorded(path(3000)), Err(NameError::TooLong));
    }

    #[test]
    fn a_name_that_could_leave_its_folder_is_refused() {
        for (name, refusal) in [
            (&b""[..], NameError::Empty),
            (b"/etc/passwd", NameError::Absolute),
            (b"..", NameError::Dots),
            (b"a/../b", NameError::Dots),
            (b"a/./b", NameError::Dots),
            (b"a//b", NameError::EmptyComponent),
            (b"a/", NameError::EmptyComponent),
            (b"a\0b", NameError::Nul),
        ] {
            assert_eq!(RelativePath::new(name), Err(refusal), "{}", escaped(name));
        }
    }

    #[test]
    fn a_path_through_a_folder_that_contains_itself_ends_at_the_maximum() {
        let path = |folders: usize| RelativePath::new([&b"a/".repeat(folders)[..], b"f"].concat());
        assert!(path(MAX_DEPTH).is_ok());
        assert_eq!(path(MAX_DEPTH + 1), Err(NameError::TooDeep));
    }

    #[test]
    fn unusual_names_are_accepted() {
        for name in [
            &b"..."[..],
            b"-rf",
            b"a\nb",
            b"\xff\xfe",
            b"..a/b..",
            b"$(reboot)",
        ] {
            assert!(RelativePath::new(name).is_ok(), "{}", escaped(name));
        }
    }

    #[test]
    fn a_path_is_split_and_joined_without_a_change() {
        let path = RelativePath::new("day/set/a.np").unwrap();
        assert_eq!(path.file_name(), b"a.np");
        let parent = path.parent().unwrap();
        assert_eq!(parent.as_bytes(), b"day/set");
        assert_eq!(parent.join(&RelativePath::new("a.np").unwrap()), path);
        assert_eq!(
            SourcePath::new("/home/pi/").unwrap().join(&path),
            b"/home/pi/day/set/a.np"
        );
        assert_eq!(SourcePath::new("/").unwrap().join(&path), b"/day/set/a.np");
    }
}
