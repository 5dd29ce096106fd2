//! Printing bytes from the other side safely.

use std::fmt;

/// Shows bytes as text. Unprintable characters and invalid UTF-8 are escaped, so that a name or message from
/// a server cannot move a terminal's cursor or forge a log line.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\'' | '"' => write!(formatter, "{character}")?,
                    _ => write!(formatter, "{}", character.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(formatter, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn control_characters_and_stray_bytes_are_escaped_and_letters_are_not() {
        let shown = Escaped(b"K\xc3\xbcche's \x1b[2J\n\\\xff").to_string();
        assert_eq!(shown, "Küche's \\u{1b}[2J\\n\\\\\\xff");
    }
}
