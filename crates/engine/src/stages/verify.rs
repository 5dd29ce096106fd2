//! Verify: the received bytes equal those on the device, and no process wrote to the file meanwhile.

use model::WaitReason;

use crate::ports::SealedFile;
use crate::ports::{Confirmation, FileFaultKind, Reason, Session, Store};
use crate::recourse::PassError;
use crate::stages::fetch::Fetched;
use crate::stages::withdraw::Withdrawn;
use crate::tally::reason_of;
use crate::visit::SourceVisit;
use crate::world::World;

/// A sealed file that equals the file on its device.
#[derive(Debug)]
pub(crate) struct Verified {
    withdrawn: Withdrawn,
    sealed: SealedFile,
    device_digest: bool,
}

impl Verified {
    pub(crate) fn withdrawn(&self) -> &Withdrawn {
        &self.withdrawn
    }

    pub(crate) fn sealed(&self) -> &SealedFile {
        &self.sealed
    }

    pub(crate) fn into_parts(self) -> (Withdrawn, SealedFile, bool) {
        (self.withdrawn, self.sealed, self.device_digest)
    }
}

/// Verifies a batch. A file that cannot be proved is discarded and left for the next pass, with the reason.
pub(crate) async fn verify<W: World>(
    visit: &SourceVisit<'_, W>,
    batch: Vec<Fetched>,
) -> Result<Vec<Verified>, PassError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let files: Vec<_> = batch
        .iter()
        .map(|file| {
            (
                file.withdrawn().current_path().clone(),
                file.withdrawn().identity(),
            )
        })
        .collect();
    let confirmed = visit.session.confirm(visit.source, &files).await?;
    let digests_expected = visit.session.abilities().digests;

    let mut verified = Vec::with_capacity(batch.len());
    let mut unproved = Vec::new();
    for (file, confirmed) in batch.into_iter().zip(confirmed) {
        let doubt = match &confirmed {
            Ok(confirmation) => doubt_about(&file, *confirmation, digests_expected),
            Err(fault) if fault.kind == FileFaultKind::Missing => Some((
                Reason::Wait(WaitReason::Changed),
                Some("it was removed while it was read".into()),
            )),
            Err(fault) => Some((reason_of(fault), Some(fault.message.clone()))),
        };
        let (withdrawn, sealed) = file.into_parts();
        match doubt {
            None => verified.push(Verified {
                withdrawn,
                sealed,
                device_digest: digests_expected,
            }),
            Some((reason, detail)) => {
                visit.leave_behind(withdrawn.original(), withdrawn.identity().size, reason, detail);
                unproved.push(sealed);
            }
        }
    }
    visit.world.store().retire(unproved).await?;
    Ok(verified)
}

/// Why a file is not proved. `None` if it is.
fn doubt_about(
    file: &Fetched,
    confirmation: Confirmation,
    digests_expected: bool,
) -> Option<(Reason, Option<String>)> {
    let is_as_long = file.sealed().size == file.withdrawn().identity().size;
    if let Some(reason) = why_not_now(confirmation, file.withdrawn().has_settled_blind()) {
        return Some((Reason::Wait(reason), None));
    }
    if !is_as_long {
        return Some((Reason::Wait(WaitReason::Changed), None));
    }
    if !digests_expected {
        return None;
    }
    if file.device_digests().is_empty() || file.device_digests().iter().any(Option::is_none) {
        let detail = "the device could not digest it".into();
        return Some((Reason::Wait(WaitReason::Unproved), Some(detail)));
    }
    if !equals_device_digests(file) {
        let detail = "the device's digest differs from that of the bytes that it sent".into();
        return Some((Reason::Wait(WaitReason::Unproved), Some(detail)));
    }
    None
}

/// Why a file has to wait, given what the device confirms about it. It must be closed, unless it has rested
/// for `settle_blind`.
pub(crate) fn why_not_now(confirmation: Confirmation, has_settled_blind: bool) -> Option<WaitReason> {
    match confirmation {
        Confirmation::Unchanged => None,
        Confirmation::Unseen if has_settled_blind => None,
        Confirmation::Unseen => Some(WaitReason::SettlingBlind),
        Confirmation::Open => Some(WaitReason::Open),
        Confirmation::Changed => Some(WaitReason::Changed),
    }
}

fn equals_device_digests(file: &Fetched) -> bool {
    let sealed = file.sealed();
    if sealed.ranges.is_empty() {
        return file.device_digests() == [Some(sealed.digest)];
    }
    let received = sealed.ranges.iter().map(|range| Some(range.digest));
    received.eq(file.device_digests().iter().copied())
}
