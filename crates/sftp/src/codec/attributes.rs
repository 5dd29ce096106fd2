//! The ATTRS structure of version 3.

use bytes::{BufMut, Bytes, BytesMut};

use super::Malformed;
use super::wire::{Cursor, put_string};

const SIZE: u32 = 0x1;
const OWNER: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const TIMES: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;

const FILE_TYPE: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

/// Attributes of a file. Each may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Size in bytes.
    pub size: Option<u64>,
    /// Numeric owner.
    pub owner: Option<OwnerIds>,
    /// Type and permission bits as in `st_mode`. The draft leaves the type bits open; every server in use
    /// sends them.
    pub permissions: Option<u32>,
    /// Access and modification time.
    pub times: Option<FileTimes>,
    /// Pairs of name and data.
    pub extended: Vec<(Bytes, Bytes)>,
}

/// Numeric owner of a file. The wire format has both numbers or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerIds {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// Times of a file, in whole seconds since 1970. The wire format has both or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTimes {
    /// Last access.
    pub accessed: u32,
    /// Last modification.
    pub modified: u32,
}

impl Attributes {
    /// Whether the server reports a regular file; false if it reports no type.
    pub fn is_file(&self) -> bool {
        self.is_of_type(REGULAR_FILE)
    }

    /// Whether the server reports a directory; false if it reports no type.
    pub fn is_directory(&self) -> bool {
        self.is_of_type(DIRECTORY)
    }

    /// Whether the server reports a symbolic link; false if it reports no type.
    pub fn is_symbolic_link(&self) -> bool {
        self.is_of_type(SYMBOLIC_LINK)
    }

    fn is_of_type(&self, kind: u32) -> bool {
        self.permissions.is_some_and(|mode| mode & FILE_TYPE == kind)
    }

    pub(super) fn put(&self, buffer: &mut BytesMut) {
        let flag = |present: bool, flag: u32| if present { flag } else { 0 };
        buffer.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES)
                | flag(!self.extended.is_empty(), EXTENDED),
        );
        if let Some(size) = self.size {
            buffer.put_u64(size);
        }
        if let Some(owner) = self.owner {
            buffer.put_u32(owner.user);
            buffer.put_u32(owner.group);
        }
        if let Some(permissions) = self.permissions {
            buffer.put_u32(permissions);
        }
        if let Some(times) = self.times {
            buffer.put_u32(times.accessed);
            buffer.put_u32(times.modified);
        }
        if !self.extended.is_empty() {
            buffer.put_u32(u32::try_from(self.extended.len()).unwrap_or(u32::MAX));
            for (name, data) in &self.extended {
                put_string(buffer, name);
                put_string(buffer, data);
            }
        }
    }

    pub(super) fn take(cursor: &mut Cursor) -> Result<Self, Malformed> {
        let flags = cursor.u32("attribute flags")?;
        if flags & !(SIZE | OWNER | PERMISSIONS | TIMES | EXTENDED) != 0 {
            return Err(Malformed::AttributeFlags { flags });
        }
        let mut attributes = Self::default();
        if flags & SIZE != 0 {
            attributes.size = Some(cursor.u64("size")?);
        }
        if flags & OWNER != 0 {
            attributes.owner = Some(OwnerIds {
                user: cursor.u32("owner")?,
                group: cursor.u32("group")?,
            });
        }
        if flags & PERMISSIONS != 0 {
            attributes.permissions = Some(cursor.u32("permissions")?);
        }
        if flags & TIMES != 0 {
            let (accessed, modified) = (cursor.u32("access time")?, cursor.u32("modification time")?);
            attributes.times = Some(FileTimes { accessed, modified });
        }
        if flags & EXTENDED != 0 {
            for _ in 0..cursor.count("count of extended attributes", 8)? {
                attributes.extended.push((
                    cursor.name("extended attribute")?,
                    cursor.name("extended attribute")?,
                ));
            }
        }
        Ok(attributes)
    }
}
