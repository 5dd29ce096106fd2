//! Where withdrawn files lie on a device, and what they were called. Pure.
//!
//! A file `<folder>/<rest>` lies at `<folder>/.gleaner-withdrawn/<ledger id>/<pass>/<rest>`, where `<folder>` is the source itself or,
//! where a rename to there fails (another file system), the file's own folder. So the original path of whatever lies there can
//! be told from its place alone: a lost ledger loses no name.

use model::names::WITHDRAWN_FOLDER;
use model::{BatchId, LedgerId, NameError, RelativePath};

/// What the path of a withdrawn file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnPath {
    /// Whose it is; not checked to be an admissible id, since anyone may make folders.
    pub ledger: Vec<u8>,
    /// The batch.
    pub pass: Vec<u8>,
    /// The path that the file had.
    pub original: RelativePath,
}

/// Where in the source a batch's files are put.
pub fn batch_folder(ledger: &LedgerId, pass: &BatchId) -> Result<RelativePath, NameError> {
    RelativePath::new(
        [
            WITHDRAWN_FOLDER,
            b"/",
            ledger.as_str().as_bytes(),
            b"/",
            pass.as_str().as_bytes(),
        ]
        .concat(),
    )
}

/// Where a file is put, in the source's own withdrawn folder.
pub fn in_source(
    ledger: &LedgerId,
    pass: &BatchId,
    original: &RelativePath,
) -> Result<RelativePath, NameError> {
    let path = batch_folder(ledger, pass)?.join(original);
    RelativePath::new(path.as_bytes())
}

/// Where a file is put that cannot be renamed to there: beside itself.
pub fn beside(ledger: &LedgerId, pass: &BatchId, original: &RelativePath) -> Result<RelativePath, NameError> {
    let name = RelativePath::new(original.file_name())?;
    let below = batch_folder(ledger, pass)?.join(&name);
    let path = match original.parent() {
        Some(folder) => folder.join(&below),
        None => below,
    };
    RelativePath::new(path.as_bytes())
}

/// Where a file is put when no folder can be made, on a device that is full: beside itself, under a hidden name.
pub fn hidden(ledger: &LedgerId, pass: &BatchId, original: &RelativePath) -> Result<RelativePath, NameError> {
    let name = [
        HIDDEN_PREFIX,
        ledger.as_str().as_bytes(),
        b"~",
        pass.as_str().as_bytes(),
        b"~",
        original.file_name(),
    ];
    let name = RelativePath::new(name.concat())?;
    match original.parent() {
        Some(folder) => RelativePath::new(folder.join(&name).as_bytes()),
        None => Ok(name),
    }
}

/// Begins the name of a file that is withdrawn without a folder. Ids of ledgers and passes have no `~`.
const HIDDEN_PREFIX: &[u8] = b".gleaner-withdrawn~";

fn parse_hidden(path: &RelativePath) -> Option<WithdrawnPath> {
    let rest = path.file_name().strip_prefix(HIDDEN_PREFIX)?;
    let mut parts = rest.splitn(3, |byte| *byte == b'~');
    let (ledger, pass) = (parts.next()?.to_vec(), parts.next()?.to_vec());
    let name = RelativePath::new(parts.next()?).ok()?;
    let original = match path.parent() {
        Some(folder) => folder.join(&name),
        None => name,
    };
    Some(WithdrawnPath {
        ledger,
        pass,
        original,
    })
}

/// Reads the path of something that may lie in a withdrawn folder; `None` for what does not, and for the folders
/// themselves.
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
    let pass = components.get(at + 2)?;
    let rest = components.get(at + 3..).filter(|rest| !rest.is_empty())?;
    let original = [folder, rest].concat().join(&b'/');
    Some(WithdrawnPath {
        ledger: ledger.to_vec(),
        pass: pass.to_vec(),
        original: RelativePath::new(original).ok()?,
    })
}

/// The original path of a file, wherever it lies.
pub(crate) fn original_of(current_path: &RelativePath) -> RelativePath {
    parse(current_path).map_or_else(|| current_path.clone(), |withdrawn| withdrawn.original)
}

/// Whose withdrawn folder a path lies in, or is; or whose a file is that was withdrawn without one. None for the folder that all use.
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

/// Whether this is what a trial of leases on a device leaves if a crash ends it: an empty file.
pub fn is_left_by_trial(path: &RelativePath) -> bool {
    parse_hidden(path)
        .is_some_and(|parsed| parsed.ledger == b"lease" && parsed.original.file_name() == b"own")
}

/// Whether a path lies in (or is) a withdrawn folder of whomever.
pub fn is_within(path: &RelativePath) -> bool {
    path.components().any(|component| component == WITHDRAWN_FOLDER) || parse_hidden(path).is_some()
}

/// The folders that a withdrawn file may leave empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// Those of its batch, innermost first: nothing else uses them.
    pub batch: Vec<RelativePath>,
    /// Those above, innermost first: the one of the ledger, and the withdrawn folder itself. Other batches use them too.
    pub shared: Vec<RelativePath>,
}

/// The folders that something in a withdrawn folder may leave empty.
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
    fn a_withdrawn_file_tells_its_original_path() {
        let (ledger, pass) = (LedgerId::new("0a1b").unwrap(), BatchId::new("p-1").unwrap());
        for original in ["a.np", "day/set/a.np"] {
            for current_path in [
                in_source(&ledger, &pass, &path(original)),
                beside(&ledger, &pass, &path(original)),
                hidden(&ledger, &pass, &path(original)),
            ] {
                let parsed = parse(&current_path.unwrap()).unwrap();
                assert_eq!(
                    (parsed.original, &parsed.ledger[..], &parsed.pass[..]),
                    (path(original), &b"0a1b"[..], &b"p-1"[..])
                );
            }
        }
        assert_eq!(parse(&path(".gleaner-withdrawn/0a1b/p-1")), None);
        assert_eq!(parse(&path("day/a.np")), None);
    }

    #[test]
    fn whose_a_withdrawn_file_is_can_be_told_wherever_it_was_put() {
        let (ledger, pass) = (LedgerId::new("0a1b").unwrap(), BatchId::new("p-1").unwrap());
        for put in [in_source, beside, hidden] {
            let current_path = put(&ledger, &pass, &path("day/a.np")).unwrap();
            assert_eq!(ledger_of(&current_path), Some(&b"0a1b"[..]), "{current_path}");
        }
        for nobodys in ["day/.gleaner-withdrawn", "day/a.np"] {
            assert_eq!(ledger_of(&path(nobodys)), None);
        }
    }

    #[test]
    fn what_a_trial_of_leases_may_leave_is_no_recording() {
        let left = path("day/.gleaner-withdrawn~lease~4711~own");
        assert!(is_within(&left) && is_left_by_trial(&left));
        assert!(!is_left_by_trial(&path("day/.gleaner-withdrawn~0a1b~4711~own")));
    }

    #[test]
    fn what_lies_in_a_withdrawn_folder_tells_whose_it_is() {
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
