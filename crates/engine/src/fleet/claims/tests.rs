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

/// The facts of a device whose sources have these inodes.
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

/// A visit of a sweep.
struct Visit {
    name: &'static str,
    /// `None`: the device does not answer.
    boot_id: Option<&'static str>,
    /// The inode of its one source.
    inode: u64,
}

/// A visit to a device that reports its boot id and the inode of its one source.
const fn visit(name: &'static str, boot_id: &'static str, inode: u64) -> Visit {
    Visit {
        name,
        boot_id: Some(boot_id),
        inode,
    }
}

/// A visit to a device that does not answer.
const fn offline(name: &'static str) -> Visit {
    Visit {
        name,
        boot_id: None,
        inode: 0,
    }
}

/// Runs sweeps one after the other, each with these visits in this order. Returns the names that were refused
/// in the last sweep.
fn refused(sweeps: &[&[Visit]]) -> Vec<String> {
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
        for visit in *visits {
            let device = configured
                .iter()
                .find(|device| device.name.as_str() == visit.name)
                .unwrap();
            let Some(boot_id) = visit.boot_id else {
                claims.begin_visit(&device.name).end();
                continue;
            };
            let result = claims.claim(
                device,
                &facts(Some(boot_id), &[("/data", Some(visit.inode))]),
                at(sweep),
            );
            refused.extend(result.refused.keys().map(|_| visit.name.to_owned()));
            ledger.insert(device.name.clone(), result.claims);
        }
    }
    refused
}

#[test]
fn of_two_names_that_lead_to_one_folder_the_second_is_refused() {
    assert_eq!(refused(&[&[visit("two", "a", 1), visit("one", "a", 1)]]), ["one"]);
    assert_eq!(
        refused(&[&[visit("two", "a", 1), visit("one", "a", 2)]]),
        [""; 0],
        "containers share the boot id"
    );
    assert_eq!(
        refused(&[&[visit("two", "a", 1), visit("one", "b", 1)]]),
        [""; 0],
        "cloned cards share the inode"
    );
}

#[test]
fn the_name_that_was_first_stays_first_in_later_sweeps() {
    let first: &[_] = &[visit("two", "a", 1)];
    assert_eq!(refused(&[first, &[visit("one", "a", 1)]]), ["one"]);
    let both: &[_] = &[visit("one", "a", 1), visit("two", "a", 1)];
    assert_eq!(refused(&[first, both, both, both]), ["one"]);
}

#[test]
fn a_name_that_leads_to_its_own_device_again_is_served_again() {
    let wrong: &[_] = &[visit("two", "b", 1), visit("one", "b", 1)];
    assert_eq!(
        refused(&[wrong, &[visit("two", "b", 1), visit("one", "a", 1)]]),
        [""; 0]
    );
    assert_eq!(
        refused(&[wrong, &[visit("two", "a", 1), visit("one", "b", 1)]]),
        [""; 0],
        "the first was wrong"
    );
}

#[test]
fn swapped_disks_are_refused_for_one_sweep_at_most() {
    let (before, after): (&[_], &[_]) = (
        &[visit("one", "a", 1), visit("two", "a", 2)],
        &[visit("one", "a", 2), visit("two", "a", 1)],
    );
    assert_eq!(refused(&[before, after, after]), [""; 0]);
}

#[test]
fn an_unidentified_folder_refuses_no_name_and_keeps_its_claim() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    let [one, two] = &devices;
    let reported = facts(Some("a"), &[("/data", Some(1))]);
    for unidentified in [
        facts(None, &[("/data", Some(1))]),
        facts(Some("a"), &[("/data", None)]),
        facts(Some("a"), &[]),
    ] {
        claims.claim(one, &reported, at(1));
        let result = claims.claim(one, &unidentified, at(2));
        assert_eq!(result.claims.len(), 1);
        assert!(claims.claim(two, &unidentified, at(3)).refused.is_empty());
    }
}

#[test]
fn a_visit_that_does_not_confirm_a_claim_ends_its_precedence() {
    let wrong: &[_] = &[visit("one", "a", 1), visit("two", "a", 1)];
    assert_eq!(refused(&[wrong]), ["two"]);
    let off: &[_] = &[offline("one"), visit("two", "a", 1)];
    assert_eq!(refused(&[wrong, off]), [""; 0]);
    let new: &[_] = &[visit("one", "a", 1)];
    assert_eq!(
        refused(&[new, off]),
        [""; 0],
        "the second is visited for the first time"
    );
    assert_eq!(
        refused(&[wrong, &[visit("two", "a", 1)]]),
        ["two"],
        "one was not visited"
    );

    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let reported = facts(Some("a"), &[("/data", Some(1))]);
    for unidentified in [
        facts(None, &[("/data", Some(1))]),
        facts(Some("b"), &[("/data", None)]),
    ] {
        let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
        claims.claim(one, &reported, at(1));
        assert_eq!(claims.claim(two, &reported, at(2)).refused.len(), 1);
        claims.claim(one, &unidentified, at(3));
        assert!(claims.claim(two, &reported, at(4)).refused.is_empty());
    }
}

