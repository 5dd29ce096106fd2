//! Paths of withdrawn files on a device, and their original paths. Pure.
//!
//! A file `<folder>/<rest>` is withdrawn to `<folder>/.gleaner-withdrawn/<ledger id>/<batch>/<rest>`.
//! `<folder>` is the source itself or, if a rename to there fails (another file system), the file's own
//! folder. The current path therefore contains the original one: a lost ledger loses no name.

use model::names::WITHDRAWN_FOLDER;
use model::{BatchId, LedgerId, NameError, RelativePath};

/// The parts of the path of a withdrawn file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnPath {
    /// The id of the ledger. Unchecked: any process may create such folders.
    pub ledger: Vec<u8>,
    /// The id of the batch. Unchecked.
    pub batch: Vec<u8>,
    /// The path that the file had before.
    pub original: RelativePath,
}

/// The folder in the source that the files of a batch are moved to.
pub fn batch_folder(ledger: &LedgerId, batch: &BatchId) -> Result<RelativePath, NameError> {
    RelativePath::new(
        [
            WITHDRAWN_FOLDER,
            b"/",
            ledger.as_str().as_bytes(),
            b"/",
            batch.as_str().as_bytes(),
        ]
        .concat(),
    )
}

/// The path of a withdrawn file in the source's own withdrawn folder.
pub fn in_source(
    ledger: &LedgerId,
    batch: &BatchId,
    original: &RelativePath,
) -> Result<RelativePath, NameError> {
    let path = batch_folder(ledger, batch)?.join(original);
    RelativePath::new(path.as_bytes())
}

/// The path of a withdrawn file in its own folder, for a file that cannot be renamed to the source's.
pub fn beside(
    ledger: &LedgerId,
    batch: &BatchId,
    original: &RelativePath,
) -> Result<RelativePath, NameError> {
    let name = RelativePath::new(original.file_name())?;
    let below = batch_folder(ledger, batch)?.join(&name);
    let path = match original.parent() {
        Some(folder) => folder.join(&below),
        None => below,
    };
    RelativePath::new(path.as_bytes())
}

/// The path of a withdrawn file under a hidden name in its own folder. Used if no folder can be created
/// there, for example on a full device.
pub fn hidden(
    ledger: &LedgerId,
    batch: &BatchId,
    original: &RelativePath,
) -> Result<RelativePath, NameError> {
    let name = [
        HIDDEN_PREFIX,
        ledger.as_str().as_bytes(),
        b"~",
        batch.as_str().as_bytes(),
        b"~",
        original.file_name(),
    ];
    let name = RelativePath::new(name.concat())?;
    match original.parent() {
        Some(folder) => RelativePath::new(folder.join(&name).as_bytes()),
        None => Ok(name),
    }
}

/// The beginning of a hidden name. Ids of ledgers and batches contain no `~`.
const HIDDEN_PREFIX: &[u8] = b".gleaner-withdrawn~";

fn parse_hidden(path: &RelativePath) -> Option<WithdrawnPath> {
    let rest = path.file_name().strip_prefix(HIDDEN_PREFIX)?;
    let mut parts = rest.splitn(3, |byte| *byte == b'~');
    let (ledger, batch) = (parts.next()?.to_vec(), parts.next()?.to_vec());
    let name = RelativePath::new(parts.next()?).ok()?;
    let original = match path.parent() {
        Some(folder) => folder.join(&name),
        None => name,
    };
    Some(WithdrawnPath {
        ledger,
        batch,
        original,
    })
}

/// Parses the path of a withdrawn file. `None` for any other path, and for the withdrawn folders themselves.
pub fn parse(path: &RelativePath) -> Option<WithdrawnPath> {
    let components: Vec<&[u8]> = path.components().collect();
    if !components.contains(&WITHDRAWN_FOLDER) {
        return parse_hidden(path);
    }
    let at = components
        .iter()
        .position(|component| *component == WITHDRAWN_FOLDER)?;
    let folder = components.get(..at)?;
    let ledger = components.get(at + 1)?;
    let batch = components.get(at + 2)?;
    let rest = components.get(at + 3..).filter(|rest| !rest.is_empty())?;
    let original = [folder, rest].concat().join(&b'/');
    Some(WithdrawnPath {
        ledger: ledger.to_vec(),
        batch: batch.to_vec(),
        original: RelativePath::new(original).ok()?,
    })
}

/// The original path of a file, given its current one.
pub(crate) fn original_of(current_path: &RelativePath) -> RelativePath {
    parse(current_path).map_or_else(|| current_path.clone(), |withdrawn| withdrawn.original)
}

