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

#[test]
fn a_lost_ledger_is_found_by_machine_and_path() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let id = |text: &str| LedgerId::new(text).unwrap();
    let path = Path::new("/var/lib/gleaner/ledger.db");
    let find = |machine, path: &str| {
        let holder = Holder::new(machine, Path::new(path));
        let found = store.find_lost_ledger(&holder).unwrap();
        found.map(|known| known.id)
    };
    assert_eq!(find(Some("m1"), "/var/lib/gleaner/ledger.db"), None);
    let time = now();
    let remember = |ledger, machine, time| {
        let holder = Holder::new(machine, path);
        let other = store.remember_ledger(&id(ledger), &holder, time).unwrap();
        assert_eq!(other, None);
    };
    remember("one", Some("m1\n"), time);
    remember("two", Some("m2"), time);
    remember("three", None, time);
    remember("four", Some("m1"), time.plus(Duration::from_hours(1)));
    assert_eq!(find(Some("m1"), "/var/lib/gleaner/ledger.db"), Some(id("four")));
    assert_eq!(find(Some("m2"), "/var/lib/gleaner/ledger.db"), Some(id("two")));
    assert_eq!(find(Some("m2"), "/elsewhere/ledger.db"), None);
    assert_eq!(find(None, "/var/lib/gleaner/ledger.db"), None);
}

#[test]
fn a_ledger_in_use_is_noted_once_a_day() {
    let dir = TestStore::new();
    let store = dir.folder(&Arc::new(SystemDisk::default()));
    let note = dir.path.join(".gleaner/ledgers/one.toml");
    let holder = Holder::new(Some("m1"), Path::new("/l\"\n"));
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
    let holder = Holder::new(Some("m1"), Path::new("/ledger.db"));
    store.remember_ledger(&id, &holder, now()).unwrap();
    disk.refuse(|call| (call.name == b"one.toml").then_some(Errno::ACCESS));
    // Otherwise the collector would start with a new id and abandon the files that it had withdrawn.
    assert!(store.find_lost_ledger(&holder).is_err());
    disk.refuse_nothing();
    let found = store.find_lost_ledger(&holder).unwrap();
    assert_eq!(found.map(|known| known.id), Some(id));
}
