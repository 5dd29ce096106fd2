use std::collections::BTreeMap;
use std::time::Duration;

use engine::ports::Devices as _;
use engine::ports::device::ConnectHints;
use model::{DeviceName, SourcePath};
use sim::simulator::conformance::device::{DeviceFixture, check};
use sim::simulator::device::Kind;
use sim::simulator::power::Power;
use sim::simulator::session::SimulatedSession;
use sim::simulator::timing::SweepTiming;
use sim::simulator::world::{World, WorldConfig};
use tokio::time::sleep;

use crate::in_simulated_time;

struct Simulated {
    world: World,
    session: SimulatedSession,
    source: SourcePath,
}

async fn simulated(kind: Kind) -> Simulated {
    let world = World::new(&WorldConfig {
        kinds: vec![kind],
        ..WorldConfig::default()
    })
    .unwrap();
    let devices = world.collectors[0].devices(&Power::default(), &SweepTiming::begin(1));
    let source = SourcePath::new("/photos").unwrap();
    let session = devices
        .connect(&DeviceName::new("bee0").unwrap(), &[], ConnectHints::default())
        .await
        .unwrap();
    Simulated {
        world,
        session,
        source,
    }
}

impl DeviceFixture for Simulated {
    type Session = SimulatedSession;

    fn session(&self) -> &SimulatedSession {
        &self.session
    }

    fn source(&self) -> &SourcePath {
        &self.source
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        self.world.write(0, path, bytes);
    }

    fn hold(&self, path: &str) {
        self.world.hold(0, path);
    }

    fn close_held(&self) {
        self.world.close_held(0);
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.world.read(0, path)
    }

    async fn wait(&self) {
        sleep(Duration::from_secs(2)).await;
    }
}

#[test]
fn simulated_devices_of_every_kind_keep_the_promises_of_the_port() {
    let mut broken = BTreeMap::new();
    for kind in Kind::ALL {
        let of_kind = in_simulated_time(check(async || simulated(kind).await));
        if !of_kind.is_empty() {
            broken.insert(kind, of_kind);
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
