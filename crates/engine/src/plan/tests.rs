use super::*;
use crate::placement::{Layout, LayoutPart, NameRule};
use crate::ports::ClockReading;
use model::{Digest, FileState};

const NOW: i64 = 1_700_000_000;

fn rules() -> Rules {
    Rules {
        settle: Duration::from_secs(30),
        max_listing_time: Duration::from_mins(15),
        settle_blind: Duration::from_mins(10),
        exclude: crate::exclude::Exclude::new(["*.tmp".to_owned()]).unwrap(),
        done_suffix: None,
        release: ReleaseRule::Delete,
        prune_empty: false,
        layout: Layout {
            parts: vec![LayoutPart::Path],
        },
        names: NameRule::Bytes,
    }
}

fn full_abilities() -> Abilities {
    Abilities {
        complete_identities: true,
        digests: true,
        tells_time: true,
        renames_atomically: true,
        reads_together: true,
        no_shell: None,
        is_read_only: false,
        one_view: true,
    }
}

fn entry(path: &str, age: i64, openness: Openness) -> Entry {
    let touched = Timestamp::from_seconds(NOW - age);
    let identity = Identity {
        device_number: Some(1),
        inode: Some(2),
        size: 3,
        modified: touched,
        changed: Some(touched),
    };
    Entry {
        path: RelativePath::new(path).unwrap(),
        kind: EntryKind::File,
        identity,
        openness,
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "each test makes an entry for one call"
)]
fn classify(entry: Entry, change: impl FnOnce(&mut SurveyContext<'_>)) -> EntryClass {
    let (rules, ledger) = (rules(), LedgerId::new("ours").unwrap());
    let mut context = SurveyContext {
        requested: Timestamp::EPOCH,
        rules: &rules,
        abilities: full_abilities(),
        ledger: &ledger,
        now: Some(Timestamp::from_seconds(NOW)),
        booted: Some(Timestamp::from_seconds(NOW - 86_400)),
        clock_trusted: true,
    };
    change(&mut context);
    classify_entry(&entry, &context)
}

fn waits(reason: WaitReason) -> EntryClass {
    EntryClass::Remaining(Reason::Wait(reason))
}

fn leaves(reason: LeaveReason) -> EntryClass {
    EntryClass::Remaining(Reason::Leave(reason))
}

#[test]
fn a_file_is_ready_when_it_is_closed_and_untouched_long_enough() {
    assert!(matches!(
        classify(entry("a", 30, Openness::Closed), |_| ()),
        EntryClass::Ready(_)
    ));
    assert_eq!(
        classify(entry("a", 29, Openness::Closed), |_| ()),
        waits(WaitReason::Settling)
    );
    assert_eq!(
        classify(entry("a", 5000, Openness::Open), |_| ()),
        waits(WaitReason::Open)
    );
    assert_eq!(
        classify(entry("a", 31, Openness::Unknown), |_| ()),
        waits(WaitReason::SettlingBlind)
    );
    assert!(matches!(
        classify(entry("a", 601, Openness::Unknown), |_| ()),
        EntryClass::Ready(_)
    ));
}

#[test]
fn a_backdated_mtime_settles_only_a_file_that_is_known_to_be_closed() {
    let mut fresh = entry("a", 5000, Openness::Closed);
    fresh.identity.changed = Some(Timestamp::from_seconds(NOW - 1));
    assert!(matches!(classify(fresh.clone(), |_| ()), EntryClass::Ready(_)));
    fresh.openness = Openness::Unknown;
    assert_eq!(classify(fresh, |_| ()), waits(WaitReason::SettlingBlind));
}

#[test]
fn a_withdrawal_does_not_settle_a_file_whose_writers_are_hidden() {
    let mut withdrawn = entry(".gleaner-withdrawn/ours/p/a", 5000, Openness::Unasked);
    withdrawn.identity.changed = Some(Timestamp::from_seconds(NOW - 60));
    match classify(withdrawn.clone(), |_| ()) {
        EntryClass::Ready(candidate) => assert!(!candidate.settled_blind, "it was withdrawn a minute ago"),
        other => panic!("{other:?}"),
    }
    withdrawn.openness = Openness::Unknown;
    assert_eq!(classify(withdrawn, |_| ()), waits(WaitReason::SettlingBlind));
}

#[test]
fn a_leftover_of_a_lease_trial_is_skipped() {
    let mut left = entry(".gleaner-withdrawn~lease~7~own", 700_000, Openness::Closed);
    left.identity.size = 0;
    assert_eq!(classify(left, |_| ()), EntryClass::Skip);
}

#[test]
fn a_file_with_only_an_mtime_settles_by_a_second_look() {
    let mut vague = entry("a", 5000, Openness::Unknown);
    vague.identity.changed = None;
    let class = classify(vague.clone(), |_| ());
    let needed = rules().settle_blind;
    assert!(
        matches!(&class, EntryClass::SecondLook(_, wait) if *wait == needed),
        "{class:?}"
    );
    vague.openness = Openness::Closed;
    assert!(matches!(classify(vague, |_| ()), EntryClass::Ready(_)));
}

#[test]
fn a_file_written_during_the_listing_is_settling() {
    for openness in [Openness::Closed, Openness::Unasked] {
        assert_eq!(
            classify(entry("a", -59, openness), |_| ()),
            waits(WaitReason::Settling)
        );
    }
    assert_eq!(
        classify(entry("a", -59, Openness::Unknown), |_| ()),
        waits(WaitReason::SettlingBlind)
    );
}

#[test]
fn an_untrusted_clock_requires_a_second_look() {
    let second_look = |class| matches!(class, EntryClass::SecondLook(..));
    assert!(
        second_look(classify(entry("a", -60, Openness::Closed), |_| ())),
        "mtime in the future"
    );
    assert!(
        second_look(classify(entry("a", 90_000, Openness::Closed), |_| ())),
        "before boot"
    );
    assert!(second_look(classify(
        entry("a", 60, Openness::Closed),
        |context| context.clock_trusted = false
    )));
    assert!(second_look(classify(
        entry("a", 60, Openness::Closed),
        |context| context.now = None
    )));
}

#[test]
fn links_special_files_and_excluded_files_are_left() {
    for (kind, reason) in [
        (EntryKind::Link, LeaveReason::Link),
        (EntryKind::Special, LeaveReason::Special),
    ] {
        let entry = Entry {
            kind,
            ..entry("a", 5000, Openness::Closed)
        };
        assert_eq!(classify(entry, |_| ()), leaves(reason));
    }
    assert_eq!(
        classify(entry("day/a.tmp", 5000, Openness::Closed), |_| ()),
        leaves(LeaveReason::Excluded)
    );
}

#[test]
fn withdrawn_files_are_ours_or_another_collectors() {
    let EntryClass::Ready(candidate) = classify(
        entry(".gleaner-withdrawn/ours/p/day/a", 60, Openness::Closed),
        |_| (),
    ) else {
        panic!("not ready");
    };
    assert_eq!(candidate.original.to_string(), "day/a");
    let foreign = ".gleaner-withdrawn/theirs/p/day/a";
    assert_eq!(
        classify(entry(foreign, 60, Openness::Closed), |_| ()),
        EntryClass::Skip
    );
    assert_eq!(
        classify(entry(foreign, 700_000, Openness::Closed), |_| ()),
        leaves(LeaveReason::ForeignWithdrawn)
    );
}

#[test]
fn a_withdrawn_file_settles_by_its_mtime_because_we_renamed_it() {
    let mut withdrawn = entry(".gleaner-withdrawn/ours/p/a", 5000, Openness::Closed);
    withdrawn.identity.changed = Some(Timestamp::from_seconds(NOW - 1));
    assert!(matches!(classify(withdrawn, |_| ()), EntryClass::Ready(_)));
}

#[test]
fn a_withdrawn_file_without_an_original_path_is_left() {
    for path in [".gleaner-withdrawn/a", ".gleaner-withdrawn/ours/a"] {
        assert_eq!(
            classify(entry(path, 5000, Openness::Closed), |_| ()),
            leaves(LeaveReason::ForeignWithdrawn),
            "{path}"
        );
    }
}

#[test]
fn another_collectors_withdrawn_file_is_reported_after_a_week() {
    const WEEK: i64 = 7 * 86_400;
    let foreign = |age| {
        classify(
            entry(".gleaner-withdrawn/theirs/p/a", age, Openness::Closed),
            |_| (),
        )
    };
    assert_eq!(foreign(WEEK - 1), EntryClass::Skip);
    assert_eq!(foreign(WEEK), leaves(LeaveReason::ForeignWithdrawn));
}

#[test]
fn a_folder_may_be_removed_after_a_day_by_a_trusted_clock() {
    const DAY: i64 = 86_400;
    let folder = |path, age, change: fn(&mut SurveyContext<'_>)| {
        let entry = Entry {
            kind: EntryKind::Folder,
            ..entry(path, age, Openness::Closed)
        };
        classify(entry, change)
    };
    assert_eq!(folder("day", DAY, |_| ()), EntryClass::OldFolder);
    assert_eq!(folder("day", DAY - 1, |_| ()), EntryClass::Skip);
    let distrusted = |context: &mut SurveyContext<'_>| context.clock_trusted = false;
    assert_eq!(folder("day", DAY, distrusted), EntryClass::Skip);
    assert_eq!(folder("day", DAY, |context| context.now = None), EntryClass::Skip);
    for withdrawn in [".gleaner-withdrawn", "usb/.gleaner-withdrawn/ours/p"] {
        assert_eq!(folder(withdrawn, DAY, |_| ()), EntryClass::Skip, "{withdrawn}");
    }
}

#[test]
fn the_codes_of_decisions_are_stable() {
    let file = candidate("a");
    let row = known_file(file.identity, FileState::Stored);
    for (decision, code) in [
        (Decision::Withdraw(None), "gather"),
        (
            Decision::GatherInPlace(LeaveReason::KeptByRule),
            "gather-in-place",
        ),
        (Decision::Resume, "resume-withdrawn"),
        (Decision::ProveAgain(Box::new(row)), "prove-again"),
        (Decision::Keep(RowId(7), LeaveReason::KeptByRule), "keep"),
    ] {
        assert_eq!(decision.code(), code);
    }
}

fn known_file(identity: Identity, state: FileState) -> KnownFile {
    let store_name = RelativePath::new("a").unwrap();
    KnownFile {
        row: RowId(7),
        identity,
        digest: Digest::from_bytes([0; 32]),
        store_name,
        state,
    }
}

fn candidate(current_path: &str) -> Candidate {
    let entry = entry(current_path, 60, Openness::Closed);
    let original = withdrawn::parse(&entry.path).map_or_else(|| entry.path.clone(), |parsed| parsed.original);
    Candidate {
        original,
        current_path: entry.path,
        identity: entry.identity,
        settled_blind: false,
    }
}

#[test]
fn a_row_saves_a_fetch_only_for_the_same_withdrawn_file() {
    let withdrawn = candidate(".gleaner-withdrawn/ours/p/a");
    let row = known_file(withdrawn.identity, FileState::Stored);
    assert_eq!(
        decide(&withdrawn, Some(&row), &rules(), full_abilities()),
        Decision::ProveAgain(Box::new(row.clone()))
    );
    let touched = Identity {
        changed: Some(Timestamp::from_seconds(NOW)),
        ..withdrawn.identity
    };
    let other = known_file(touched, FileState::Stored);
    assert_eq!(
        decide(&withdrawn, Some(&other), &rules(), full_abilities()),
        Decision::Resume
    );
    assert_eq!(
        decide(&withdrawn, None, &rules(), full_abilities()),
        Decision::Resume
    );
    let vague = Identity {
        inode: None,
        changed: None,
        device_number: None,
        ..withdrawn.identity
    };
    let vague_candidate = Candidate {
        identity: vague,
        ..withdrawn
    };
    let vague_row = known_file(vague, FileState::Stored);
    assert_eq!(
        decide(&vague_candidate, Some(&vague_row), &rules(), full_abilities()),
        Decision::Resume
    );
}

#[test]
fn a_kept_file_is_stored_once() {
    let file = candidate("a");
    let keep = Rules {
        release: ReleaseRule::Keep,
        ..rules()
    };
    let row = known_file(file.identity, FileState::Kept);
    assert_eq!(
        decide(&file, None, &keep, full_abilities()),
        Decision::GatherInPlace(LeaveReason::KeptByRule)
    );
    assert_eq!(
        decide(&file, Some(&row), &keep, full_abilities()),
        Decision::Keep(RowId(7), LeaveReason::KeptByRule)
    );
    assert_eq!(
        decide(&file, Some(&row), &rules(), full_abilities()),
        Decision::Withdraw(Some(RowId(7)))
    );
    let plain = Abilities {
        renames_atomically: false,
        ..full_abilities()
    };
    assert_eq!(
        decide(&file, None, &rules(), plain),
        Decision::GatherInPlace(LeaveReason::RenameUnsupported)
    );
}

#[test]
fn a_clock_is_trusted_while_its_offset_and_boot_id_stay() {
    let reading = |offset: i64, boot: &str, at: i64| ClockReading {
        offset: offset * 1_000_000_000,
        boot_id: Some(boot.into()),
        at: Timestamp::from_seconds(at),
    };
    let last = reading(10, "b1", NOW);
    assert!(is_clock_trusted(None, &last));
    assert!(is_clock_trusted(Some(&last), &reading(14, "b1", NOW + 60)));
    assert!(!is_clock_trusted(Some(&last), &reading(17, "b1", NOW + 60)));
    assert!(!is_clock_trusted(Some(&last), &reading(10, "b2", NOW + 60)));
    assert!(is_clock_trusted(Some(&last), &reading(20, "b1", NOW + 86_400)));
}
