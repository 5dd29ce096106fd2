//! The output and the effects of an audit, on a real store and a real ledger.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use engine::ports::Record;
use ledger::{OpenOptions, SqliteLedger};
use model::{Digest, RelativePath};
use sha2::{Digest as _, Sha256};
use storage::{InitOptions, SystemDisk};

use crate::cli::{self, Global};
use crate::commands::Context;
use crate::commands::status::tests::{at, printed, record, record_files};
use crate::environment::Environment;
use crate::exit::ExitStatus;

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    /// A store and a ledger with these files in both.
    fn with(files: &[(&[u8], &str)]) -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(fixture.store()).unwrap();
        let options = InitOptions {
            local: true,
            replace: None,
            now: at(0),
        };
        let made = storage::init(&Arc::new(SystemDisk::default()), &fixture.store(), &options).unwrap();
        let text = format!(
            "[store]\npath = {:?}\n[ledger]\npath = {:?}\n[defaults]\nsource = \"/x\"\n[[device]]\nname = \"d\"\n",
            fixture.store(),
            fixture.folder.path().join("ledger.db")
        );
        fs::write(fixture.folder.path().join("gleaner.toml"), text).unwrap();
        crate::commands::run::runtime().unwrap().block_on(async {
            let options = OpenOptions {
                create_with: None,
                at: at(0),
            };
            let ledger = SqliteLedger::open(&fixture.folder.path().join("ledger.db"), &options).unwrap();
            ledger.bind_store(made.id()).await.unwrap();
            let records = files
                .iter()
                .map(|(name, content)| recorded(name, content))
                .collect();
            record_files(&ledger, "d", records).await;
        });
        for (name, content) in files {
            fixture.write(name, content);
        }
        fixture
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn write(&self, name: &[u8], content: &str) {
        use std::os::unix::ffi::OsStrExt as _;
        let path = self.store().join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn audit(&self, arguments: &cli::AuditArgs, verbose: u8) -> (ExitStatus, String) {
        let global = Global {
            config: Some(self.folder.path().join("gleaner.toml")),
            verbose,
            ..Global::default()
        };
        let mut status = None;
        let text = printed(|output| {
            let mut context = Context {
                global: &global,
                environment: &Environment::default(),
                output,
            };
            status = Some(super::audit(arguments, &mut context)?);
            Ok::<_, crate::exit::Failure>(())
        });
        (status.unwrap(), text)
    }
}

fn recorded(name: &[u8], content: &str) -> Record {
    let mut record = record("d", name);
    record.store_name = RelativePath::new(name).unwrap();
    record.identity.size = u64::try_from(content.len()).unwrap();
    record.digest = Digest::from_bytes(Sha256::digest(content).into());
    record
}

fn damaged() -> Fixture {
    let fixture = Fixture::with(&[
        (b"d/sound", "sound"),
        (b"d/flipped\x1b[2J\xff", "flipped"),
        (b"d/missing", "missing"),
        (b"d/longer", "longer"),
    ]);
    fixture.write(b"d/flipped\x1b[2J\xff", "flipqed");
    fixture.write(b"d/longer", "longer than it was");
    fixture.write(b"notes.txt", "somebody's");
    fs::remove_file(fixture.store().join("d/missing")).unwrap();
    fixture
}

const PLAIN: cli::AuditArgs = cli::AuditArgs {
    quarantine: false,
    json: false,
};

#[test]
fn a_sound_store_is_ok_with_other_files_in_it() {
    let fixture = Fixture::with(&[(b"a", "1"), (b"d/b", "22")]);
    fixture.write(b"notes.txt", "somebody's");
    let (status, text) = fixture.audit(&PLAIN, 0);
    assert_eq!(status, ExitStatus::Well);
    assert_eq!(
        text,
        "2 files (3 B) in the ledger, all of them sound in the store.\n\
         1 other file (10 B) in the store, not in the ledger; -v lists them.\n"
    );
}

