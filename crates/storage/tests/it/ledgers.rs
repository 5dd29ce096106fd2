//! A collector that lost its ledger finds its old id.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::LedgerId;
use rustix::io::Errno;
use storage::{Holder, SystemDisk};

use crate::context::{TestStore, now};
use crate::watched::WatchedDisk;

/// The collector on a machine with a number, or on one without a machine id.
fn holder(machine: Option<u8>, path: &str) -> Holder {
    let machine = machine.map(|number| format!("{number:032x}\n"));
    Holder::new(machine.as_deref(), Path::new(path))
}

#[test]
fn a_lost_ledger_is_found_by_machine_and_path() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let id = |text: &str| LedgerId::new(text).unwrap();
    let path = "/var/lib/gleaner/ledger.db";
    let find = |machine, path: &str| {
        let holder = holder(machine, path);
        let found = store.find_lost_ledger(&holder).unwrap();
        found.map(|known| known.id)
    };
    assert_eq!(find(Some(1), "/var/lib/gleaner/ledger.db"), None);
    let time = now();
    let remember = |ledger, machine, time| {
        let holder = holder(machine, path);
        let other = store.remember_ledger(&id(ledger), &holder, time).unwrap();
        assert_eq!(other, None);
    };
    remember("one", Some(1), time);
    remember("two", Some(2), time);
    remember("three", None, time);
    remember("four", Some(1), time.plus(Duration::from_hours(1)));
    assert_eq!(find(Some(1), "/var/lib/gleaner/ledger.db"), Some(id("four")));
    assert_eq!(find(Some(2), "/var/lib/gleaner/ledger.db"), Some(id("two")));
    assert_eq!(find(Some(2), "/elsewhere/ledger.db"), None);
    assert_eq!(find(None, "/var/lib/gleaner/ledger.db"), None);
}

#[test]
fn a_ledger_in_use_is_noted_once_a_day() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let note = dir.path.join(".gleaner/ledgers/one.toml");
    let holder = holder(Some(1), "/l\"\n");
    let remember = |time| {
        let id = LedgerId::new("one").unwrap();
        store.remember_ledger(&id, &holder, time).unwrap();
        fs::read_to_string(&note).unwrap()
    };
    let time = now();
    let first = remember(time);
    assert_eq!(remember(time.plus(Duration::from_hours(23))), first);
    assert_ne!(remember(time.plus(Duration::from_hours(25))), first);
    fs::write(&note, "damaged").unwrap();
    let found = store.find_lost_ledger(&holder).unwrap();
    assert_eq!(found, None);
    remember(time);
    let found = store.find_lost_ledger(&holder).unwrap();
    assert!(found.is_some());
    let names = fs::read_dir(dir.path.join(".gleaner/ledgers")).unwrap().count();
    assert_eq!(names, 1);
}

#[test]
fn an_unreadable_note_is_an_error_and_not_a_missing_one() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let store = dir.folder(&disk);
    let id = LedgerId::new("one").unwrap();
    let holder = holder(Some(1), "/ledger.db");
    store.remember_ledger(&id, &holder, now()).unwrap();
    disk.refuse(|call| (call.name == b"one.toml").then_some(Errno::ACCESS));
    // Otherwise the collector would start with a new id and abandon the files that it had withdrawn.
    assert!(store.find_lost_ledger(&holder).is_err());
    disk.refuse_nothing();
    let found = store.find_lost_ledger(&holder).unwrap();
    assert_eq!(found.map(|known| known.id), Some(id));
}

