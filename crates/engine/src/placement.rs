//! Where a file of a device belongs in the store. Pure.

mod portable;

use std::borrow::Cow;

use model::names::CONTROL_FOLDER;
use model::{DeviceName, Digest, NameError, RelativePath, SourcePath, Timestamp};
use sha2::{Digest as _, Sha256};

/// A name in the store, as a sequence of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The parts, in order; what they give together is divided at slashes.
    pub parts: Vec<LayoutPart>,
}

/// A part of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayoutPart {
    /// Text as written.
    Literal(String),
    /// The name of the device.
    Device,
    /// The last component of the source.
    Source,
    /// The whole path below the source.
    Path,
    /// The folder part of the path; nothing (and no slash) where the file lies in the source itself.
    Folder,
    /// The last component of the path.
    Name,
    /// The last component up to its last dot.
    Stem,
    /// What follows the last dot of the last component; empty where there is none.
    Extension,
    /// The time of last modification in UTC, in strftime form.
    Modified(String),
}

/// Which names the store takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// Any bytes but NUL and slash.
    Bytes,
    /// Only what SMB and Windows take: other bytes become `%XX`.
    Portable,
}

/// What placing a file depends on.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The device it comes from.
    pub device: &'a DeviceName,
    /// The source it lay in.
    pub source: &'a SourcePath,
    /// Its original path.
    pub path: &'a RelativePath,
    /// When it was last modified.
    pub modified: Timestamp,
    /// The digest of its content.
    pub digest: &'a Digest,
}

/// The longest file name that Linux file systems take, in bytes (`NAME_MAX`).
const MAX_COMPONENT_LENGTH: usize = 255;

/// The name that a file gets if nothing stands in its way.
///
/// Depends on nothing but its arguments: a pass that is repeated finds the same name. Fails only where the layout gives an
/// inadmissible path, one that is too long for example.
pub fn place(layout: &Layout, names: NameRule, subject: &Subject<'_>) -> Result<RelativePath, NameError> {
    let mut path = Vec::new();
    for part in &layout.parts {
        append_part(&mut path, part, subject);
    }
    let mut name = Vec::with_capacity(path.len());
    // An empty part leaves no empty component: `{folder}/{name}` at the top of a source is just the name.
    for component in path
        .split(|byte| *byte == b'/')
        .filter(|component| !component.is_empty())
    {
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(&admissible_component(component, names, subject.digest));
    }
    RelativePath::new(name)
}

fn append_part(path: &mut Vec<u8>, part: &LayoutPart, subject: &Subject<'_>) {
    let name = || subject.path.file_name();
    match part {
        LayoutPart::Literal(text) => path.extend_from_slice(text.as_bytes()),
        LayoutPart::Device => path.extend_from_slice(subject.device.as_str().as_bytes()),
        LayoutPart::Source => path.extend_from_slice(subject.source.folder_name()),
        LayoutPart::Path => path.extend_from_slice(subject.path.as_bytes()),
        LayoutPart::Folder => {
            path.extend_from_slice(subject.path.folder().unwrap_or_default());
        }
        LayoutPart::Name => path.extend_from_slice(name()),
        LayoutPart::Stem => path.extend_from_slice(split_extension(name()).0),
        LayoutPart::Extension => {
            path.extend_from_slice(split_extension(name()).1.get(1..).unwrap_or_default());
        }
        LayoutPart::Modified(format) => {
            path.extend_from_slice(formatted_time(subject.modified, format).as_bytes());
        }
    }
}

/// The format is checked when the configuration is read; what still cannot be formatted becomes the seconds since 1970.
fn formatted_time(time: Timestamp, format: &str) -> String {
    let formatted = jiff::Timestamp::from_second(time.seconds())
        .map_err(drop)
        .and_then(|time| {
            jiff::fmt::strtime::format(format, &time.to_zoned(jiff::tz::TimeZone::UTC)).map_err(drop)
        });
    formatted.unwrap_or_else(|()| time.seconds().to_string())
}

