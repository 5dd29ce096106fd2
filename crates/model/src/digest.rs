//! SHA-256 digests, which `sha256sum` and every archive can check.

use std::fmt;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 hexadecimal digits, of either case; `None` for any other text.
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        text.iter().all(u8::is_ascii_hexdigit).then_some(Self(bytes))
    }

    /// The digest as 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles
            .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
            .collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

/// The digest of one range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeDigest {
    /// The offset of the range in the file, in bytes.
    pub offset: u64,
    /// The length of the range in bytes.
    pub length: u64,
    /// The SHA-256 of these bytes.
    pub digest: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_hexadecimal_digits_are_parsed_as_a_digest() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            Digest::from_hex(text.as_bytes())
                .map(|digest| digest.to_hex())
                .as_deref(),
            Some(text)
        );
        assert!(Digest::from_hex(&text.as_bytes()[1..]).is_none());
        assert!(Digest::from_hex(text.replace("e3", "+3").as_bytes()).is_none());
        assert!(Digest::from_hex(text.replace("e3", "g3").as_bytes()).is_none());
    }
}
