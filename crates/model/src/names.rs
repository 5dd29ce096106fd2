//! Names on devices and in the store. Names are bytes: a device may use any but NUL and slash.

use std::fmt;
use std::sync::Arc;

use crate::escaped;

/// The folder, in a source or in a folder below it, into which files are withdrawn.
pub const WITHDRAWN_FOLDER: &[u8] = b".gleaner-withdrawn";

/// The folder in the store that belongs to gleaner.
pub const CONTROL_FOLDER: &[u8] = b".gleaner";

/// A relative path that cannot leave the folder it is taken relative to.
///
/// One or more components, none of which is empty, `.` or `..`, or contains a slash or NUL. A path that a device names
/// becomes one of these before anything else is done with it, or is refused.
///
/// A copy shares the bytes: each stage asks about the same thousands of files by their paths.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelativePath(Arc<[u8]>);

impl RelativePath {
    /// Admits a path, or says which rule it breaks.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        Self::admit(path.as_ref(), MAXIMUM_DEPTH)
    }

    /// The same for a path that was written down when there was no bound on its depth: as harmless as any, but not to be asked for again.
    pub fn written_down(path: impl AsRef<[u8]>) -> Result<Self, NameError> {
        Self::admit(path.as_ref(), MAXIMUM_PATH_LENGTH)
    }

    fn admit(path: &[u8], most_folders: usize) -> Result<Self, NameError> {
        if path.is_empty() {
            return Err(NameError::Empty);
        }
        if path.len() > MAXIMUM_PATH_LENGTH {
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
                _ if depth > most_folders => return Err(NameError::TooDeep),
                b"" => return Err(NameError::EmptyComponent),
                b"." | b".." => return Err(NameError::Dots),
                _ => {}
            }
        }
        Ok(Self(path.into()))
    }

    /// The path with components divided by `/`.
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

    /// The folder that the last component is in; `None` at the top.
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

/// Longest path that is dealt with: Linux's `PATH_MAX`, beyond which no system call takes a name whole.
const MAXIMUM_PATH_LENGTH: usize = 4096;

/// Folders in a path. A folder that contains itself would else be listed two thousand times, until its path is too long.
const MAXIMUM_DEPTH: usize = 127;

impl fmt::Display for RelativePath {
    /// Escaped: fit to be shown anywhere.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&escaped(&self.0))
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RelativePath({self})")
    }
}

/// Why bytes are no [`RelativePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No bytes at all.
    #[error("the name is empty")]
    Empty,
    /// Longer than any system call takes.
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// Begins with a slash.
    #[error("the name begins with '/'")]
    Absolute,
    /// Contains a NUL byte.
    #[error("the name contains a NUL byte")]
    Nul,
    /// Two slashes in a row, or one at the end.
    #[error("the name has an empty part")]
    EmptyComponent,
    /// More components than any tree has that somebody made.
    #[error("the path is more than 127 folders deep")]
    TooDeep,
    /// A component is `.` or `..`.
    #[error("the name has a part '.' or '..'")]
    Dots,
}

/// A folder on a device that is emptied: an absolute path, or one relative to where the device's login begins.
///
/// It comes from the configuration, not from a device. Never empty, without NUL or line breaks (it travels to the
/// device as one line), and without a slash at the end (except `/` itself).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePath(Vec<u8>);

impl SourcePath {
    /// Admits a path, or says what is wrong in words that fit after "the source …". A slash at the end is dropped.
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

    /// The path of something below the source, as a device takes it.
    pub fn join(&self, below: &RelativePath) -> Vec<u8> {
        let slash: &[u8] = if self.0 == b"/" { b"" } else { b"/" };
        [&self.0[..], slash, below.as_bytes()].concat()
    }

    /// The last component: what `{source}` in a layout stands for. `root` for `/`.
    pub fn folder_name(&self) -> &[u8] {
        match self.0.rsplit(|byte| *byte == b'/').next() {
            Some(name) if !name.is_empty() => name,
            _ => b"root",
        }
    }
}

impl fmt::Display for SourcePath {
    /// Escaped: fit to be shown anywhere.
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
    fn a_path_of_127_folders_is_admitted_and_a_deeper_one_only_where_it_was_written_down() {
        let path = |folders| [b"f/".repeat(folders), b"name".to_vec()].concat();
        assert!(RelativePath::new(path(127)).is_ok());
        assert_eq!(RelativePath::new(path(128)), Err(NameError::TooDeep));
        assert!(RelativePath::written_down(path(128)).is_ok());
        assert_eq!(RelativePath::written_down("a/../b"), Err(NameError::Dots));
        assert_eq!(RelativePath::written_down(path(3000)), Err(NameError::TooLong));
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
    fn a_folder_that_contains_itself_has_an_end() {
        let path = |folders: usize| RelativePath::new([&b"a/".repeat(folders)[..], b"f"].concat());
        assert!(path(MAXIMUM_DEPTH).is_ok());
        assert_eq!(path(MAXIMUM_DEPTH + 1), Err(NameError::TooDeep));
    }

    #[test]
    fn odd_names_are_names() {
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
    fn a_path_comes_apart_and_together() {
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
