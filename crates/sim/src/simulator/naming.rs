//! Names in the store, names on devices, and how one follows from the other.

/// How the store names files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// `{device}/{path}`.
    #[default]
    ByDevice,
    /// `{path}`: the devices share all names.
    Together,
}

impl Naming {
    pub(in crate::simulator) fn name(self, device: usize, path: &[u8]) -> Vec<u8> {
        match self {
            Self::ByDevice => [device_name(device).as_bytes(), b"/", path].concat(),
            Self::Together => path.to_vec(),
        }
    }
}

/// The one source of every device.
pub const SOURCE: &str = "/photos";

/// The name of a device of the fleet.
pub fn device_name(number: usize) -> String {
    format!("bee{number}")
}

/// A store name without the marks of gleaner: `~`, alone or followed by digits of a digest.
pub(in crate::simulator) fn without_marks(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut left = name;
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first != b'~' {
            plain.push(*first);
            continue;
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if matches!(digits, 8 | 16 | 64) {
            left = rest.get(digits..).unwrap_or_default();
        }
    }
    plain
}

/// The path of a file before it was withdrawn.
pub(in crate::simulator) fn original_path(path: &[u8]) -> Vec<u8> {
    let relative = model::RelativePath::new(path).ok();
    let withdrawn = relative.and_then(|path| engine::withdrawn::parse(&path));
    withdrawn.map_or_else(
        || path.to_vec(),
        |withdrawn| withdrawn.original.as_bytes().to_vec(),
    )
}

pub(in crate::simulator) fn is_withdrawn_folder(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|component| component == model::names::WITHDRAWN_FOLDER)
}
