use super::*;
use crate::exclude::Exclude;
use crate::fleet::Chosen;
use crate::placement::{Layout, LayoutPart, NameRule};
use crate::ports::FolderNumbers;
use crate::rules::{ReleaseRule, Rules};

fn device(name: &str, sources: &[&str]) -> DeviceRules {
    let minute = Duration::from_mins(1);
    DeviceRules {
        name: DeviceName::new(name).unwrap(),
        sources: sources
            .iter()
            .map(|source| SourcePath::new(*source).unwrap())
            .collect(),
        rules: Rules {
            settle: minute,
            settle_blind: minute,
            max_listing_time: minute,
            exclude: Exclude::default(),
            done_suffix: None,
            release: ReleaseRule::Delete,
            prune_empty: false,
            layout: Layout {
                parts: vec![LayoutPart::Path],
            },
            names: NameRule::Bytes,
        },
    }
}

/// What a device says whose sources have these inodes.
fn facts(boot_id: Option<&str>, sources: &[(&str, Option<u64>)]) -> DeviceFacts {
    let numbers = |inode| FolderNumbers {
        device_number: 1,
        inode,
    };
    let folder =
        |(source, inode): &(&str, Option<u64>)| (SourcePath::new(*source).unwrap(), inode.map(numbers));
    DeviceFacts {
        boot_id: boot_id.map(str::to_owned),
        folders: sources.iter().map(folder).collect(),
        ..DeviceFacts::default()
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Sweeps one after the other: in each, devices tell the inode of their one source in this order. A device
/// that tells no boot id does not answer. Returns who was refused in the last.
fn refused(sweeps: &[&[(&str, &str, u64)]]) -> Vec<String> {
    let configured = ["one", "two"].map(|name| device(name, &["/data"]));
    let chosen = Chosen {
        visited: &configured,
        configured: &configured,
    };
    let mut ledger: HashMap<DeviceName, Vec<(SourcePath, Claim)>> = HashMap::new();
    let mut refused = Vec::new();
    for (sweep, visits) in (1..).zip(sweeps) {
        let rows = ledger.iter().flat_map(|(device, claims)| {
            let row = |(source, claim): &(SourcePath, Claim)| (device.clone(), source.clone(), claim.clone());
            claims.iter().map(row)
        });
        let claims = Claims::from_ledger(rows.collect(), chosen.visited, chosen.configured);
        refused.clear();
        for (name, boot_id, inode) in *visits {
            let device = configured
                .iter()
                .find(|device| device.name.as_str() == *name)
                .unwrap();
            if boot_id.is_empty() {
                claims.begin(&device.name).end();
                continue;
            }
            let claimed = claims.claim(
                device,
                &facts(Some(boot_id), &[("/data", Some(*inode))]),
                at(sweep),
            );
            refused.extend(claimed.refused.keys().map(|_| (*name).to_owned()));
            ledger.insert(device.name.clone(), claimed.claims);
        }
    }
    refused
}

#[test]
fn of_two_names_that_lead_to_one_folder_the_second_is_refused() {
    assert_eq!(refused(&[&[("two", "a", 1), ("one", "a", 1)]]), ["one"]);
    assert_eq!(
        refused(&[&[("two", "a", 1), ("one", "a", 2)]]),
        [""; 0],
        "containers share the boot id"
    );
    assert_eq!(
        refused(&[&[("two", "a", 1), ("one", "b", 1)]]),
        [""; 0],
        "cloned cards share the inode"
    );
}

#[test]
fn the_name_that_was_first_stays_first_in_later_sweeps() {
    let first: &[_] = &[("two", "a", 1)];
    assert_eq!(refused(&[first, &[("one", "a", 1)]]), ["one"]);
    let both: &[_] = &[("one", "a", 1), ("two", "a", 1)];
    assert_eq!(refused(&[first, both, both, both]), ["one"]);
}

#[test]
fn a_name_that_leads_elsewhere_again_is_served_again() {
    let wrong: &[_] = &[("two", "b", 1), ("one", "b", 1)];
    assert_eq!(refused(&[wrong, &[("two", "b", 1), ("one", "a", 1)]]), [""; 0]);
    assert_eq!(
        refused(&[wrong, &[("two", "a", 1), ("one", "b", 1)]]),
        [""; 0],
        "the first was wrong"
    );
}

#[test]
fn disks_that_change_places_are_refused_for_one_sweep_at_most() {
    let (before, after): (&[_], &[_]) = (
        &[("one", "a", 1), ("two", "a", 2)],
        &[("one", "a", 2), ("two", "a", 1)],
    );
    assert_eq!(refused(&[before, after, after]), [""; 0]);
}

#[test]
fn what_cannot_be_told_is_refused_to_nobody_and_forgets_nothing() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    let [one, two] = &devices;
    let told = facts(Some("a"), &[("/data", Some(1))]);
    for untold in [
        facts(None, &[("/data", Some(1))]),
        facts(Some("a"), &[("/data", None)]),
        facts(Some("a"), &[]),
    ] {
        claims.claim(one, &told, at(1));
        let claimed = claims.claim(one, &untold, at(2));
        assert_eq!(claimed.claims.len(), 1);
        assert!(claims.claim(two, &untold, at(3)).refused.is_empty());
    }
}

#[test]
fn a_visit_that_does_not_confirm_a_claim_ends_its_precedence() {
    let wrong: &[_] = &[("one", "a", 1), ("two", "a", 1)];
    assert_eq!(refused(&[wrong]), ["two"]);
    let off: &[_] = &[("one", "", 0), ("two", "a", 1)];
    assert_eq!(refused(&[wrong, off]), [""; 0]);
    let new: &[_] = &[("one", "a", 1)];
    assert_eq!(
        refused(&[new, off]),
        [""; 0],
        "the second is visited for the first time"
    );
    assert_eq!(
        refused(&[wrong, &[("two", "a", 1)]]),
        ["two"],
        "one was not visited"
    );

    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let told = facts(Some("a"), &[("/data", Some(1))]);
    for untold in [
        facts(None, &[("/data", Some(1))]),
        facts(Some("b"), &[("/data", None)]),
    ] {
        let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
        claims.claim(one, &told, at(1));
        assert_eq!(claims.claim(two, &told, at(2)).refused.len(), 1);
        claims.claim(one, &untold, at(3));
        assert!(claims.claim(two, &told, at(4)).refused.is_empty());
    }
}

#[test]
fn a_name_that_took_the_first_place_keeps_it() {
    let wrong: &[_] = &[("one", "a", 1), ("two", "a", 1)];
    let off: &[_] = &[("one", "", 0), ("two", "a", 1)];
    for both in [wrong, &[("two", "a", 1), ("one", "a", 1)]] {
        assert_eq!(refused(&[wrong, off, both]), ["one"]);
        assert_eq!(refused(&[wrong, off, both, both, both]), ["one"]);
        assert_eq!(refused(&[wrong, off, off, both]), ["one"]);
    }
    assert_eq!(
        refused(&[wrong, off, &[("two", "a", 1), ("one", "b", 1)]]),
        [""; 0]
    );
}

#[test]
fn a_refusal_says_whether_the_other_name_leads_there_now() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let told = facts(Some("a"), &[("/data", Some(1))]);
    let of_one = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured)
        .claim(one, &told, at(1))
        .claims;
    let rows = of_one
        .into_iter()
        .map(|(source, claim)| (one.name.clone(), source, claim));
    let claims = Claims::from_ledger(rows.collect(), chosen.visited, chosen.configured);
    let message = |claimed: Claimed| claimed.refused.into_values().next().unwrap().message;
    let remembered = message(claims.claim(two, &told, at(2)));
    assert!(
        remembered.contains("one led to when it last answered"),
        "{remembered}"
    );
    claims.claim(one, &told, at(3));
    let confirmed = message(claims.claim(two, &told, at(4)));
    assert!(
        confirmed.contains("lead to one folder of one device"),
        "{confirmed}"
    );
}

