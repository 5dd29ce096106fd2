//! Removing files and folders.

use engine::ports::Session;
use model::RelativePath;

use super::fixture::{DeviceFixture, survey};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn removing_deletes_a_file_and_a_missing_file_counts_as_removed<P: DeviceFixture>(
    fixture: &P,
) -> Checked {
    fixture.write("x/a", b"first");
    fixture.write("x/b", b"second");
    let names: Vec<RelativePath> = vec![path("x/a")?, path("x/missing")?];
    let answers = fixture
        .session()
        .remove(fixture.source(), &names, &[])
        .await
        .map_err(message)?;
    ensure(answers.len() == 2 && answers.iter().all(Result::is_ok), || {
        format!("{answers:?}")
    })?;
    same("what was removed", &fixture.read("x/a"), &None)?;
    same("another", &fixture.read("x/b"), &Some(b"second".to_vec()))
}

pub(super) async fn only_empty_folders_are_removed<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("x/y/a", b"first");
    fixture.write("z/b", b"second");
    let folders = [path("x/y")?, path("x")?, path("z")?, path("missing")?];
    fixture
        .session()
        .remove(fixture.source(), &[path("x/y/a")?], &folders)
        .await
        .map_err(message)?;
    let left: Vec<Vec<u8>> = survey(fixture).await?.into_keys().collect();
    same("what is left", &left, &vec![b"z".to_vec(), b"z/b".to_vec()])
}