#[test]
fn a_name_that_became_first_stays_first() {
    let wrong: &[_] = &[visit("one", "a", 1), visit("two", "a", 1)];
    let off: &[_] = &[offline("one"), visit("two", "a", 1)];
    for both in [wrong, &[visit("two", "a", 1), visit("one", "a", 1)]] {
        assert_eq!(refused(&[wrong, off, both]), ["one"]);
        assert_eq!(refused(&[wrong, off, both, both, both]), ["one"]);
        assert_eq!(refused(&[wrong, off, off, both]), ["one"]);
    }
    assert_eq!(
        refused(&[wrong, off, &[visit("two", "a", 1), visit("one", "b", 1)]]),
        [""; 0]
    );
}

#[test]
fn a_refusal_says_whether_this_sweep_visited_the_other_name() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let reported = facts(Some("a"), &[("/data", Some(1))]);
    let of_one = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured)
        .claim(one, &reported, at(1))
        .claims;
    let rows = of_one
        .into_iter()
        .map(|(source, claim)| (one.name.clone(), source, claim));
    let claims = Claims::from_ledger(rows.collect(), chosen.visited, chosen.configured);
    let message = |result: ClaimResult| result.refused.into_values().next().unwrap().message;
    let remembered = message(claims.claim(two, &reported, at(2)));
    assert!(
        remembered.contains("one led to when it last answered"),
        "{remembered}"
    );
    claims.claim(one, &reported, at(3));
    let confirmed = message(claims.claim(two, &reported, at(4)));
    assert!(
        confirmed.contains("lead to one folder of one device"),
        "{confirmed}"
    );
}

#[test]
fn a_visit_cut_off_by_the_end_of_the_sweep_keeps_the_order() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let reported = facts(Some("a"), &[("/data", Some(1))]);
    let of_one = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured)
        .claim(one, &reported, at(1))
        .claims;
    let rows = of_one
        .into_iter()
        .map(|(source, claim)| (one.name.clone(), source, claim));
    let claims = Claims::from_ledger(rows.collect(), chosen.visited, chosen.configured);
    drop(claims.begin_visit(&one.name));
    assert_eq!(claims.claim(two, &reported, at(2)).refused.len(), 1);
}

#[test]
fn two_sources_that_are_one_folder_are_gathered_as_the_first() {
    let devices = [device("one", &["/z", "/a"])];
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let reported = facts(Some("a"), &[("/z", Some(1)), ("/a", Some(1))]);
    let claims = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    for second in 1..4 {
        let result = claims.claim(&devices[0], &reported, at(second));
        let refused: Vec<_> = result.refused.keys().map(ToString::to_string).collect();
        assert_eq!(refused, ["/a"]);
    }
}

#[test]
fn a_name_that_is_no_longer_configured_claims_nothing() {
    let devices = [device("one", &["/data"]), device("old", &["/data"])];
    let (reported, all) = (
        facts(Some("a"), &[("/data", Some(1))]),
        Chosen {
            visited: &devices,
            configured: &devices,
        },
    );
    let before =
        Claims::from_ledger(Vec::new(), all.visited, all.configured).claim(&devices[1], &reported, at(1));
    let row = |(source, claim)| (devices[1].name.clone(), source, claim);
    let rows: Vec<_> = before.claims.into_iter().map(row).collect();
    assert_eq!(
        Claims::from_ledger(rows.clone(), all.visited, all.configured)
            .claim(&devices[0], &reported, at(2))
            .refused
            .len(),
        1
    );
    let one = &devices[..1];
    let renamed = Claims::from_ledger(rows, one, one);
    assert!(renamed.claim(&devices[0], &reported, at(2)).refused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_second_name_waits_until_the_first_has_reported_or_ended() {
    let devices = ["one", "two"].map(|name| device(name, &["/data"]));
    let [one, two] = &devices;
    let chosen = Chosen {
        visited: &devices,
        configured: &devices,
    };
    let reported = facts(Some("a"), &[("/data", Some(1))]);
    let before = Claims::from_ledger(Vec::new(), chosen.visited, chosen.configured);
    let rows = [one, two].into_iter().enumerate().flat_map(|(order, device)| {
        let now = at(i64::try_from(order).unwrap());
        let claims = before.claim(device, &reported, now).claims.into_iter();
        claims.map(|(source, claim)| (device.name.clone(), source, claim))
    });
    let rows: Vec<_> = rows.collect();
    for ends in [true, false] {
        let claims = Claims::from_ledger(rows.clone(), chosen.visited, chosen.configured);
        claims.wait_for_predecessors(&one.name).await;
        let visit = claims.begin_visit(&one.name);
        let mut waiting = std::pin::pin!(claims.wait_for_predecessors(&two.name));
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, &mut waiting).await.is_err());
        if ends {
            drop(visit);
        } else {
            // The device has rebooted. The order of its names stays.
            claims.claim(one, &facts(Some("b"), &[("/data", Some(1))]), at(5));
        }
        waiting.await;
    }
}
