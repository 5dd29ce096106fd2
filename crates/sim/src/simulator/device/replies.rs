//! How a device replies to requests.

use std::collections::BTreeSet;

use bytes::Bytes;
use engine::ports::{DeviceFacts, DigestRequest, Entry, EntryKind, Openness, SurveyItem};
use model::{Digest, Identity, RelativePath, Timestamp};
use sha2::{Digest as _, Sha256};

use super::DeviceState;

impl DeviceState {
    pub(in crate::simulator) fn facts(&self) -> DeviceFacts {
        let tells = self.abilities.tells_time;
        DeviceFacts {
            clock: tells.then(|| self.now()),
            boot_id: tells.then(|| format!("boot-{}", self.boot)),
            uptime: tells.then(|| self.uptime()),
            disks: Vec::new(),
            folders: Vec::new(),
        }
    }

    pub(in crate::simulator) fn listing(&self) -> Vec<Vec<u8>> {
        let files = self.files().map(|(path, _)| path.clone());
        files.chain(self.folders().cloned()).collect()
    }

    pub(in crate::simulator) fn entry(
        &self,
        path: &[u8],
        open: Option<&BTreeSet<u64>>,
    ) -> Option<SurveyItem> {
        if self.faults.hides(path) {
            return None;
        }
        let relative = match RelativePath::new(path) {
            Ok(relative) => relative,
            Err(error) => return Some(SurveyItem::Refused(path.escape_ascii().to_string(), error)),
        };
        if self
            .faults
            .unlistable
            .is_some_and(|folder| path == folder.as_bytes())
        {
            return Some(SurveyItem::Unlistable(relative));
        }
        let (kind, identity, openness) = match self.file(path) {
            Some((inode, file)) => (
                EntryKind::File,
                self.identity(inode, file),
                self.listed(open, inode),
            ),
            None if self.has_folder(path) => (EntryKind::Folder, folder_identity(), Openness::Unknown),
            // Removed since it was listed.
            None => return None,
        };
        Some(SurveyItem::Entry(Entry {
            path: relative,
            kind,
            identity,
            openness,
        }))
    }

    pub(in crate::simulator) fn read(&mut self, inode: u64, at: usize, length: usize) -> (Bytes, usize) {
        let Some(file) = self.node(inode) else {
            return (Bytes::new(), 0);
        };
        let size = file.bytes.len().saturating_sub(self.faults.withholds);
        let end = (at + length).min(size);
        let mut piece = file.bytes.get(at..end).unwrap_or_default().to_vec();
        if self.wrong_reads > 0
            && let Some(byte) = piece.first_mut()
        {
            *byte ^= 0x80;
            self.wrong_reads -= 1;
        }
        (piece.into(), size)
    }

    pub(in crate::simulator) fn digest(&mut self, request: &DigestRequest) -> Option<Digest> {
        self.requests.digested.push((request.offset, request.length));
        if self.faults.cannot_digest {
            return None;
        }
        if self.wrong_digests > 0 {
            self.wrong_digests -= 1;
            return Some(Digest::from_bytes([7; 32]));
        }
        let (_, file) = self.file(request.path.as_bytes())?;
        let from = usize::try_from(request.offset).ok()?.min(file.bytes.len());
        let end = match request.length {
            Some(length) => (from + usize::try_from(length).ok()?).min(file.bytes.len()),
            None => file.bytes.len(),
        };
        let bytes = file.bytes.get(from..end).unwrap_or_default();
        Some(Digest::from_bytes(Sha256::digest(bytes).into()))
    }
}

/// An entry for a file that does not exist.
pub(in crate::simulator) fn invented(name: &str, modified: Timestamp) -> Option<SurveyItem> {
    let identity = Identity {
        device_number: Some(1),
        inode: Some(1),
        size: 1,
        modified,
        changed: Some(modified),
    };
    Some(SurveyItem::Entry(Entry {
        path: RelativePath::new(name).ok()?,
        kind: EntryKind::File,
        identity,
        openness: Openness::Closed,
    }))
}

fn folder_identity() -> Identity {
    Identity {
        device_number: Some(1),
        inode: None,
        size: 0,
        modified: Timestamp::from_seconds(0),
        changed: None,
    }
}
