//! Removes by SFTP: one request for each file or folder, a thousand of them in flight.

use engine::ports::device::{DeviceFailure, FileFault};
use model::{RelativePath, SourcePath};

use super::fault::fault;
use super::{SftpFiles, is_missing};
use crate::pipeline::in_order;
use crate::script::device_path;

impl SftpFiles {
    /// A missing file counts as removed.
    pub(super) async fn remove_each(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Result<(), FileFault>>, DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (files, path) = (self.client.clone(), device_path(source, path));
                async move { files.remove(&path).await }
            })
            .collect();
        let mut results = Vec::with_capacity(paths.len());
        for result in in_order(requests).await {
            results.push(match result {
                Ok(()) => Ok(()),
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) => match fault(&error) {
                    Some(fault) => Err(fault),
                    None => return Err(self.failures.of_sftp(&error).await),
                },
            });
        }
        Ok(results)
    }

    /// Removes folders that are empty.
    pub(in crate::session) async fn remove_each_folder(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<(), DeviceFailure> {
        let requests: Vec<_> = paths
            .iter()
            .map(|path| {
                let (files, path) = (self.client.clone(), device_path(source, path));
                async move { files.rmdir(&path).await }
            })
            .collect();
        for result in in_order(requests).await {
            if let Err(error) = result
                && error.status().is_none()
            {
                return Err(self.failures.of_sftp(&error).await);
            }
        }
        Ok(())
    }
}
