//! Names in the store: whatever name a device gives a file, its name in the store is admissible and does not
//! change.

use engine::placement::{Layout, NameRule, StoreNames, Subject, place};
use engine::withdrawn::{beside, hidden, in_source, is_within, parse};
use model::{BatchId, DeviceName, Digest, LedgerId, NameError, RelativePath, SourcePath, Timestamp};

use crate::input::Input;

/// Every Linux file system refuses longer names.
const MAX_PART: usize = 255;
/// Every system call refuses longer paths.
const MAX_PATH: usize = 4096;
/// Deeper trees are folders that contain themselves.
const MAX_FOLDERS: usize = 127;

/// Four lines: the layout, beginning with `p` for portable names; the device; the source; the time of
/// modification in seconds. The rest is the path on the device.
pub(crate) fn hold(input: &[u8]) {
    let mut input = Input(input);
    let names = match input.byte() {
        b'p' => NameRule::Portable,
        _ => NameRule::Bytes,
    };
    let layout = input.text();
    let (device, source) = (DeviceName::new(input.text()), SourcePath::new(input.line()));
    let modified = Timestamp::from_seconds(input.text().parse().unwrap_or(1_700_000_000));
    shown_and_read_back(input.0);
    let Some(path) = admitted(input.0) else { return };
    withdrawn_and_found_again(&path);
    let Ok(layout) = gleaner::config::layout::Layout::parse(&layout) else {
        return;
    };
    let (Ok(device), Ok(source)) = (device, source) else {
        return;
    };
    let layout = Layout {
        parts: layout.parts().to_vec(),
    };
    let digests = [[0xab; 32], [0xcd; 32]].map(Digest::from_bytes);
    let [first, second] = digests.map(|digest| {
        let subject = Subject {
            device: &device,
            source: &source,
            path: &path,
            modified,
            digest: &digest,
            max_component: MAX_PART,
        };
        let name = place(&layout, names, &subject);
        assert_eq!(
            name,
            place(&layout, names, &subject),
            "placed differently the second time"
        );
        name.map(|name| candidates(&name, names, digest))
    });
    assert_eq!(
        first.is_ok(),
        second.is_ok(),
        "having a name depends on the content"
    );
    match (first, second) {
        (Ok(first), Ok(second)) => {
            // The last candidate contains the whole digest.
            let (first, second) = (first.last().unwrap(), second.last().unwrap());
            assert!(
                first != second || first.as_ref().is_err_and(|error| is_too_much(*error)),
                "two contents under one name"
            );
        }
        (Err(error), _) | (_, Err(error)) => assert!(is_too_much(error), "{path} has no name: {error}"),
    }
}

/// Checks without the code under test: a path is admitted if all of its parts are, and they are not too many.
fn admitted(path: &[u8]) -> Option<RelativePath> {
    let fit = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    let has_bounds = path.len() <= MAX_PATH && folders_in(path) <= MAX_FOLDERS;
    let should_be = has_bounds && path.split(|byte| *byte == b'/').all(fit);
    let path = RelativePath::new(path).ok();
    assert_eq!(path.is_some(), should_be);
    let path = path?;
    let joined = match path.parent() {
        Some(folder) => folder.join(&RelativePath::new(path.file_name()).unwrap()),
        None => RelativePath::new(path.file_name()).unwrap(),
    };
    assert_eq!(joined, path);
    Some(path)
}

/// A shown name moves no cursor, forges no line, and can be read back.
fn shown_and_read_back(name: &[u8]) {
    let shown = model::escaped(name);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert_eq!(model::escape::unescaped(&shown).as_deref(), Some(name));
}

