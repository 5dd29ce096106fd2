use ledger::{OpenOptions, Reader, SqliteLedger};
use model::{LedgerId, Timestamp};
use sim::simulator::conformance::ledger::{LedgerFixture, check};
use sim::simulator::ledger::ModelLedger;

use crate::{assert_kept, in_simulated_time};

struct Model(ModelLedger);

impl LedgerFixture for Model {
    type Ledger = ModelLedger;
    type History = ModelLedger;

    fn open(&self) -> ModelLedger {
        self.0.clone()
    }

    fn history(&self) -> ModelLedger {
        self.0.clone()
    }
}

#[test]
fn the_model_of_the_ledger_keeps_the_promises_of_the_port() {
    let fresh = || Model(ModelLedger::new(LedgerId::new("ours").unwrap()));
    assert_kept(&in_simulated_time(check(fresh)));
}

struct OnDisk(tempfile::TempDir);

impl LedgerFixture for OnDisk {
    type Ledger = SqliteLedger;
    type History = Reader;

    fn open(&self) -> SqliteLedger {
        let options = OpenOptions {
            create_with: None,
            at: Timestamp::EPOCH,
        };
        SqliteLedger::open(&self.0.path().join("ledger.db"), &options).unwrap()
    }

    fn history(&self) -> Reader {
        Reader::open(&self.0.path().join("ledger.db")).unwrap()
    }
}

#[test]
fn the_ledger_that_ships_keeps_the_promises_of_the_port() {
    let fresh = || OnDisk(tempfile::TempDir::new().unwrap());
    assert_kept(&in_simulated_time(check(fresh)));
}
