//! What both ways to the files of a device have in common: the shell's and SFTP's.

use engine::ports::device::{
    ConfirmResult, DeviceFailure, DigestRequest, FileFault, FileFaultKind, InspectResult, ListingEnd, Move,
    SurveySender,
};
use model::{Digest, FailureClass, Identity, RelativePath, SourcePath};

/// One way to the files of a device. `None` in a result: this way leaves the item undone.
pub(super) trait Files {
    /// Lists a source into `items`.
    fn list(
        &self,
        source: &SourcePath,
        items: SurveySender,
    ) -> impl Future<Output = Result<Listing, DeviceFailure>> + Send;

    /// Inspects files.
    fn inspect(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Option<InspectResult>>, DeviceFailure>> + Send;

    /// Checks that files are unchanged.
    fn confirm(
        &self,
        source: &SourcePath,
        files: &[(RelativePath, Identity)],
    ) -> impl Future<Output = Result<Vec<Option<ConfirmResult>>, DeviceFailure>> + Send;

    /// Renames files. Renames nothing if there is a required folder that does not exist.
    fn rename(
        &self,
        source: &SourcePath,
        moves: &[Move],
        required_folder: Option<&RelativePath>,
    ) -> impl Future<Output = Result<Vec<Option<Renamed>>, DeviceFailure>> + Send;

    /// Finds out why the device refuses to rename files.
    fn causes(
        &self,
        source: &SourcePath,
        paths: &[RelativePath],
    ) -> impl Future<Output = Result<Vec<Option<FileFaultKind>>, DeviceFailure>> + Send;

    /// Removes files, then empty folders.
    fn remove(
        &self,
        source: &SourcePath,
        removals: &[Removal],
    ) -> impl Future<Output = Result<Vec<Option<Result<(), FileFault>>>, DeviceFailure>> + Send;

    /// Digests files on the device.
    fn digest(
        &self,
        source: &SourcePath,
        requests: &[DigestRequest],
    ) -> impl Future<Output = Result<Vec<Option<Digest>>, DeviceFailure>> + Send;
}

/// How a listing ended.
pub(super) enum Listing {
    /// All of it was sent on, or as much as can be.
    Ended(ListingEnd),
    /// The source cannot be entered.
    Inaccessible,
    /// SFTP may show other folders in its place. Nothing was sent on.
    Doubtful,
}

/// The result of a rename, with the inspection under the new name where one was made with it.
pub(super) type Renamed = Result<Option<InspectResult>, FileFault>;

/// What to remove.
#[derive(Debug, Clone)]
pub(super) enum Removal {
    File(RelativePath),
    /// Only if it is empty.
    Folder(RelativePath),
}

/// What the script does not do, SFTP does: completes the results of the first way by those of another, which
/// is asked only about the items that the first has left. Fails if both leave an item undone.
pub(super) async fn complete<T: Clone, R, F>(
    items: &[T],
    done: Vec<Option<R>>,
    otherwise: impl FnOnce(Vec<T>) -> F,
) -> Result<Vec<R>, DeviceFailure>
where
    F: Future<Output = Result<Vec<Option<R>>, DeviceFailure>>,
{
    let left = items.iter().zip(&done).filter(|(_, result)| result.is_none());
    let left: Vec<T> = left.map(|(item, _)| item.clone()).collect();
    let mut others = if left.is_empty() {
        Vec::new().into_iter()
    } else {
        otherwise(left).await?.into_iter()
    };
    let of_each = done
        .into_iter()
        .map(|result| result.or_else(|| others.next().flatten()));
    of_each.collect::<Option<_>>().ok_or_else(unanswered)
}

/// The failure where a result is missing. Without it, the results after the missing one would be taken for
/// those of other files.
pub(super) fn unanswered() -> DeviceFailure {
    DeviceFailure::new(
        FailureClass::Protocol,
        "the device left a request about a file without a reply",
    )
}

/// The results of a way that leaves all items undone.
pub(super) fn leave_all<R>(count: usize) -> Vec<Option<R>> {
    std::iter::repeat_with(|| None).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_other_way_is_asked_only_about_what_the_first_has_left() {
        let items = ["a", "b", "c", "d"];
        let done = vec![Some("shell a"), None, Some("shell c"), None];
        let results = complete(&items, done, async |left: Vec<&str>| {
            assert_eq!(left, ["b", "d"]);
            Ok(vec![Some("sftp b"), Some("sftp d")])
        });
        assert_eq!(results.await.unwrap(), ["shell a", "sftp b", "shell c", "sftp d"]);
        let all = complete(&items, items.map(Some).to_vec(), async |_| unreachable!());
        assert_eq!(all.await.unwrap(), items);
    }

    #[tokio::test]
    async fn a_missing_result_is_a_failure_and_shifts_no_other() {
        let done = vec![None, Some("shell b"), None];
        let results = complete(&["a", "b", "c"], done, async |_: Vec<&str>| {
            Ok(vec![Some("sftp a")])
        });
        assert_eq!(results.await.unwrap_err().class, FailureClass::Protocol);
    }
}