/// The ledger id in the path of a withdrawn file or folder. `None` for the folder that all collectors share,
/// and for paths outside.
pub fn ledger_of(path: &RelativePath) -> Option<&[u8]> {
    let mut below = path
        .components()
        .skip_while(|component| *component != WITHDRAWN_FOLDER);
    match below.next() {
        Some(_) => below.next(),
        None => path
            .file_name()
            .strip_prefix(HIDDEN_PREFIX)?
            .split(|byte| *byte == b'~')
            .next(),
    }
}

/// Whether this is the empty file that a trial of leases leaves on a device after a crash.
pub fn is_left_by_trial(path: &RelativePath) -> bool {
    parse_hidden(path)
        .is_some_and(|parsed| parsed.ledger == b"lease" && parsed.original.file_name() == b"own")
}

/// Whether a path is a withdrawn file, or is in (or is) the withdrawn folder of any collector.
pub fn is_within(path: &RelativePath) -> bool {
    path.components().any(|component| component == WITHDRAWN_FOLDER) || parse_hidden(path).is_some()
}

/// The folders that a withdrawn file may leave empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// The folders of its batch, innermost first. No other batch uses them.
    pub batch: Vec<RelativePath>,
    /// The folders above these, innermost first: the ledger's, and the withdrawn folder itself. Other batches
    /// use them too.
    pub shared: Vec<RelativePath>,
}

/// The folders that a removal from a withdrawn folder may leave empty.
pub fn folders_of(current_path: &RelativePath) -> Folders {
    let mut folders = Folders::default();
    let mut folder = current_path.parent();
    while let Some(current) = folder.filter(is_within) {
        let depth = current
            .components()
            .rev()
            .take_while(|component| *component != WITHDRAWN_FOLDER)
            .count();
        folder = current.parent();
        if depth >= 2 {
            folders.batch.push(current);
        } else {
            folders.shared.push(current);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelativePath {
        RelativePath::new(text).unwrap()
    }

    #[test]
    fn the_original_path_follows_from_the_withdrawn_path() {
        let (ledger, batch) = (LedgerId::new("0a1b").unwrap(), BatchId::new("p-1").unwrap());
        for original in ["a.np", "day/set/a.np"] {
            for current_path in [
                in_source(&ledger, &batch, &path(original)),
                beside(&ledger, &batch, &path(original)),
                hidden(&ledger, &batch, &path(original)),
            ] {
                let parsed = parse(&current_path.unwrap()).unwrap();
                assert_eq!(
                    (parsed.original, &parsed.ledger[..], &parsed.batch[..]),
                    (path(original), &b"0a1b"[..], &b"p-1"[..])
                );
            }
        }
        assert_eq!(parse(&path(".gleaner-withdrawn/0a1b/p-1")), None);
        assert_eq!(parse(&path("day/a.np")), None);
    }

    #[test]
    fn every_kind_of_withdrawn_path_names_its_ledger() {
        let (ledger, batch) = (LedgerId::new("0a1b").unwrap(), BatchId::new("p-1").unwrap());
        for build in [in_source, beside, hidden] {
            let current_path = build(&ledger, &batch, &path("day/a.np")).unwrap();
            assert_eq!(ledger_of(&current_path), Some(&b"0a1b"[..]), "{current_path}");
        }
        for path_without_ledger in ["day/.gleaner-withdrawn", "day/a.np"] {
            assert_eq!(ledger_of(&path(path_without_ledger)), None);
        }
    }

    #[test]
    fn a_leftover_of_a_lease_trial_is_not_a_recording() {
        let left = path("day/.gleaner-withdrawn~lease~4711~own");
        assert!(is_within(&left) && is_left_by_trial(&left));
        assert!(!is_left_by_trial(&path("day/.gleaner-withdrawn~0a1b~4711~own")));
    }

    #[test]
    fn a_path_in_a_withdrawn_folder_names_its_ledger() {
        for (current_path, owner) in [
            (".gleaner-withdrawn/0a1b", Some(&b"0a1b"[..])),
            ("usb/.gleaner-withdrawn/0a1b/p-1/day/a.np", Some(b"0a1b")),
            (".gleaner-withdrawn", None),
            ("day/set/a.np", None),
        ] {
            assert_eq!(ledger_of(&path(current_path)), owner, "{current_path}");
        }
    }

    #[test]
    fn only_withdrawn_folders_are_tidied() {
        let folders = folders_of(&path("usb/.gleaner-withdrawn/l/p/day/a.np"));
        assert_eq!(
            folders.batch,
            [
                path("usb/.gleaner-withdrawn/l/p/day"),
                path("usb/.gleaner-withdrawn/l/p")
            ]
        );
        assert_eq!(
            folders.shared,
            [path("usb/.gleaner-withdrawn/l"), path("usb/.gleaner-withdrawn")]
        );
        assert_eq!(folders_of(&path("day/a.np")), Folders::default());
    }
}