#[test]
fn an_adopted_ledger_has_all_former_collectors_in_its_note() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let ledger = LedgerId::new("ohio").unwrap();
    let [first, second, third] = [1, 2, 3].map(|machine| holder(Some(machine), "/l.db"));
    let time = now();
    let adopt = |holder: &Holder| {
        let known = store.known_ledger(&ledger).unwrap().unwrap();
        let adopted = store.adopt_ledger(&known, holder, time).unwrap();
        let read = store.known_ledger(&ledger).unwrap().unwrap();
        assert_eq!((&read.holder, &adopted.holder), (holder, holder));
        let [read, adopted] = [read, adopted].map(|known| known.adopted.unwrap().former);
        assert_eq!(read, adopted);
        read
    };
    assert_eq!(store.remember_ledger(&ledger, &first, time).unwrap(), None);
    assert_eq!(store.known_ledger(&ledger).unwrap().unwrap().adopted, None);
    assert_eq!(adopt(&second), std::slice::from_ref(&first));
    assert_eq!(adopt(&third), [second.clone(), first.clone()]);
    assert_eq!(adopt(&first), [third.clone(), second.clone()]);
    // The note is written again each day, and keeps that.
    let later = time.plus(Duration::from_hours(48));
    assert_eq!(store.remember_ledger(&ledger, &first, later).unwrap(), None);
    let kept = store.known_ledger(&ledger).unwrap().unwrap();
    assert!(kept.last_used > time);
    assert_eq!(kept.adopted.unwrap().former, [third, second.clone()]);
    assert_eq!(store.find_lost_ledger(&second).unwrap(), None);
    assert_eq!(
        store.find_lost_ledger(&first).unwrap().map(|known| known.id),
        Some(ledger)
    );
}

#[test]
fn a_late_note_of_the_collector_before_undoes_no_adoption() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let ledger = LedgerId::new("ohio").unwrap();
    let [old, new] = [1, 2].map(|machine| holder(Some(machine), "/l.db"));
    store.remember_ledger(&ledger, &old, now()).unwrap();
    let note = dir.path.join(".gleaner/ledgers/ohio.toml");
    let late = fs::read(&note).unwrap();
    let known = store.known_ledger(&ledger).unwrap().unwrap();
    store.adopt_ledger(&known, &new, now()).unwrap();
    // It had hung on the network, or an earlier release writes what it always wrote.
    fs::write(&note, late).unwrap();
    assert_eq!(store.known_ledger(&ledger).unwrap().unwrap().holder, new);
    let refused = store.remember_ledger(&ledger, &old, now()).unwrap();
    assert_eq!(refused.unwrap().holder, new);
    assert_eq!(store.remember_ledger(&ledger, &new, now()).unwrap(), None);
    assert_eq!(store.find_lost_ledger(&old).unwrap(), None);
    // Without the note, the adoption is enough.
    fs::remove_file(&note).unwrap();
    assert_eq!(store.known_ledgers().unwrap()[0].holder, new);
}

#[test]
fn an_adoption_needs_only_its_own_note() {
    let dir = TestStore::in_memory();
    let disk = WatchedDisk::new();
    let store = dir.folder(&disk);
    let ledger = LedgerId::new("ohio").unwrap();
    let [old, new] = [1, 2].map(|machine| holder(Some(machine), "/l.db"));
    // As an earlier release wrote it, for a machine without a proper id.
    dir.write(
        ".gleaner/ledgers/ohio.toml",
        b"machine = \"uninitialized\"\nledger = \"/l.db\"\nlast_used = \"2026-11-30T00:00:00Z\"\n",
    );
    let known = store.known_ledger(&ledger).unwrap().unwrap();
    assert_eq!(known.holder, holder(None, "/l.db"));
    store.adopt_ledger(&known, &old, now()).unwrap();
    disk.refuse(|call| call.name.starts_with(b"ohio.toml").then_some(Errno::NOSPC));
    let known = store.known_ledger(&ledger);
    assert!(known.is_err(), "an unreadable note is no missing one");
    disk.refuse(|call| (call.operation == "rename" && call.name == b"ohio.toml").then_some(Errno::NOSPC));
    let known = store.known_ledger(&ledger).unwrap().unwrap();
    store.adopt_ledger(&known, &new, now()).unwrap();
    assert_eq!(store.known_ledger(&ledger).unwrap().unwrap().holder, new);
    disk.refuse(|call| (call.operation == "rename").then_some(Errno::NOSPC));
    let known = store.known_ledger(&ledger).unwrap().unwrap();
    assert!(store.adopt_ledger(&known, &old, now()).is_err());
    assert_eq!(store.known_ledger(&ledger).unwrap().unwrap().holder, new);
}