#[test]
fn each_finding_has_a_line_in_name_order_and_nothing_changes() {
    let fixture = damaged();
    let (status, text) = fixture.audit(&PLAIN, 1);
    assert_eq!(status, ExitStatus::Partial);
    let flipped = Digest::from_bytes(Sha256::digest("flipqed").into());
    assert_eq!(
        text,
        format!(
            "different   d/flipped\\x1b[2J\\xff: its digest is {flipped}\n\
             different   d/longer: it has 18 bytes instead of 6\n\
             missing     d/missing\n\
             unknown     notes.txt (10 B)\n\
             4 files (25 B) in the ledger: 1 sound, 1 missing, 2 different, 0 unreadable in the store.\n\
             Restore missing and different files from a backup of the store. The next sweep collects again what a device still has.\n\
             --quarantine moves files that differ into .gleaner/quarantine of the store.\n\
             1 other file (10 B) in the store, not in the ledger.\n"
        )
    );
    assert!(fixture.store().join("d/longer").exists());
}

#[test]
fn quarantine_moves_only_files_that_differ() {
    let fixture = damaged();
    let arguments = cli::AuditArgs {
        quarantine: true,
        json: false,
    };
    let (status, text) = fixture.audit(&arguments, 0);
    assert_eq!(status, ExitStatus::Partial);
    assert!(text.contains("moved into .gleaner/quarantine\n"), "{text}");
    assert!(
        text.contains("2 files moved into .gleaner/quarantine of the store.\n"),
        "{text}"
    );
    assert!(!fixture.store().join("d/longer").exists());
    assert!(fixture.store().join(".gleaner/quarantine/2/d/longer").exists());
    assert!(fixture.store().join("d/sound").exists());
    let (_, text) = fixture.audit(&PLAIN, 0);
    assert!(
        text.contains(
            "missing     d/longer; an earlier audit moved a copy to .gleaner/quarantine/2/d/longer\n"
        ),
        "{text}"
    );
    assert!(text.contains("missing     d/missing\n"), "{text}");
    assert!(fixture.store().join("notes.txt").exists());
}

#[test]
fn a_copy_that_matches_a_later_record_is_never_moved() {
    let fixture = Fixture::with(&[(b"d/a", "before"), (b"d/a", "after")]);
    let arguments = cli::AuditArgs {
        quarantine: true,
        json: false,
    };
    let (status, text) = fixture.audit(&arguments, 0);
    assert_eq!(status, ExitStatus::Partial);
    assert!(text.starts_with("missing     d/a\n"), "{text}");
    assert_eq!(fs::read_to_string(fixture.store().join("d/a")).unwrap(), "after");
}

#[test]
fn json_output_is_one_document() {
    let arguments = cli::AuditArgs {
        quarantine: false,
        json: true,
    };
    let (status, text) = damaged().audit(&arguments, 1);
    assert_eq!(status, ExitStatus::Partial);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let kinds: Vec<_> = document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["kind"])
        .collect();
    assert_eq!(kinds, ["different", "different", "missing"]);
    assert_eq!(document["findings"][0]["store_name"], "d/flipped\\x1b[2J\\xff");
    assert_eq!(document["unknown_files"][0]["store_name"], "notes.txt");
    assert_eq!(document["totals"]["sound"]["files"], 1);
    for fixture in [Fixture::with(&[]), Fixture::with(&[(b"a", "1")])] {
        let (status, text) = fixture.audit(&arguments, 0);
        assert_eq!(status, ExitStatus::Well);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["findings"].as_array().map(Vec::len), Some(0));
    }
}

#[test]
fn many_copies_are_compared_once_each() {
    let names: Vec<_> = (0..300)
        .map(|number| format!("d/{number:03}").into_bytes())
        .collect();
    let files: Vec<(&[u8], &str)> = names.iter().map(|name| (name.as_slice(), "x")).collect();
    let fixture = Fixture::with(&files);
    fs::remove_file(fixture.store().join("d/128")).unwrap();
    let (_, text) = fixture.audit(&PLAIN, 0);
    assert!(
        text.starts_with("missing     d/128\n300 files (300 B) in the ledger: 299 sound, 1 missing"),
        "{text}"
    );
}

#[test]
fn unreadable_files_need_no_restore_from_a_backup() {
    use super::AuditReport as _;
    let totals = super::Totals {
        unreadable: super::Amount::of_file(7),
        ..super::Totals::default()
    };
    let mut lines = super::text::TextReport { lists_unknown: false };
    let text = printed(|output| lines.end(&totals, output));
    assert!(text.contains("Give gleaner's user read access"), "{text}");
    assert!(!text.contains("backup"), "{text}");
}
