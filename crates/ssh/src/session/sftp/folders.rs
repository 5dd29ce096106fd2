//! Folders that gleaner makes on a device.

use std::collections::{HashMap, HashSet};

use engine::ports::device::{DeviceFailure, Move};
use model::{RelativePath, SourcePath};
use sftp::StatusCode;

use super::{SftpFiles, is_missing};
use crate::pipeline::in_order;
use crate::script::device_path;

/// Only the login user may enter folders that gleaner makes.
const FOLDER_PERMISSIONS: u32 = 0o700;
/// Folders remembered as made. Beyond that, all are forgotten and made again, which is harmless.
const MAX_REMEMBERED: usize = 20_000;

/// Folders that could not be made, and why.
pub(super) type Refusals = HashMap<Vec<u8>, sftp::Error>;

impl SftpFiles {
    /// Makes these folders, outermost first. Returns whether the last one was made.
    pub(in crate::session) async fn make_nested(
        &self,
        source: &SourcePath,
        folders: &[RelativePath],
    ) -> Result<bool, DeviceFailure> {
        let requests = folders.iter().map(|folder| {
            let (client, folder) = (self.client.clone(), device_path(source, folder));
            async move { client.mkdir(&folder, FOLDER_PERMISSIONS).await }
        });
        let made = in_order(requests.collect::<Vec<_>>()).await;
        match made.into_iter().next_back() {
            Some(Err(error)) if error.status().is_none() => Err(self.failures.of_sftp(&error).await),
            Some(made) => Ok(made.is_ok()),
            None => Ok(false),
        }
    }

    /// Makes the folders of all targets, outermost first. Returns those that do not exist and cannot be made.
    ///
    /// All requests are sent at once, in order. A server that does not keep the order fails some of them,
    /// which are repeated.
    pub(super) async fn make_folders(
        &self,
        source: &SourcePath,
        moves: &[Move],
    ) -> Result<Refusals, DeviceFailure> {
        let missing = self.folders_to_make(source, moves);
        let mut refusals = Refusals::new();
        for _ in 0..2 {
            let requests: Vec<_> = missing
                .iter()
                .map(|folder| {
                    let (files, folder) = (self.client.clone(), folder.clone());
                    async move { files.mkdir(&folder, FOLDER_PERMISSIONS).await }
                })
                .collect();
            refusals.clear();
            for (result, folder) in in_order(requests).await.into_iter().zip(&missing) {
                match result {
                    Err(error) if error.status().is_none() => {
                        return Err(self.failures.of_sftp(&error).await);
                    }
                    // Version 3 has no better status for a folder that exists.
                    Ok(())
                    | Err(sftp::Error::Status {
                        code: StatusCode::Failure,
                        ..
                    }) => {}
                    Err(error) => drop(refusals.insert(folder.clone(), error)),
                }
            }
            let is_in_order = !refusals.values().any(is_missing);
            if is_in_order {
                break;
            }
        }
        let mut made = self.made_folders.lock();
        if made.len() + missing.len() > MAX_REMEMBERED {
            made.clear();
        }
        made.extend(
            missing
                .into_iter()
                .filter(|folder| !refusals.contains_key(folder)),
        );
        Ok(refusals)
    }

    fn folders_to_make(&self, source: &SourcePath, moves: &[Move]) -> Vec<Vec<u8>> {
        let made = self.made_folders.lock();
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        for step in moves {
            let mut outwards = Vec::new();
            let mut folder = step.to.parent();
            while let Some(path) = folder {
                let whole = device_path(source, &path);
                if made.contains(&whole) || !seen.insert(whole.clone()) {
                    break;
                }
                outwards.push(whole);
                folder = path.parent();
            }
            missing.extend(outwards.into_iter().rev());
        }
        missing
    }

    /// A removed folder has to be made again.
    pub(in crate::session) fn forget_folders(&self, source: &SourcePath, paths: &[RelativePath]) {
        let mut made = self.made_folders.lock();
        for path in paths {
            made.remove(&device_path(source, path));
        }
    }
}
