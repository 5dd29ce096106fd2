//! How a request names many files: by their common folder, and by names relative to it.
//!
//! A file is named in five requests and two replies, in a folder of gleaner's that is four levels deep. With
//! whole paths, 10,000 small files took 8 MB more in all.

/// The common folder of the files of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPaths {
    folder: Vec<u8>,
}

/// Keeps programs from taking a name for an option.
const RELATIVE: &[u8] = b"./";

impl RequestPaths {
    /// The innermost common folder of these paths. Each path has a slash, as [`crate::script::anchored`]
    /// makes it.
    pub(crate) fn new<'a>(mut paths: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut folder = paths.next().map_or(RELATIVE, folder_of);
        for path in paths {
            let same = folder.iter().zip(path).take_while(|(one, other)| one == other);
            let common = same.count();
            if common < folder.len() {
                folder = folder_of(folder.get(..common).unwrap_or_default());
            }
        }
        Self {
            folder: folder.to_vec(),
        }
    }

    /// Begins with `/` or `./`, and ends with `/`.
    pub(crate) fn folder(&self) -> &[u8] {
        &self.folder
    }

    /// The file's name in the request and in the reply.
    pub(crate) fn name(&self, path: &[u8]) -> Vec<u8> {
        [RELATIVE, self.relative(path)].concat()
    }

    /// Whether a name in the reply is this file's.
    pub(crate) fn matches(&self, name: &[u8], path: &[u8]) -> bool {
        name.strip_prefix(RELATIVE) == Some(self.relative(path))
    }

    /// The arguments of a request: NUL-terminated names.
    pub(crate) fn arguments<'a>(&self, paths: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        paths
            .flat_map(|path| RELATIVE.iter().chain(self.relative(path)).copied().chain([0]))
            .collect()
    }

    fn relative<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.strip_prefix(self.folder.as_slice()).unwrap_or(path)
    }
}

/// The path up to and including its last slash.
fn folder_of(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    slash.and_then(|slash| path.get(..=slash)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> (String, Vec<String>) {
        let request = RequestPaths::new(paths.iter().map(|path| path.as_bytes()));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        for path in paths {
            assert!(request.matches(&request.name(path.as_bytes()), path.as_bytes()));
        }
        let names = paths.iter().map(|path| text(&request.name(path.as_bytes())));
        (text(request.folder()), names.collect())
    }

    #[test]
    fn files_are_named_from_their_innermost_common_folder() {
        let own = |folder: &str, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            (folder.to_owned(), names)
        };
        assert_eq!(of(&["/a/b/one", "/a/b/two"]), own("/a/b/", &["./one", "./two"]));
        assert_eq!(of(&["/a/bc/x", "/a/bd/x"]), own("/a/", &["./bc/x", "./bd/x"]));
        assert_eq!(of(&["/a/b", "/a/b/c"]), own("/a/", &["./b", "./b/c"]));
        assert_eq!(of(&["/a/b/c", "/a/b"]), own("/a/", &["./b/c", "./b"]));
        assert_eq!(of(&["/one", "/two"]), own("/", &["./one", "./two"]));
        assert_eq!(of(&["./-rf", "./a/b"]), own("./", &["./-rf", "./a/b"]));
        assert_eq!(of(&[]), own("./", &[]));
    }

    #[test]
    fn a_name_that_only_begins_like_another_does_not_match() {
        let paths = RequestPaths::new([&b"/a/b"[..], b"/a/bc"].into_iter());
        assert!(!paths.matches(b"./b", b"/a/bc"));
        assert!(!paths.matches(b"b", b"/a/b"));
    }
}
