//! Lists a source by the shell, or by SFTP.

use engine::ports::device::{DeviceFailure, ListingEnd, SurveySender};
use model::{FailureClass, SourcePath};
use sftp::StatusCode;

use super::SshSession;
use super::files::{Files as _, Listing};
use super::shell::ShellFiles;
use super::views::{ListedBy, MAX_COMPARISONS, SftpView, view_by_sftp};
use crate::script::anchored;

/// The message for a source that only the shell sees.
const NOT_FOR_SFTP: &str = "does not exist for the device's SFTP server, which shows other folders than its shell: write `source` as `sftp` shows it";

impl SshSession {
    pub(super) async fn list(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> Result<ListingEnd, DeviceFailure> {
        let Some(shell) = self.shell().filter(|shell| shell.lists()) else {
            return self.list_by_sftp(source, items).await;
        };
        self.views.note_listing(source, ListedBy::Shell);
        let mut listing = shell.list(source, items.clone()).await?;
        // The discarded listing may be what SFTP shows after all.
        if matches!(listing, Listing::Doubtful) && self.is_same_view(shell, source).await? {
            listing = shell.list(source, items.clone()).await?;
        }
        match listing {
            Listing::Ended(end) => Ok(end),
            Listing::Doubtful => self.list_by_sftp(source, items).await,
            Listing::Inaccessible if self.is_visible_by_sftp_only(source).await? => {
                self.list_by_sftp(source, items).await
            }
            Listing::Inaccessible => Err(self.why_inaccessible(source).await),
        }
    }

    async fn list_by_sftp(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> Result<ListingEnd, DeviceFailure> {
        self.views.note_listing(source, ListedBy::Sftp);
        match self.sftp.list(source, items).await? {
            Listing::Ended(end) => Ok(end),
            Listing::Inaccessible | Listing::Doubtful => Err(self.why_inaccessible(source).await),
        }
    }

    /// Compares both until they agree, or until one did not change while the other differs. Notes a
    /// difference.
    async fn is_same_view(&self, shell: &ShellFiles, source: &SourcePath) -> Result<bool, DeviceFailure> {
        let folder = anchored(source.as_bytes());
        // The folder itself, even if its name is a link's.
        let within = [&folder, &b"/."[..]].concat();
        let mut before = shell.modified(&within).await?;
        for _ in 0..MAX_COMPARISONS {
            let by_sftp = view_by_sftp(&self.sftp.client, &folder).await;
            let after = shell.modified(&within).await?;
            let (Some(first), Some(second)) = (before, after) else {
                break;
            };
            if by_sftp.is(first) || by_sftp.is(second) {
                break;
            }
            if by_sftp == SftpView::Missing || first == second {
                self.views.note_difference(source);
                return Ok(false);
            }
            before = after;
        }
        // A folder that changes all the time cannot be compared: the trial decides.
        self.views.note_agreement(source);
        Ok(true)
    }

    /// Whether SFTP shows a folder where the shell has none. Notes the difference.
    async fn is_visible_by_sftp_only(&self, source: &SourcePath) -> Result<bool, DeviceFailure> {
        if !self.views.is_unseen_by_shell(source) {
            return Ok(false);
        }
        match self.sftp.client.stat(&anchored(source.as_bytes())).await {
            Ok(attributes) if attributes.is_directory() => {
                self.views.note_difference(source);
                Ok(true)
            }
            Err(error) if error.status().is_none() => Err(self.failures.of_sftp(&error).await),
            Ok(_) | Err(_) => Ok(false),
        }
    }

    /// Why a source cannot be listed.
    async fn why_inaccessible(&self, source: &SourcePath) -> DeviceFailure {
        let path = anchored(source.as_bytes());
        let (class, problem) = match self.sftp.client.stat(&path).await {
            Ok(attributes) if attributes.is_directory() => {
                (FailureClass::Permission, "cannot be listed".to_owned())
            }
            Ok(_) => (FailureClass::SourceMissing, "is not a folder".to_owned()),
            Err(error) => match error.status() {
                None => return self.failures.of_sftp(&error).await,
                Some(StatusCode::NoSuchFile) if self.views.differ() => {
                    (FailureClass::SourceMissing, NOT_FOR_SFTP.to_owned())
                }
                Some(StatusCode::NoSuchFile) => (FailureClass::SourceMissing, "does not exist".to_owned()),
                Some(StatusCode::PermissionDenied) => {
                    (FailureClass::Permission, "cannot be reached".to_owned())
                }
                Some(code) => (FailureClass::Permission, format!("cannot be inspected: {code}")),
            },
        };
        // The session continues: another source may be fine.
        DeviceFailure::new(class, format!("the source {source} {problem}"))
    }
}
