//! Why the device refuses a rename, as far as SFTP shows it.

use engine::ports::device::{DeviceFailure, FileFaultKind};
use model::{RelativePath, SourcePath};

use super::SftpFiles;
use crate::pipeline::in_order;
use crate::script::{anchored, device_path};

/// The mode bit of a folder in which users may remove only their own files.
const STICKY: u32 = 0o1000;

/// SFTP shows only the sticky bit, and only if the login is known.
pub(super) async fn causes(
    sftp: &SftpFiles,
    source: &SourcePath,
    paths: &[RelativePath],
) -> Result<Vec<Option<FileFaultKind>>, DeviceFailure> {
    let Some(user) = sftp.user.filter(|user| *user != 0) else {
        return Ok(vec![None; paths.len()]);
    };
    let requests = paths.iter().flat_map(|path| {
        let folder = path.parent().map(|folder| device_path(source, &folder));
        let folder = folder.unwrap_or_else(|| anchored(source.as_bytes()));
        [device_path(source, path), folder]
    });
    let requests = requests.map(|path| {
        let files = sftp.client.clone();
        async move { files.stat(&path).await }
    });
    let requests: Vec<_> = requests.collect();
    let attributes = in_order(requests).await;
    let mut causes = Vec::with_capacity(paths.len());
    for attributes in attributes.chunks(2) {
        causes.push(match attributes {
            [Ok(file), Ok(folder)] => {
                let is_sticky = folder.permissions.is_some_and(|mode| mode & STICKY != 0);
                let is_foreign = |it: &sftp::Attributes| it.owner.is_some_and(|owner| owner.user != user);
                let protects = is_sticky && is_foreign(file) && is_foreign(folder);
                protects.then_some(FileFaultKind::Sticky)
            }
            [Err(error), _] | [_, Err(error)] if error.status().is_none() => {
                return Err(sftp.failures.of_sftp(error).await);
            }
            _ => None,
        });
    }
    Ok(causes)
}
