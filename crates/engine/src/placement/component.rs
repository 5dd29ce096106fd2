//! One component of a name in the store: its extension, and room for a digest.

use model::Digest;

/// `stem~<digits of the digest>.ext`, with the stem trimmed so that the whole fits in `max` bytes.
pub(super) fn insert_digest(component: &[u8], digest: &Digest, digits: usize, max: usize) -> Vec<u8> {
    let hex = digest.to_hex();
    let mark = [b"~", hex.as_bytes().get(..digits).unwrap_or_default()].concat();
    let (stem, extension) = split_extension(component);
    // An extension that leaves no room for the mark is treated as part of the stem.
    let (stem, extension) = if extension.len() + mark.len() >= max / 2 {
        (component, &b""[..])
    } else {
        (stem, extension)
    };
    let room = max.saturating_sub(mark.len() + extension.len());
    [trim(stem, room), &mark, extension].concat()
}

/// At most `length` bytes of a name. A UTF-8 name is not cut inside a character.
fn trim(name: &[u8], length: usize) -> &[u8] {
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

/// The name up to its last dot, and the rest with the dot. A leading dot marks a hidden file, not an
/// extension.
pub(super) fn split_extension(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, b""),
    }
}