fn admissible_component<'c>(component: &'c [u8], names: NameRule, digest: &Digest) -> Cow<'c, [u8]> {
    let mut component = match names {
        NameRule::Bytes => Cow::Borrowed(component),
        NameRule::Portable => Cow::Owned(portable::component(component)),
    };
    // Of a name such as `..np`, a layout may take the stem alone, which is a dot.
    if names_control_folder(&component) || matches!(&component[..], b"." | b"..") {
        component.to_mut().push(b'~');
    }
    if component.len() > MAX_COMPONENT_LENGTH {
        Cow::Owned(with_digest(&component, digest, 8))
    } else {
        component
    }
}

/// Whether some file system would take this component for the control folder: case folded, trailing dots and spaces
/// stripped as Windows and SMB do.
fn names_control_folder(component: &[u8]) -> bool {
    let end = component
        .iter()
        .rposition(|byte| !matches!(byte, b'.' | b' '))
        .map_or(0, |last| last + 1);
    component
        .get(..end)
        .is_some_and(|stem| stem.eq_ignore_ascii_case(CONTROL_FOLDER))
}

/// Which name to try next after one was in the way. Starts at the name that [`place`] gave.
///
/// What follows depends on nothing but content and name. A file whose name is taken becomes `stem~<8 hex of
/// its digest>.ext`, then 16, then all 64. A folder that is obstructed gives way to one that carries as many
/// digits of a digest of its own path: the same one for all files in it. So a pass that is repeated arrives
/// at the same name, finds the same content there, and does no harm.
#[derive(Debug, Clone)]
pub struct Candidates {
    components: Vec<Vec<u8>>,
    /// For each component: how many digits it carries.
    digits: Vec<usize>,
    digest: Digest,
}

impl Candidates {
    /// Begins with a name.
    pub fn new(name: &RelativePath, digest: Digest) -> Self {
        let components: Vec<Vec<u8>> = name.components().map(<[u8]>::to_vec).collect();
        Self {
            digits: vec![0; components.len()],
            components,
            digest,
        }
    }

    /// The name to try now.
    pub fn current(&self) -> Result<RelativePath, NameError> {
        self.up_to(self.components.len().saturating_sub(1))
    }

    /// The folder at `depth` (0 is the outermost) of the name to try now.
    pub fn folder(&self, depth: usize) -> Result<RelativePath, NameError> {
        self.up_to(depth)
    }

    fn up_to(&self, depth: usize) -> Result<RelativePath, NameError> {
        let parts = self.components.iter().zip(&self.digits).enumerate();
        let dressed = parts
            .take(depth.saturating_add(1))
            .map(|(at, (component, digits))| match *digits {
                0 => component.clone(),
                digits if at + 1 == self.components.len() => with_digest(component, &self.digest, digits),
                digits => with_digest(component, &self.digest_of_path(at), digits),
            });
        RelativePath::new(dressed.collect::<Vec<_>>().join(&b'/'))
    }

    /// Of the path of the folder at `depth`, as it was before anything was in the way.
    fn digest_of_path(&self, depth: usize) -> Digest {
        let path = self.components.get(..=depth).unwrap_or_default().join(&b'/');
        Digest::from_bytes(Sha256::digest(path).into())
    }

    /// Goes on after the last component was taken by other content. `false`: nothing is left to try.
    pub fn after_taken(&mut self) -> bool {
        self.after(self.components.len().saturating_sub(1))
    }

    /// Goes on after the component at `depth` turned out to be no folder. `false`: nothing is left to try.
    pub fn after_obstructed(&mut self, depth: usize) -> bool {
        self.after(depth)
    }

    fn after(&mut self, depth: usize) -> bool {
        let Some(digits) = self.digits.get_mut(depth) else {
            return false;
        };
        *digits = match digits {
            0 => 8,
            8 => 16,
            16 => 64,
            _ => return false,
        };
        true
    }
}

