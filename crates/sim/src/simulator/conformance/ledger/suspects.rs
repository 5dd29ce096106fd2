//! Files that may have ended a session.

use engine::ports::{Ledger, MAX_SUSPECTS, Suspicion};
use model::RelativePath;

use super::fixture::{LedgerFixture, begin, device, source};
use crate::simulator::conformance::{Checked, ensure, message, path, same};

pub(super) async fn suspects_keep_their_count_and_their_order<P: LedgerFixture>(fixture: &P) -> Checked {
    let ledger = fixture.open();
    let (lease, photos) = (begin(&ledger).await?, source("/photos")?);
    let paths = |names: &[&str]| names.iter().map(path).collect::<Result<Vec<_>, _>>();
    same("before any", &suspects(&ledger, "/photos").await?, &vec![])?;
    let nothing_to_clear = ledger.clear_suspects(&lease, &photos, paths(&["a"])?);
    nothing_to_clear.await.map_err(message)?;
    for (of, names) in [
        ("/photos", ["a", "b"]),
        ("/films", ["x", "y"]),
        ("/photos", ["c", "a"]),
    ] {
        let of = source(of)?;
        let noted = ledger.record_suspects(&lease, &of, paths(&names)?);
        noted.await.map_err(message)?;
    }
    let cleared = ledger.clear_suspects(&lease, &photos, paths(&["c", "d"])?);
    cleared.await.map_err(message)?;
    drop(ledger);

    let ledger = fixture.open();
    let lease = begin(&ledger).await?;
    let (photos_now, films_now) = (
        suspects(&ledger, "/photos").await?,
        suspects(&ledger, "/films").await?,
    );
    let often = |suspects: &[(RelativePath, Suspicion)]| -> Vec<(String, u64)> {
        let often = |(path, suspicion): &(RelativePath, Suspicion)| (path.to_string(), suspicion.times);
        suspects.iter().map(often).collect()
    };
    let expected = |names: &[(&str, u64)]| -> Vec<(String, u64)> {
        names
            .iter()
            .map(|(name, times)| ((*name).to_owned(), *times))
            .collect()
    };
    same("photos", &often(&photos_now), &expected(&[("b", 1), ("a", 2)]))?;
    same("films", &often(&films_now), &expected(&[("x", 1), ("y", 1)]))?;
    let newest = films_now.iter().map(|(_, suspicion)| suspicion.noted).max();
    let last = photos_now.last().map(|(_, suspicion)| suspicion.noted);
    ensure(last > newest, || {
        "the order does not hold across sources".to_owned()
    })?;

    let many: Result<Vec<_>, _> = (0..MAX_SUSPECTS)
        .map(|number| path(format!("f{number}")))
        .collect();
    ledger
        .record_suspects(&lease, &photos, many?)
        .await
        .map_err(message)?;
    let kept = suspects(&ledger, "/photos").await?;
    same("how many are kept", &kept.len(), &MAX_SUSPECTS)?;
    let is_old = |(path, _): &(RelativePath, Suspicion)| !path.to_string().starts_with('f');
    ensure(!kept.iter().any(is_old), || "the oldest are kept".to_owned())
}

/// The suspects of a source of `bee`, least recently recorded first.
pub(super) async fn suspects(
    ledger: &impl Ledger,
    of: &str,
) -> Result<Vec<(RelativePath, Suspicion)>, String> {
    let (bee, of) = (device("bee")?, source(of)?);
    let found = ledger.suspects(&bee, &of);
    let mut found = found.await.map_err(message)?;
    found.sort_by_key(|(_, suspicion)| suspicion.noted);
    Ok(found)
}
