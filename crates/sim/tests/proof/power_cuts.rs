//! A pass is cut after every single effect on disk, ledger and device. Whatever unflushed changes are lost,
//! no file is lost, nothing untrue is visible, and one more pass finishes the work.

use std::time::Duration;

use sim::simulator::collector::ProcessEnd;
use sim::simulator::device::Kind;
use sim::simulator::disk::CrashLoss;
use sim::simulator::naming::Naming;
use sim::simulator::oracle::StoreDamage;
use sim::simulator::power::Power;
use sim::simulator::rng::Rng;
use sim::simulator::world::{World, WorldConfig};
use tokio::time::sleep;

use crate::{assert_swept, simulate};

/// A pass to cut.
#[derive(Clone)]
struct Case {
    name: &'static str,
    config: WorldConfig,
    /// The files of an earlier sweep without faults: device, path, size in bytes.
    before: &'static [(usize, &'static str, usize)],
    /// The files of this pass: device, path, size in bytes.
    files: &'static [(usize, &'static str, usize)],
    /// The minimum number of sweeps that empty such a device.
    sweeps: usize,
    /// The pause between two sweeps.
    between: Duration,
}

const SIZES: &[(usize, &str, usize)] = &[(0, "a", 700), (0, "day/empty", 0), (0, "day/large", 10_000)];

fn store(has_links: bool, is_divided: bool) -> WorldConfig {
    WorldConfig {
        has_links,
        is_divided,
        ..WorldConfig::default()
    }
}

fn cases() -> Vec<Case> {
    let plain = Case {
        name: "small, empty and large files",
        config: WorldConfig::default(),
        before: &[],
        files: SIZES,
        sweeps: 1,
        between: Duration::from_mins(1),
    };
    let lesser = |name, kind, sweeps, minutes| Case {
        name,
        config: WorldConfig {
            kinds: vec![kind],
            ..WorldConfig::default()
        },
        sweeps,
        between: Duration::from_mins(minutes),
        ..plain.clone()
    };
    let on_store = |name, config| Case {
        name,
        config,
        ..plain.clone()
    };
    vec![
        on_store("a store without hard links", store(false, false)),
        on_store(
            "a store of which no folder can be linked to from staging",
            store(true, true),
        ),
        Case {
            name: "names that are taken, by the same and by other content, by a file and by a folder",
            before: &[
                (0, "same", 600),
                (0, "other", 500),
                (0, "file", 400),
                (0, "folder/in", 300),
            ],
            files: &[
                (0, "same", 600),
                (0, "other", 501),
                (0, "file/in", 401),
                (0, "folder", 301),
            ],
            ..plain.clone()
        },
        Case {
            name: "two devices with the same names",
            config: WorldConfig {
                kinds: vec![Kind::Full, Kind::NoPerl],
                naming: Naming::Together,
                ..WorldConfig::default()
            },
            files: &[(0, "a", 700), (1, "a", 701), (0, "b", 5000), (1, "b", 5000)],
            ..plain.clone()
        },
        lesser(
            "a device without perl, whose large files are resumed",
            Kind::NoPerl,
            1,
            1,
        ),
        lesser("a device whose open files cannot be seen", Kind::Blind, 1, 11),
        lesser("a device with nothing but SFTP", Kind::SftpOnly, 2, 11),
        lesser("a device that cannot rename", Kind::NoRename, 1, 1),
        plain,
    ]
}

impl Case {
    async fn world(&self, stops_with_connection: bool) -> World {
        let config = WorldConfig {
            stops_with_connection,
            ..self.config.clone()
        };
        let world = World::new(&config).unwrap();
        record(&world, self.before);
        sleep(Duration::from_hours(1)).await;
        if !self.before.is_empty() {
            self.finish(&world).await;
        }
        record(&world, self.files);
        sleep(Duration::from_hours(1)).await;
        world
    }

    /// Sweeps without faults, as often as this device needs.
    async fn finish(&self, world: &World) {
        let power = Power::default();
        world.next_process(&power);
        for _ in 0..self.sweeps {
            sleep(self.between).await;
            assert_swept(&world.collectors[0].sweep(&power).await);
        }
    }
}

/// Makes recordings. The content of a file depends only on its size.
fn record(world: &World, files: &[(usize, &str, usize)]) {
    for (device, path, size) in files {
        let bytes = Rng::new(u64::try_from(*size).unwrap()).bytes(*size);
        world.record(*device, path, &bytes);
    }
}

/// One cut, and what follows it.
struct Cut {
    after: u64,
    loss: CrashLoss,
    stops_with_connection: bool,
    /// A second cut, in the pass after the first.
    again: Option<(u64, CrashLoss)>,
}

