//! Names that SMB servers and Windows accept.

/// Escapes what SMB servers and Windows refuse: reserved characters, control characters, bytes that are not
/// UTF-8, a dot or space at the end, and the names of DOS devices.
///
/// Two names may become the same one. Then the rule for conflicts applies.
pub(super) fn escape(component: &[u8]) -> Vec<u8> {
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
    // The part before the first dot names a DOS device, whatever follows.
    let stem = portable
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(portable.len());
    if portable.get(..stem).is_some_and(names_dos_device) {
        portable.insert(stem, b'~');
    }
    portable
}

fn push_percent(name: &mut Vec<u8>, byte: u8) {
    name.extend_from_slice(format!("%{byte:02X}").as_bytes());
}

/// Whether the part before the first dot names a DOS device. Trailing spaces do not matter.
///
/// Source: "Naming Files, Paths, and Namespaces" of the Windows documentation. It also lists ports with
/// superscript digits.
fn names_dos_device(stem: &[u8]) -> bool {
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