/// A withdrawn file is found again under its original name.
fn withdrawn_and_found_again(path: &RelativePath) {
    parse(path);
    if is_within(path) {
        return;
    }
    let ledger = LedgerId::new("0123456789abcdef").unwrap();
    let pass = BatchId::new("20231114-1-0").unwrap();
    let places = [
        in_source(&ledger, &pass, path),
        beside(&ledger, &pass, path),
        hidden(&ledger, &pass, path),
    ];
    for place in places {
        let Ok(place) = place else {
            let (length, folders) = (path.as_bytes().len(), folders_in(path.as_bytes()));
            assert!(
                length > MAX_PATH - 200 || folders > MAX_FOLDERS - 3,
                "{path} cannot be withdrawn"
            );
            continue;
        };
        assert!(is_within(&place), "{place}");
        assert!(place.as_bytes().len() <= MAX_PATH && folders_in(place.as_bytes()) <= MAX_FOLDERS);
        let found = parse(&place).unwrap();
        assert_eq!(found.original, *path);
        assert_eq!(
            (&found.ledger[..], &found.batch[..]),
            (ledger.as_str().as_bytes(), pass.as_str().as_bytes())
        );
    }
}

/// All names that are tried in turn for a file whose last path component is always taken.
fn candidates(name: &RelativePath, names: NameRule, digest: Digest) -> Vec<Result<RelativePath, NameError>> {
    let mut candidates = StoreNames::new(name, digest, MAX_PART);
    let mut tried = vec![candidates.current()];
    while candidates.advance_name() {
        tried.push(candidates.current());
    }
    assert_eq!((tried.len(), tried[0].as_ref()), (4, Ok(name)));
    // A file is in the place of a folder.
    let mut obstructed = StoreNames::new(name, digest, MAX_PART);
    if name.parent().is_some() {
        assert!(obstructed.advance_folder(0));
        match obstructed.current() {
            Ok(obstructed) => admissible(&obstructed, names),
            Err(error) => assert!(is_too_much(error), "{error}"),
        }
    }
    for (at, candidate) in tried.iter().enumerate() {
        match candidate {
            Ok(candidate) => {
                admissible(candidate, names);
                // A shortened name contains a part of the digest even before there is a conflict.
                let earlier = &tried[..at.saturating_sub(1)];
                assert!(
                    !earlier.contains(&Ok(candidate.clone())),
                    "{candidate} is tried twice"
                );
            }
            Err(error) => assert!(is_too_much(*error), "{error}"),
        }
    }
    tried
}

/// Valid parts may form an invalid path, but only because it is too long or too deep.
fn is_too_much(error: NameError) -> bool {
    matches!(error, NameError::TooLong | NameError::TooDeep)
}

fn folders_in(path: &[u8]) -> usize {
    path.split(|byte| *byte == b'/').count() - 1
}

/// A name that is allowed in the store.
fn admissible(name: &RelativePath, names: NameRule) {
    assert!(name.as_bytes().len() <= MAX_PATH && folders_in(name.as_bytes()) <= MAX_FOLDERS);
    for part in name.as_bytes().split(|byte| *byte == b'/') {
        assert!((1..=MAX_PART).contains(&part.len()), "{name}");
        assert!(!matches!(part, b"." | b"..") && !part.contains(&0), "{name}");
        let text = String::from_utf8_lossy(part).to_lowercase();
        assert_ne!(text.trim_end_matches(['.', ' ']), ".gleaner", "{name}");
        if names == NameRule::Portable {
            portable(part, &text);
        }
    }
}

/// The rules of Windows' "Naming Files, Paths, and Namespaces".
fn portable(part: &[u8], folded: &str) {
    let text = std::str::from_utf8(part).unwrap();
    assert!(
        !text.contains(['<', '>', ':', '"', '|', '?', '*', '\\']),
        "{text}"
    );
    assert!(!text.chars().any(|c| c < ' '), "{text:?}");
    assert!(!text.ends_with(['.', ' ']), "{text:?}");
    let stem = folded.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let mut number = numbered.unwrap_or_default().chars();
    let is_port = matches!(
        (number.next(), number.next()),
        (Some('1'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'), None)
    );
    assert!(
        !matches!(stem, "con" | "prn" | "aux" | "nul") && !is_port,
        "{text} is a device name of Windows"
    );
}
