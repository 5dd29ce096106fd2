//! What a survey returns.

use engine::ports::{EntryKind, Session};
use model::{FailureClass, SourcePath};
use tokio::sync::mpsc;

use super::fixture::{DeviceFixture, survey};
use crate::simulator::conformance::{Checked, ensure, message, same};

pub(super) async fn a_survey_lists_every_file_and_folder<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"12345");
    fixture.write("day/with 'quotes' and \nlines", b"");
    let entries = survey(fixture).await?;
    let kinds: Vec<(Vec<u8>, EntryKind)> = entries
        .iter()
        .map(|(name, entry)| (name.clone(), entry.kind))
        .collect();
    let expected = vec![
        (b"a".to_vec(), EntryKind::File),
        (b"day".to_vec(), EntryKind::Folder),
        (b"day/with 'quotes' and \nlines".to_vec(), EntryKind::File),
    ];
    ensure(kinds == expected, || format!("{kinds:?}"))?;
    let sizes: Vec<u64> = entries
        .values()
        .filter(|entry| entry.kind == EntryKind::File)
        .map(|entry| entry.identity.size)
        .collect();
    same("sizes", &sizes, &vec![5, 0])?;
    let abilities = fixture.session().abilities();
    let complete = entries
        .get(b"a".as_slice())
        .is_some_and(|entry| entry.identity.is_complete());
    same("complete identity", &complete, &abilities.complete_identities)
}

pub(super) async fn a_missing_source_fails_and_the_session_stays_usable<P: DeviceFixture>(
    fixture: &P,
) -> Checked {
    fixture.write("a", b"12345");
    let missing = SourcePath::new(format!("{}-missing", fixture.source())).map_err(message)?;
    let (sender, _receiver) = mpsc::channel(1);
    let listed = fixture.session().survey(&missing, sender).await;
    let class = listed.err().map(|failure| failure.class);
    same("how it ended", &class, &Some(FailureClass::SourceMissing))?;
    same("files of the other", &survey(fixture).await?.len(), &1)
}