#[test]
fn a_visit_that_is_cut_off_by_the_end_of_a_sweep_changes_no_order() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let told = facts(Some("a"), &[("/data", Some(1))]);
    let of_one = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured)
        .claim(one, &told, at(1))
        .claims;
    let rows = of_one
        .into_iter()
        .map(|(source, claim)| (one.name.clone(), source, claim));
    let claims = Claims::from_ledger(rows.collect(), chosen.visited, chosen.configured);
    drop(claims.begin(&one.name));
    assert_eq!(claims.claim(two, &told, at(2)).refused.len(), 1);
}

#[test]
fn two_sources_that_are_one_folder_are_gathered_as_the_first() {
    let devices = [device("one", &["/z", "/a"])];
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let told = facts(Some("a"), &[("/z", Some(1)), ("/a", Some(1))]);
    let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    for second in 1..4 {
        let claimed = claims.claim(&devices[0], &told, at(second));
        let refused: Vec<_> = claimed.refused.keys().map(ToString::to_string).collect();
        assert_eq!(refused, ["/a"]);
    }
}

#[test]
fn a_name_that_is_not_configured_any_more_claims_nothing() {
    let devices = [device("one", &["/data"]), device("old", &["/data"])];
    let (told, everybody) = (
        facts(Some("a"), &[("/data", Some(1))]),
        Chosen {
            visited: &devices,
            configured: &devices,
        },
    );
    let before = Claims::from_ledger(Vec::new(), everybody.visited, everybody.configured).claim(
        &devices[1],
        &told,
        at(1),
    );
    let row = |(source, claim)| (devices[1].name.clone(), source, claim);
    let rows: Vec<_> = before.claims.into_iter().map(row).collect();
    assert_eq!(
        Claims::from_ledger(rows.clone(), everybody.visited, everybody.configured)
            .claim(&devices[0], &told, at(2))
            .refused
            .len(),
        1
    );
    let one = &devices[..1];
    let renamed = Claims::from_ledger(rows, one, one);
    assert!(renamed.claim(&devices[0], &told, at(2)).refused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_second_waits_until_the_first_has_told_or_ended() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let told = facts(Some("a"), &[("/data", Some(1))]);
    let before = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    let rows = [one, two].into_iter().enumerate().flat_map(|(order, device)| {
        let now = at(i64::try_from(order).unwrap());
        let claims = before.claim(device, &told, now).claims.into_iter();
        claims.map(|(source, claim)| (device.name.clone(), source, claim))
    });
    let rows: Vec<_> = rows.collect();
    for ends in [true, false] {
        let claims = Claims::from_ledger(rows.clone(), chosen.visited, chosen.configured);
        claims.wait_for_first(&one.name).await;
        let begun = claims.begin(&one.name);
        let mut waiting = std::pin::pin!(claims.wait_for_first(&two.name));
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, &mut waiting).await.is_err());
        if ends {
            drop(begun);
        } else {
            // The device in question has started again: who was first is so still.
            claims.claim(one, &facts(Some("b"), &[("/data", Some(1))]), at(5));
        }
        waiting.await;
    }
}
