//! The demonstration's own check. It trusts neither the ledger nor the engine: it re-reads every file.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use sim::DemoFleet;

use crate::exit::Failure;
use crate::output::Output;
use crate::report::amount;

type Digest = [u8; 32];

/// The location of each file ever recorded.
pub(super) struct Inventory {
    recorded: u64,
    in_store: u64,
    on_device: u64,
    lost: Vec<String>,
    /// Files in the store that were never recorded with this content.
    untrue: Vec<PathBuf>,
}

/// Looks for every recorded file in the store, then on its device.
pub(super) fn count_files(fleet: &DemoFleet, store: &Path) -> Inventory {
    let stored = digests_below(store);
    let mut inventory = Inventory {
        recorded: 0,
        in_store: 0,
        on_device: 0,
        lost: Vec::new(),
        untrue: Vec::new(),
    };
    let mut known: HashSet<Digest> = HashSet::new();
    for device in fleet.devices() {
        let on_device = digests_below(&device.source);
        let unfinished = device.being_written.as_ref().filter(|_| !fleet.camera_finished());
        known.extend(
            device
                .files
                .iter()
                .chain(&device.being_written)
                .map(|file| file.sha256),
        );
        for file in device
            .files
            .iter()
            .chain(device.being_written.as_ref().filter(|_| unfinished.is_none()))
        {
            inventory.recorded += 1;
            if stored.contains_key(&file.sha256) {
                inventory.in_store += 1;
            } else if on_device.contains_key(&file.sha256) {
                inventory.on_device += 1;
            } else {
                inventory
                    .lost
                    .push(format!("{}: {}", device.name, file.path.display()));
            }
        }
    }
    let untrue = stored.into_iter().filter(|(digest, _)| !known.contains(digest));
    inventory.untrue = untrue.map(|(_, path)| path).collect();
    inventory
}

impl Inventory {
    pub(super) fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.untrue.is_empty()
    }

    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        output.line(format_args!(
            "\nCheck, by re-reading every file: {} recorded; {} whole in the store, {} still on their devices, {} lost.",
            amount::count(self.recorded, "file"),
            amount::grouped(self.in_store),
            amount::grouped(self.on_device),
            self.lost.len(),
        ))?;
        for file in &self.lost {
            output.line(format_args!("  LOST: {file}"))?;
        }
        for path in &self.untrue {
            output.line(format_args!(
                "  IN THE STORE, BUT NEVER RECORDED WITH THIS CONTENT: {}",
                path.display()
            ))?;
        }
        Ok(())
    }
}

/// The digest of every file below a folder, including withdrawn files, excluding the store's control folder.
fn digests_below(folder: &Path) -> HashMap<Digest, PathBuf> {
    let mut digests = HashMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && entry.file_name() != ".gleaner" {
                folders.push(path);
            } else if kind.is_file()
                && let Ok(digest) = digest(&path)
            {
                digests.insert(digest, path);
            }
        }
    }
    digests
}

fn digest(path: &Path) -> std::io::Result<Digest> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            length => hasher.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}