impl Cut {
    /// Returns `false` once the pass has fewer effects.
    async fn run(self, case: &Case) -> bool {
        let context = format!(
            "{}: cut after effect {} (and {:?}), {:?} forgotten, device stops: {}",
            case.name, self.after, self.again, self.loss, self.stops_with_connection
        );
        let world = case.world(self.stops_with_connection).await;
        let power = Power::cut_after(self.after);
        let was_cut = sweep_until_cut(&world, &power, case, &self.loss).await;
        assert_whole(&world, &context, &power);
        if !was_cut {
            return false;
        }
        if let Some((second_cut, loss)) = self.again {
            let power = Power::cut_after(second_cut);
            sweep_until_cut(&world, &power, case, &loss).await;
            assert_whole(&world, &context, &power);
        }
        case.finish(&world).await;
        world.check();
        world.check_progress();
        // Two names of one partial file are removed one week after the other: removing the first changes the
        // second.
        for _ in 0..4 {
            sleep(Duration::from_hours(8 * 24)).await;
            case.finish(&world).await;
        }
        world.oracle.check_staging(&world.disk);
        assert_whole(&world, &context, &power);
        true
    }
}

async fn sweep_until_cut(world: &World, power: &Power, case: &Case, loss: &CrashLoss) -> bool {
    world.next_process(power);
    let mut was_cut = false;
    for _ in 0..case.sweeps {
        sleep(case.between).await;
        was_cut |= matches!(world.collectors[0].sweep(power).await, ProcessEnd::Killed);
    }
    // By now the device has completed its requests, or never will.
    sleep(Duration::from_secs(1)).await;
    match (loss, was_cut) {
        (CrashLoss::Nothing, _) | (_, false) => world.next_process(&Power::default()),
        (loss, true) => world.disk.restart(Power::default(), loss.clone()),
    }
    world.check();
    was_cut
}

fn assert_whole(world: &World, context: &str, power: &Power) {
    let breaches = world.oracle.breaches();
    let last = power.last_effects();
    assert!(
        breaches.is_empty(),
        "{context}:\n  {}\nlast effects:\n  {}",
        breaches.join("\n  "),
        last.join("\n  ")
    );
}

#[test]
fn a_pass_cut_after_any_effect_keeps_all_promises_and_can_be_finished() {
    let (mut effects, mut cuts) = (0, 0);
    for case in cases() {
        let mut rng = Rng::new(1);
        for after in 1.. {
            let mut continues = false;
            let chance = [rng.split(), rng.split()].map(CrashLoss::Random);
            for loss in CrashLoss::certain().into_iter().chain(chance) {
                for stops_with_connection in [false, true] {
                    let loss = loss.clone();
                    let cut = Cut {
                        after,
                        loss,
                        stops_with_connection,
                        again: None,
                    };
                    continues |= simulate(cut.run(&case));
                    cuts += 1;
                }
            }
            if !continues {
                effects += after - 1;
                break;
            }
        }
    }
    println!("{effects} effects, {cuts} cuts");
    assert!(effects > 300, "only {effects} effects were cut");
}

#[test]
fn a_stored_copy_damaged_after_a_cut_never_justifies_a_release() {
    let all = cases();
    let mut damaged = 0;
    for case in all.iter().filter(|case| case.before.is_empty()) {
        for after in 1.. {
            let was_cut = simulate(async {
                let world = case.world(true).await;
                let power = Power::cut_after(after);
                let was_cut = sweep_until_cut(&world, &power, case, &CrashLoss::Nothing).await;
                for (at, name) in world.disk.visible().into_keys().enumerate() {
                    let damage = |how| world.oracle.damage(&name, how, &world.fleet, &world.disk);
                    // An empty file has no bit to flip.
                    let is_damaged = at % 2 == 1 && damage(StoreDamage::BitRot);
                    assert!(is_damaged || damage(StoreDamage::FileLost));
                    damaged += 1;
                }
                case.finish(&world).await;
                world.check();
                world.check_progress();
                assert_whole(
                    &world,
                    &format!("{}: damaged after effect {after}", case.name),
                    &power,
                );
                was_cut
            });
            if !was_cut {
                break;
            }
        }
    }
    assert!(damaged > 100, "only {damaged} files were damaged");
}

#[test]
fn a_pass_cut_twice_loses_nothing() {
    let mut rng = Rng::new(2);
    let mut cuts = 0;
    let all = cases();
    let resumed = |case: &&Case| case.config.kinds == [Kind::NoPerl] || !case.config.has_links;
    for case in all.iter().filter(resumed) {
        for after in 1.. {
            let mut continues = false;
            for second_cut in (1..60).step_by(3) {
                let loss = if rng.one_in(2) {
                    CrashLoss::Random(rng.split())
                } else {
                    CrashLoss::RemovedEntries
                };
                let again = if rng.one_in(2) {
                    CrashLoss::Random(rng.split())
                } else {
                    CrashLoss::Nothing
                };
                let cut = Cut {
                    after,
                    loss,
                    stops_with_connection: rng.one_in(2),
                    again: Some((second_cut + rng.below(3), again)),
                };
                continues |= simulate(cut.run(case));
                cuts += 1;
            }
            if !continues {
                break;
            }
        }
    }
    println!("{cuts} pairs of cuts");
    assert!(cuts > 2000, "only {cuts} pairs of cuts");
}
