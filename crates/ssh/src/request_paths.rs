//! How a request names many files: a folder that all of them are in, and what each is called from there.
//!
//! A file is named in five requests and two answers, and lies in a folder of ours that is four deep: with its whole path each time, 10,000 small files took 8 MB more
//! in all.

/// The folder that all files of a request are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPaths {
    folder: Vec<u8>,
}

/// So that no program takes a name for an option.
const RELATIVE: &[u8] = b"./";

impl RequestPaths {
    /// The innermost folder of all these paths, each of which has a slash, as [`crate::script::anchored`] makes them.
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

    /// What a file is called in the request and in the answer.
    pub(crate) fn name(&self, path: &[u8]) -> Vec<u8> {
        [RELATIVE, self.relative(path)].concat()
    }

    /// Whether the answer speaks of this file.
    pub(crate) fn matches(&self, name: &[u8], path: &[u8]) -> bool {
        name.strip_prefix(RELATIVE) == Some(self.relative(path))
    }

    /// The arguments of a request: names, each ended by NUL.
    pub(crate) fn arguments<'a>(&self, paths: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        paths
            .flat_map(|path| RELATIVE.iter().chain(self.relative(path)).copied().chain([0]))
            .collect()
    }

    fn relative<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.strip_prefix(self.folder.as_slice()).unwrap_or(path)
    }
}

/// Up to the last slash, and with it.
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
    fn files_are_named_from_the_innermost_folder_that_all_are_in() {
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
    fn a_name_that_only_begins_like_another_is_another() {
        let paths = RequestPaths::new([&b"/a/b"[..], b"/a/bc"].into_iter());
        assert!(!paths.matches(b"./b", b"/a/bc"));
        assert!(!paths.matches(b"b", b"/a/b"));
    }
}
