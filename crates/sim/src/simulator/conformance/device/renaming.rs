//! Renames, identities, and whether a file is open.

use engine::ports::{EntryKind, FileFaultKind, Openness, WriterCheck};

use super::fixture::{DeviceFixture, MAX_INSPECTIONS, inspect, inspection, rename, step, survey};
use crate::simulator::conformance::{Checked, ensure, same};

pub(super) async fn a_rename_moves_a_file_and_makes_its_folders<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    fixture.write("b", b"second");
    let moves = [
        step("a", "x/y/a")?,
        step("missing", "x/y/missing")?,
        step("b", "x/b")?,
    ];
    let faults = rename(fixture, &moves).await?;
    same("faults", &faults, &vec![None, Some(FileFaultKind::Missing), None])?;
    same("the old name", &fixture.read("a"), &None)?;
    same("the new name", &fixture.read("x/y/a"), &Some(b"first".to_vec()))?;
    same("another", &fixture.read("x/b"), &Some(b"second".to_vec()))
}

pub(super) async fn a_rename_changes_only_the_ctime_of_an_identity<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    let before = inspection(fixture, "a").await?.identity;
    fixture.wait().await;
    rename(fixture, &[step("a", "x/a")?]).await?;
    let after = inspection(fixture, "x/a").await?.identity;
    ensure(before.is_renamed(&after), || {
        format!("{before:?} became {after:?}")
    })?;
    let missing = inspect(fixture, "a").await?.err().map(|fault| fault.kind);
    same("the old name", &missing, &Some(FileFaultKind::Missing))
}

pub(super) async fn every_write_changes_the_identity<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    let before = inspection(fixture, "a").await?.identity;
    same(
        "identity of an unwritten file",
        &inspection(fixture, "a").await?.identity,
        &before,
    )?;
    fixture.wait().await;
    fixture.write("a", b"other");
    ensure(inspection(fixture, "a").await?.identity != before, || {
        "a write of the same size does not change the identity".to_owned()
    })
}

pub(super) async fn a_file_held_open_is_reported_open<P: DeviceFixture>(fixture: &P) -> Checked {
    fixture.write("a", b"first");
    fixture.write("b", b"second");
    // Not the session's first listing, which may describe the moment at which the session began.
    let files = survey(fixture).await?;
    let files = files.values().filter(|entry| entry.kind == EntryKind::File);
    let check = files.filter_map(|entry| entry.openness.check()).min();
    let (shut, open, listed) = match check {
        Some(WriterCheck::Leases) => (Openness::Closed, Openness::Open, Openness::Unasked),
        Some(WriterCheck::Scan) => (Openness::Closed, Openness::Open, Openness::Open),
        Some(WriterCheck::Blind) => (Openness::Unknown, Openness::Unknown, Openness::Unknown),
        None => return Err("the device does not report its writer check".to_owned()),
    };
    becomes(fixture, "a", shut).await?;
    fixture.hold("a");
    same(
        "while it is held",
        &inspection(fixture, "a").await?.openness,
        &open,
    )?;
    becomes(fixture, "b", shut).await?;
    let entries = survey(fixture).await?;
    let listed_open = entries.get(b"a".as_slice()).map(|entry| entry.openness);
    same("in a survey", &listed_open, &Some(listed))?;
    let moved = rename(fixture, &[step("a", "x/a")?]).await?;
    let name = if check == Some(WriterCheck::Leases) {
        same("a rename of it", &moved, &vec![Some(FileFaultKind::Open)])?;
        "a"
    } else {
        same("a rename of it", &moved, &vec![None])?;
        "x/a"
    };
    same(
        "after the rename",
        &inspection(fixture, name).await?.openness,
        &open,
    )?;
    fixture.close_held();
    becomes(fixture, name, shut).await
}

/// Waits until the file has this openness. A process that has just started may briefly hold a file that its
/// parent had open.
pub(super) async fn becomes<P: DeviceFixture>(fixture: &P, name: &str, expected: Openness) -> Checked {
    for _ in 0..MAX_INSPECTIONS {
        if inspection(fixture, name).await?.openness == expected {
            return Ok(());
        }
        fixture.wait().await;
    }
    same(name, &inspection(fixture, name).await?.openness, &expected)
}