/// `stem~<digits of the digest>.ext`, with the stem trimmed so that the whole fits in 255 bytes.
fn with_digest(component: &[u8], digest: &Digest, digits: usize) -> Vec<u8> {
    let hex = digest.to_hex();
    let mark = [b"~", hex.as_bytes().get(..digits).unwrap_or_default()].concat();
    let (stem, extension) = split_extension(component);
    // An extension that leaves no room for the mark is no extension.
    let (stem, extension) = if extension.len() + mark.len() >= MAX_COMPONENT_LENGTH / 2 {
        (component, &b""[..])
    } else {
        (stem, extension)
    };
    let room = MAX_COMPONENT_LENGTH.saturating_sub(mark.len() + extension.len());
    [trimmed(stem, room), &mark, extension].concat()
}

/// At most `length` bytes of a name, not ending inside a character where the name is UTF-8.
fn trimmed(name: &[u8], length: usize) -> &[u8] {
    if name.len() <= length {
        return name;
    }
    let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let whole_character = (length.saturating_sub(3)..=length)
        .rev()
        .find(|end| name.get(*end).is_some_and(|byte| !is_continuation(*byte)))
        .unwrap_or(length);
    name.get(..whole_character).unwrap_or_default()
}

/// The name up to its last dot, and the rest with the dot. A dot at the beginning makes a hidden file, no extension.
fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::from_bytes([0xab; 32])
    }

    fn placed(parts: Vec<LayoutPart>, names: NameRule, path: &[u8]) -> String {
        let subject = Subject {
            device: &DeviceName::new("raspberry7").unwrap(),
            source: &SourcePath::new("/home/pi/beephotos").unwrap(),
            path: &RelativePath::new(path).unwrap(),
            modified: Timestamp::from_seconds(1_700_000_000),
            digest: &digest(),
        };
        place(&Layout { parts }, names, &subject).unwrap().to_string()
    }

    fn standard() -> Vec<LayoutPart> {
        vec![
            LayoutPart::Device,
            LayoutPart::Literal("/".into()),
            LayoutPart::Path,
        ]
    }

    #[test]
    fn a_file_is_placed_by_its_layout() {
        assert_eq!(
            placed(standard(), NameRule::Bytes, b"day/a.np"),
            "raspberry7/day/a.np"
        );
        let by_day = vec![
            LayoutPart::Source,
            LayoutPart::Literal("/".into()),
            LayoutPart::Modified("%Y/%m-%d".into()),
            LayoutPart::Literal("/".into()),
            LayoutPart::Device,
            LayoutPart::Literal("-".into()),
            LayoutPart::Stem,
            LayoutPart::Literal(".".into()),
            LayoutPart::Extension,
        ];
        assert_eq!(
            placed(by_day, NameRule::Bytes, b"x/a.b.np"),
            "beephotos/2023/11-14/raspberry7-a.b.np"
        );
        let flat = vec![
            LayoutPart::Folder,
            LayoutPart::Literal("/".into()),
            LayoutPart::Name,
        ];
        assert_eq!(placed(flat.clone(), NameRule::Bytes, b"a"), "a");
        assert_eq!(placed(flat, NameRule::Bytes, b"f/a"), "f/a");
    }

    #[test]
    fn no_component_names_the_control_folder() {
        let path_only = vec![LayoutPart::Path];
        for (name, expected) in [
            (&b".gleaner/x"[..], ".gleaner~/x"),
            (b".GLEANER. ./x", ".GLEANER. .~/x"),
            (b".gleaner-other/x", ".gleaner-other/x"),
        ] {
            assert_eq!(placed(path_only.clone(), NameRule::Bytes, name), expected);
        }
    }

    #[test]
    fn a_part_of_dots_is_never_all_that_a_layout_takes_from_a_name() {
        let by_extension = vec![
            LayoutPart::Extension,
            LayoutPart::Literal("/".into()),
            LayoutPart::Stem,
        ];
        assert_eq!(placed(by_extension.clone(), NameRule::Bytes, b"..np"), "np/.~");
        assert_eq!(placed(by_extension.clone(), NameRule::Bytes, b"...np"), "np/..~");
        assert_eq!(placed(by_extension, NameRule::Portable, b"..np"), "np/%2E");
    }

    #[test]
    fn portable_names_hold_nothing_that_smb_refuses() {
        for (name, expected) in [
            (&b"a:b?.jpg"[..], "raspberry7/a%3Ab%3F.jpg"),
            (b"aux.txt", "raspberry7/aux~.txt"),
            (b"NUL", "raspberry7/NUL~"),
            (b"con .tar.gz", "raspberry7/con ~.tar.gz"),
            ("COM\u{b2}".as_bytes(), "raspberry7/COM\u{b2}~"),
            (b"com10.txt", "raspberry7/com10.txt"),
            (b"end. ", "raspberry7/end.%20"),
            (b"\xff\n", "raspberry7/%FF%0A"),
        ] {
            assert_eq!(placed(standard(), NameRule::Portable, name), expected);
        }
    }

    #[test]
    fn a_conflict_is_named_after_the_content_alone() {
        let mut candidates = Candidates::new(&RelativePath::new("d/photo.tar.gz").unwrap(), digest());
        assert_eq!(candidates.current().unwrap().to_string(), "d/photo.tar.gz");
        assert!(candidates.after_taken());
        assert_eq!(
            candidates.current().unwrap().to_string(),
            "d/photo.tar~abababab.gz"
        );
        assert!(candidates.after_taken());
        assert!(candidates.after_taken());
        assert_eq!(
            candidates.current().unwrap().to_string(),
            format!("d/photo.tar~{}.gz", "ab".repeat(32))
        );
        assert!(!candidates.after_taken());
        assert!(!candidates.after_obstructed(9));
    }

    #[test]
    fn an_obstructed_folder_gives_way_to_one_for_all_of_its_files() {
        let replaced = |name: &str, digest: u8| {
            let name = RelativePath::new(name).unwrap();
            let mut candidates = Candidates::new(&name, Digest::from_bytes([digest; 32]));
            assert!(candidates.after_obstructed(1));
            candidates.current().unwrap().to_string()
        };
        let (one, other) = (replaced("r1/day.d/a", 1), replaced("r1/day.d/b/c", 2));
        let folder = one.strip_suffix("/a").unwrap();
        assert!(folder.starts_with("r1/day~"), "{folder}");
        assert_eq!(other, format!("{folder}/b/c"));
        // One of the same name elsewhere is another.
        assert_ne!(replaced("r2/day.d/a", 1).replacen("r2", "r1", 1), one);
    }

    #[test]
    fn a_hidden_file_has_no_extension() {
        let mut candidates = Candidates::new(&RelativePath::new("d/.hidden").unwrap(), digest());
        assert!(candidates.after_taken());
        assert_eq!(candidates.current().unwrap().to_string(), "d/.hidden~abababab");
    }

    #[test]
    fn a_name_that_just_fits_stays_as_it_is() {
        let name = "x".repeat(255);
        assert_eq!(
            placed(vec![LayoutPart::Path], NameRule::Bytes, name.as_bytes()),
            name
        );
    }

    #[test]
    fn a_conflict_name_never_grows_beyond_what_file_systems_take() {
        for name in [
            [b"x".repeat(251), b".jpg".to_vec()].concat(),
            "\u{1f41d}".repeat(63).into_bytes(),
            [b"a.".to_vec(), b"e".repeat(253)].concat(),
        ] {
            let mut candidates = Candidates::new(&RelativePath::new(name.clone()).unwrap(), digest());
            while candidates.after_taken() {
                let current = candidates.current().unwrap();
                assert!(current.as_bytes().len() <= 255, "{current}");
                assert_eq!(
                    std::str::from_utf8(&name).is_ok(),
                    std::str::from_utf8(current.as_bytes()).is_ok()
                );
            }
        }
        assert_eq!(
            placed(standard(), NameRule::Portable, &b"?".repeat(200)).len(),
            "raspberry7/".len() + 255
        );
    }
}
