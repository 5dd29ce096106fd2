//! Why the device refuses a rename. SFTP has one status for an unwritable folder, for a file that the sticky
//! bit protects, and for an immutable file. Each has its own remedy.

use engine::ports::device::{DeviceFailure, FileFault, FileFaultKind, Move};
use model::{RelativePath, SourcePath};

use super::SshSession;
use super::inspect::{beginning_of, portions};
use crate::pipeline::in_order;
use crate::request_paths::RequestPaths;
use crate::script::anchored;
use crate::shell_channel::{ShellError, ShellPool};

/// The most files to find the cause for. The rest of a batch keeps SFTP's status, and the next sweep asks
/// about them.
const MAX_EXPLAINED: usize = 1024;
/// The mode bit of a folder in which users may remove only their own files.
const STICKY: u32 = 0o1000;

impl SshSession {
    /// Replaces SFTP's status in the results of these moves by the cause, where it can be found.
    pub(super) async fn find_causes(
        &self,
        source: &SourcePath,
        moves: &[Move],
        results: &mut [Result<(), FileFault>],
    ) -> Result<(), DeviceFailure> {
        let refused = moves
            .iter()
            .zip(results)
            .filter_map(|(step, result)| match result {
                Err(fault) if fault.kind == FileFaultKind::Permission => Some((&step.from, fault)),
                _ => None,
            });
        let refused: Vec<(&RelativePath, &mut FileFault)> = refused.take(MAX_EXPLAINED).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let paths: Vec<RelativePath> = refused.iter().map(|(path, _)| (*path).clone()).collect();
        let causes = match self.shell().filter(|_| self.has_perl) {
            Some(pool) => match self.causes_by_script(pool, source, &paths).await {
                Ok(causes) => causes,
                Err(error) => return Err(self.shell_lost(error).await),
            },
            None => self.causes_by_sftp(source, &paths).await?,
        };
        for ((_, fault), cause) in refused.into_iter().zip(causes) {
            if let Some(kind) = cause {
                fault.kind = kind;
            }
        }
        Ok(())
    }

    async fn causes_by_script(
        &self,
        pool: &ShellPool,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<FileFaultKind>>, ShellError> {
        let mut channel = pool.acquire().await?;
        let end = format!("\n{}\n", channel.tag());
        let mut causes = Vec::with_capacity(paths.len());
        for names in portions(paths.iter().map(|path| Self::path(source, path))) {
            let request_paths = RequestPaths::new(names.iter().map(Vec::as_slice));
            let arguments = request_paths.arguments(names.iter().map(Vec::as_slice));
            channel.request("causes", &request_paths, &arguments).await?;
            let answer = channel.read_until(end.as_bytes()).await?;
            if answer.len() > names.len() {
                return Err(ShellError::Unexpected(beginning_of(&answer)));
            }
            let replies = answer.iter().map(|letter| cause(*letter));
            // A perl that was killed has sent fewer replies.
            causes.extend(replies.chain(std::iter::repeat(None)).take(names.len()));
        }
        channel.put_back();
        Ok(causes)
    }

    /// SFTP shows only the sticky bit, and only if the login is known.
    async fn causes_by_sftp(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> Result<Vec<Option<FileFaultKind>>, DeviceFailure> {
        let Some(user) = self.login.user.filter(|user| *user != 0) else {
            return Ok(vec![None; paths.len()]);
        };
        let requests = paths.iter().flat_map(|path| {
            let folder = path.parent().map(|folder| Self::path(source, &folder));
            let folder = folder.unwrap_or_else(|| anchored(source.as_bytes()));
            [Self::path(source, path), folder]
        });
        let requests = requests.map(|path| {
            let files = self.files.clone();
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
                    return Err(self.lost(error).await);
                }
                _ => None,
            });
        }
        Ok(causes)
    }
}

fn cause(letter: u8) -> Option<FileFaultKind> {
    match letter {
        b'i' => Some(FileFaultKind::Immutable),
        b't' => Some(FileFaultKind::Sticky),
        b'w' => Some(FileFaultKind::FolderUnwritable),
        _ => None,
    }
}
