//! Escapes names for display.

use std::fmt::Write;

/// Escapes untrusted bytes for a terminal, a log or JSON.
///
/// Printable UTF-8 is unchanged. Control characters (including terminal escape codes), direction overrides
/// and bytes that are not UTF-8 become `\n`, `\r`, `\t`, `\xHH` or `\u{…}`. A backslash is doubled, so that
/// the result is unambiguous and [`unescaped`] restores the bytes.
pub fn escaped(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_character(&mut shown, character);
        }
        for byte in chunk.invalid() {
            push_byte(&mut shown, *byte);
        }
    }
    shown
}

fn push_character(shown: &mut String, character: char) {
    match character {
        '\\' => shown.push_str("\\\\"),
        '\n' => shown.push_str("\\n"),
        '\r' => shown.push_str("\\r"),
        '\t' => shown.push_str("\\t"),
        _ if is_displayable(character) => shown.push(character),
        _ if character.is_ascii() => push_byte(shown, u8::try_from(character).unwrap_or(b'?')),
        _ => push_formatted(shown, format_args!("\\u{{{:x}}}", u32::from(character))),
    }
}

/// Whether the character may be shown unchanged. Control characters move the cursor; format characters
/// (direction overrides, zero-width characters, line separators) make one name look like another.
fn is_displayable(character: char) -> bool {
    let deceives = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !character.is_control() && !deceives
}

fn push_byte(shown: &mut String, byte: u8) {
    push_formatted(shown, format_args!("\\x{byte:02x}"));
}

fn push_formatted(shown: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    shown.write_fmt(text).unwrap_or_default();
}

/// Restores the bytes that [`escaped`] escaped; `None` if the text contains an invalid escape.
pub fn unescaped(shown: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(shown.len());
    let mut rest = shown.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next()? {
            '\\' => bytes.push(b'\\'),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'x' => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).ok()?);
            }
            'u' => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let point = u32::from_str_radix(&digits, 16).ok()?;
                bytes.extend_from_slice(char::from_u32(point)?.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_code_in_a_name_never_reaches_the_terminal() {
        assert_eq!(escaped(b"a\x1b[2Jb\r\n"), "a\\x1b[2Jb\\r\\n");
        assert_eq!(escaped("\u{202e}gpj.exe".as_bytes()), "\\u{202e}gpj.exe");
    }

    #[test]
    fn every_name_is_restored_from_its_escaped_form() {
        for name in [
            &b"plain.jpg"[..],
            b"\xff\xfe\\x41",
            "B\u{fc}ne \u{1f41d}\u{200b}".as_bytes(),
            b"a\nb\tc\\",
            b"\x7f\x00\x01",
        ] {
            assert_eq!(unescaped(&escaped(name)).as_deref(), Some(name));
        }
    }
}
