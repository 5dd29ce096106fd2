//! The names of partial files.

use model::Digest;

/// The name of a partial file: `<key>.<flushed ranges>.<token>`. The token distinguishes files of one key:
/// one that an abandoned job still writes, and its successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartialName {
    pub(crate) key: Digest,
    /// Ranges that were flushed and read back.
    pub(crate) ranges: u64,
    pub(crate) token: String,
}

impl PartialName {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        format!("{}.{}.{}", self.key, self.ranges, self.token).into_bytes()
    }

    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let mut parts = text.split('.');
        let (key, ranges, token) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let read = Self {
            key: Digest::from_hex(key.as_bytes())?,
            ranges: ranges.parse().ok()?,
            token: token.to_owned(),
        };
        // A name in any other form would stand for another file, which might be removed in its place.
        (read.to_bytes() == name).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_name_parses_as_rendered_and_nothing_else_does() {
        let name = PartialName {
            key: Digest::from_bytes([0xab; 32]),
            ranges: 17,
            token: "00ff-1".to_owned(),
        };
        assert_eq!(PartialName::parse(&name.to_bytes()), Some(name.clone()));
        let key = name.key.to_hex();
        for other in [
            "",
            "a.1.b",
            &key,
            &format!("{key}.1"),
            &format!("{key}.+1.a"),
            &format!("{key}.1.a.b"),
            // Parsed as our own names, these would be the names of other files.
            &format!("{key}.01.a"),
            &format!("{}.1.a", key.to_uppercase()),
        ] {
            assert_eq!(PartialName::parse(other.as_bytes()), None, "{other}");
        }
    }
}
