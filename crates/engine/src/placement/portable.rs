//! Names that SMB servers and Windows take.

/// Replaces what they refuse: reserved characters, control characters, bytes that are no UTF-8, a dot or blank at the end, and
/// the names of DOS devices. Two names may become one: then the rule for conflicts holds.
pub(super) fn component(component: &[u8]) -> Vec<u8> {
    let mut portable = Vec::with_capacity(component.len());
    for chunk in component.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if byte < 0x20 || byte == 0x7f || b"<>:\"|?*\\".contains(&byte) {
                push_percent(&mut portable, byte);
            } else {
                portable.push(byte);
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|byte| push_percent(&mut portable, *byte));
    }
    if let Some(last @ (b'.' | b' ')) = portable.last().copied() {
        portable.pop();
        push_percent(&mut portable, last);
    }
    // A device is meant by what stands before the first dot, whatever follows.
    let stem = portable
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(portable.len());
    if portable.get(..stem).is_some_and(names_device) {
        portable.insert(stem, b'~');
    }
    portable
}

fn push_percent(name: &mut Vec<u8>, byte: u8) {
    name.extend_from_slice(format!("%{byte:02X}").as_bytes());
}

/// As in "Naming Files, Paths, and Namespaces" of Windows, which counts ports with superscript digits too. Blanks at the end do
/// not matter.
fn names_device(stem: &[u8]) -> bool {
    let stem = stem.trim_ascii_end().to_ascii_lowercase();
    let number = stem.strip_prefix(b"com").or_else(|| stem.strip_prefix(b"lpt"));
    let is_port = match number {
        Some([b'1'..=b'9']) => true,
        Some(number) => ["\u{b9}", "\u{b2}", "\u{b3}"]
            .iter()
            .any(|digit| digit.as_bytes() == number),
        None => false,
    };
    is_port || matches!(&stem[..], b"con" | b"prn" | b"aux" | b"nul")
}
