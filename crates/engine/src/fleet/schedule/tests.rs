use super::*;

mod simulation;

const EVERY: Duration = Duration::from_mins(1);
const MAX: Duration = Duration::from_mins(15);

/// Without jitter, so that each time is exact.
const POLICY: Policy = Policy {
    every: EVERY,
    jitter: 0.0,
    backoff_max: MAX,
};

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn devices(names: &[&str], policy: Policy) -> BTreeMap<DeviceName, Policy> {
    names.iter().map(|text| (name(text), policy)).collect()
}

fn schedule(names: &[&str], policy: Policy) -> Schedule {
    Schedule::new(7, devices(names, policy), Duration::ZERO)
}

fn due(schedule: &Schedule, now: Duration) -> Vec<&str> {
    schedule.due(now).into_iter().map(DeviceName::as_str).collect()
}

/// A visit that takes no time. Returns the pause that follows.
fn visit(schedule: &mut Schedule, device: &str, contact: Contact, now: Duration) -> Duration {
    assert!(schedule.begin(&name(device)), "{device}");
    schedule.end(&name(device), contact, now);
    let due = schedule.due_of(&name(device)).unwrap();
    due.checked_sub(now).unwrap()
}

/// A schedule whose devices have all answered, each a second after the one before, beginning at 100 s.
fn visited(names: &[&str], policy: Policy) -> Schedule {
    let mut schedule = schedule(names, policy);
    for (device, ended) in names.iter().zip(100..) {
        visit(&mut schedule, device, Contact::Answered, seconds(ended));
    }
    schedule
}

#[test]
fn new_devices_are_spread_over_a_pause_of_ten_seconds_at_most() {
    let names = ["a", "b", "c", "d"];
    for (every, last) in [(3600, 7500), (60, 7500), (4, 3000), (1, 750)] {
        let policy = Policy {
            every: seconds(every),
            ..POLICY
        };
        let schedule = schedule(&names, policy);
        let times: Vec<_> = names
            .iter()
            .map(|device| schedule.due_of(&name(device)))
            .collect();
        let expected: Vec<_> = (0..4)
            .map(|part| Some(Duration::from_millis(last) / 3 * part))
            .collect();
        assert_eq!(times, expected, "every {every} s");
    }
}

#[test]
fn a_fleet_of_one_device_begins_at_once() {
    assert_eq!(due(&schedule(&["a"], POLICY), Duration::ZERO), ["a"]);
}

#[test]
fn an_empty_fleet_never_wakes_the_daemon() {
    let schedule = schedule(&[], POLICY);
    assert_eq!((schedule.next_due(), schedule.due(MAX).len()), (None, 0));
}

#[test]
fn the_pause_runs_from_the_end_of_a_pass() {
    let mut schedule = schedule(&["a"], POLICY);
    let a = name("a");
    assert!(schedule.begin(&a));
    // The pass takes three hours: the skipped periods are not made up for.
    assert_eq!(schedule.due(seconds(10_799)).len(), 0);
    schedule.end(&a, Contact::Answered, seconds(10_800));
    assert_eq!(schedule.due(seconds(10_859)).len(), 0);
    assert_eq!(due(&schedule, seconds(10_860)), ["a"]);
}

#[test]
fn a_device_that_is_being_visited_is_not_due_and_does_not_begin() {
    let mut schedule = schedule(&["a", "b"], POLICY);
    assert!(schedule.begin(&name("a")));
    assert_eq!(due(&schedule, MAX), ["b"]);
    assert!(!schedule.begin(&name("a")));
    assert_eq!(schedule.next_due(), Some(seconds(5)), "b");
    assert!(schedule.begin(&name("b")));
    assert_eq!(schedule.next_due(), None);
}

#[test]
fn unknown_devices_neither_begin_nor_end() {
    let mut schedule = visited(&["a"], POLICY);
    let before = schedule.next_due();
    assert!(!schedule.begin(&name("b")));
    schedule.end(&name("b"), Contact::Answered, seconds(200));
    schedule.end(&name("a"), Contact::Unreachable, seconds(200));
    schedule.expedite(&name("b"), seconds(200));
    assert_eq!(schedule.next_due(), before, "a was not being visited");
}

#[test]
fn a_device_may_be_visited_before_it_is_due() {
    let mut schedule = visited(&["a"], POLICY);
    assert_eq!(visit(&mut schedule, "a", Contact::Answered, seconds(101)), EVERY);
}

#[test]
fn the_pause_of_an_unreachable_device_doubles_up_to_its_limit() {
    use Contact::{Answered, Unknown, Unreachable};
    let steps = [
        (Unreachable, 60),
        (Unreachable, 120),
        (Unreachable, 240),
        (Unknown, 240),
        (Unreachable, 480),
        (Unreachable, 900),
        (Unreachable, 900),
        (Unknown, 900),
        (Answered, 60),
        (Unknown, 60),
        (Unreachable, 60),
        (Unreachable, 120),
    ];
    let mut schedule = schedule(&["a"], POLICY);
    for (step, (contact, pause)) in steps.into_iter().enumerate() {
        let now = seconds(step as u64 * 1000);
        assert_eq!(
            visit(&mut schedule, "a", contact, now),
            seconds(pause),
            "step {step}"
        );
    }
}

#[test]
fn the_pause_of_an_unreachable_device_is_never_below_every() {
    let policy = Policy {
        backoff_max: seconds(1),
        ..POLICY
    };
    let mut schedule = schedule(&["a"], policy);
    for step in 0..100 {
        let pause = visit(&mut schedule, "a", Contact::Unreachable, EVERY * step);
        assert_eq!(pause, EVERY);
    }
}

#[test]
fn a_device_that_is_gone_for_years_keeps_the_longest_pause() {
    let policy = Policy {
        backoff_max: Duration::from_hours(24 * 3650),
        ..POLICY
    };
    let mut schedule = schedule(&["a"], policy);
    let pauses: Vec<_> = (0..100)
        .map(|_| visit(&mut schedule, "a", Contact::Unreachable, Duration::ZERO))
        .collect();
    assert!(pauses.is_sorted());
    assert_eq!(pauses.last(), Some(&policy.backoff_max));
}

#[test]
fn only_failures_without_an_answer_lengthen_the_pause() {
    let unreachable = [
        FailureClass::JumpUnreachable,
        FailureClass::TunnelDown,
        FailureClass::TimedOut,
    ];
    let unknown = [
        FailureClass::AliasUnknown,
        FailureClass::JumpRefused,
        FailureClass::LocalFailure,
        FailureClass::TakenOver,
    ];
    for class in FailureClass::ALL {
        let outcome = PassOutcome::Failed {
            class,
            message: String::new(),
            remedy: None,
        };
        let expected = if unreachable.contains(&class) {
            Contact::Unreachable
        } else if unknown.contains(&class) {
            Contact::Unknown
        } else {
            Contact::Answered
        };
        assert_eq!(Contact::from(&outcome), expected, "{class:?}");
    }
    let message = String::new();
    assert_eq!(Contact::from(&PassOutcome::Well), Contact::Answered);
    assert_eq!(Contact::from(&PassOutcome::Partial), Contact::Answered);
    assert_eq!(Contact::from(&PassOutcome::Interrupted), Contact::Unknown);
    assert_eq!(
        Contact::from(&PassOutcome::CollectorFailed { message }),
        Contact::Unknown
    );
}

#[test]
fn jitter_stretches_each_pause_by_its_own_part_and_never_shortens_it() {
    let policy = Policy {
        jitter: 0.5,
        ..POLICY
    };
    let mut schedule = schedule(&["a"], policy);
    let pauses: Vec<_> = (0..1000)
        .map(|_| visit(&mut schedule, "a", Contact::Answered, Duration::ZERO))
        .collect();
    let (shortest, longest) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
    assert!(shortest >= EVERY && shortest < seconds(62), "{shortest:?}");
    assert!(longest <= seconds(90) && longest > seconds(88), "{longest:?}");
    let mean = pauses.iter().sum::<Duration>() / 1000;
    assert!(mean > seconds(73) && mean < seconds(77), "{mean:?}");
}

#[test]
fn devices_that_ended_together_do_not_begin_together_again() {
    let names: Vec<_> = (0..100).map(|number| format!("device{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut schedule = schedule(
        &names,
        Policy {
            jitter: 0.1,
            ..POLICY
        },
    );
    for device in &names {
        visit(&mut schedule, device, Contact::Answered, Duration::ZERO);
    }
    for second in 60..66 {
        let begun = schedule.due(seconds(second + 1)).len() - schedule.due(seconds(second)).len();
        assert!((5..30).contains(&begun), "{begun} in second {second}");
    }
}

#[test]
fn a_jitter_that_is_not_a_part_stretches_nothing() {
    for jitter in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -0.5] {
        let mut schedule = schedule(&["a"], Policy { jitter, ..POLICY });
        let pause = visit(&mut schedule, "a", Contact::Answered, Duration::ZERO);
        assert_eq!(pause, EVERY, "{jitter}");
    }
}

#[test]
fn the_same_seed_leads_to_the_same_times_and_another_to_others() {
    let policy = Policy {
        jitter: 0.1,
        ..POLICY
    };
    let times = |seed| {
        let mut schedule = Schedule::new(seed, devices(&["a", "b"], policy), Duration::ZERO);
        ["a", "b"].map(|device| visit(&mut schedule, device, Contact::Answered, Duration::ZERO))
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
    assert_ne!(times(1)[0], times(1)[1]);
}

#[test]
fn the_longest_overdue_device_comes_first_then_the_name_decides() {
    let mut schedule = schedule(&["a", "b", "c", "d"], POLICY);
    for (device, ended) in [("a", 102), ("b", 101), ("c", 101), ("d", 100)] {
        visit(&mut schedule, device, Contact::Answered, seconds(ended));
    }
    assert_eq!(due(&schedule, seconds(161)), ["d", "b", "c"]);
    assert_eq!(due(&schedule, seconds(162)), ["d", "b", "c", "a"]);
    assert_eq!(
        schedule.next_due(),
        Some(seconds(160)),
        "a time in the past: d waits for a slot"
    );
}

#[test]
fn devices_that_were_never_visited_come_before_all_others() {
    let mut schedule = visited(&["a", "b"], POLICY);
    schedule.reload(devices(&["a", "b", "y", "z"], POLICY), seconds(1000));
    assert_eq!(due(&schedule, seconds(1004)), ["y", "a", "b"]);
    assert_eq!(due(&schedule, seconds(1005)), ["y", "z", "a", "b"]);
}

#[test]
fn after_a_suspend_each_device_comes_once_and_in_order() {
    let mut schedule = visited(&["a", "b", "c"], POLICY);
    let weekend = Duration::from_hours(60);
    for expected in ["a", "b", "c"] {
        let first = schedule.due(weekend)[0].clone();
        assert_eq!(first.as_str(), expected);
        visit(&mut schedule, expected, Contact::Answered, weekend);
    }
    assert_eq!(schedule.next_due(), Some(weekend + EVERY));
}

#[test]
fn a_reload_without_changes_moves_no_due_time() {
    let policy = Policy {
        jitter: 0.3,
        ..POLICY
    };
    let names = ["a", "b", "c", "new"];
    let mut schedule = visited(&names[..3], policy);
    visit(&mut schedule, "b", Contact::Unreachable, seconds(200));
    visit(&mut schedule, "b", Contact::Unreachable, seconds(300));
    schedule.reload(devices(&names, policy), seconds(310));
    let times = |schedule: &Schedule| names.map(|device| schedule.due_of(&name(device)).unwrap());
    let before = times(&schedule);
    schedule.reload(devices(&names, policy), seconds(320));
    assert_eq!(times(&schedule), before);
    assert!(before[1] >= seconds(420), "b keeps its back-off");
}

#[test]
fn a_new_pause_applies_at_once_and_the_back_off_stays() {
    // Unanswered visits, the new policy's `every`, and the due time in seconds after the last visit.
    for (unanswered, every, expected) in [
        (0, 10, 10),
        (0, 600, 600),
        (3, 10, 40),
        (3, 60, 240),
        (6, 60, 900),
    ] {
        let mut schedule = visited(&["a"], POLICY);
        for _ in 0..unanswered {
            visit(&mut schedule, "a", Contact::Unreachable, seconds(100));
        }
        let policy = Policy {
            every: seconds(every),
            ..POLICY
        };
        schedule.reload(devices(&["a"], policy), seconds(105));
        let due = schedule.due_of(&name("a"));
        assert_eq!(
            due,
            Some(seconds(100 + expected)),
            "{unanswered} unanswered, every {every} s"
        );
    }
}

#[test]
fn a_device_that_is_taken_out_is_never_due_again() {
    let mut schedule = visited(&["a", "b"], POLICY);
    assert!(schedule.begin(&name("b")));
    schedule.reload(BTreeMap::new(), seconds(200));
    assert_eq!((schedule.due(MAX).len(), schedule.next_due()), (0, None));
    schedule.end(&name("b"), Contact::Answered, seconds(300));
    assert_eq!((schedule.due(MAX).len(), schedule.next_due()), (0, None));
    assert!(!schedule.begin(&name("b")));
    assert!(schedule.devices.is_empty(), "nothing remains in memory");
}

#[test]
fn a_device_that_is_put_back_in_mid_pass_is_not_visited_twice_at_once() {
    let mut schedule = visited(&["a"], POLICY);
    visit(&mut schedule, "a", Contact::Unreachable, seconds(200));
    assert!(schedule.begin(&name("a")));
    schedule.reload(BTreeMap::new(), seconds(300));
    schedule.reload(devices(&["a"], POLICY), seconds(301));
    assert_eq!(schedule.due(MAX).len(), 0);
    assert!(!schedule.begin(&name("a")));
    schedule.end(&name("a"), Contact::Unreachable, seconds(310));
    assert_eq!(
        schedule.due_of(&name("a")),
        Some(seconds(310 + 120)),
        "its back-off is known"
    );
}

#[test]
fn a_corrected_device_is_due_at_once_and_without_back_off() {
    let mut schedule = visited(&["a", "b"], POLICY);
    for _ in 0..9 {
        visit(&mut schedule, "b", Contact::Unreachable, seconds(100));
    }
    schedule.expedite(&name("b"), seconds(170));
    assert_eq!(due(&schedule, seconds(170)), ["b", "a"]);
    schedule.expedite(&name("b"), seconds(175));
    assert_eq!(
        schedule.due_of(&name("b")),
        Some(seconds(170)),
        "asked twice, it keeps its place"
    );
    // The next attempt is in progress with the old address while the operator corrects it again.
    assert!(schedule.begin(&name("b")));
    schedule.expedite(&name("b"), seconds(175));
    assert_eq!(due(&schedule, seconds(175)), ["a"]);
    schedule.end(&name("b"), Contact::Unreachable, seconds(180));
    assert_eq!(schedule.due_of(&name("b")), Some(seconds(180) + EVERY));
}

/// Random numbers for the simulations: splitmix64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    fn seconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from * 1000 + self.below((to - from) * 1000))
    }
}

#[test]
fn random_reloads_neither_double_a_visit_nor_lose_a_device() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for seed in 0..20 {
        let (mut rng, mut now) = (Rng(seed), Duration::ZERO);
        let mut schedule = schedule(&[], POLICY);
        let (mut configured, mut running) = (BTreeMap::new(), Vec::<DeviceName>::new());
        for _ in 0..2000 {
            now += rng.seconds(0, 20);
            match rng.below(10) {
                0 => {
                    configured = devices(
                        &names,
                        Policy {
                            every: rng.seconds(1, 90),
                            jitter: 0.2,
                            ..POLICY
                        },
                    );
                    configured.retain(|_, _| rng.below(3) > 0);
                    schedule.reload(configured.clone(), now);
                }
                1..5 if !running.is_empty() => {
                    let ended = running.swap_remove(rng.index(running.len()));
                    let contact = [Contact::Answered, Contact::Unreachable][rng.index(2)];
                    schedule.end(&ended, contact, now);
                }
                _ => {
                    let first = schedule.due(now).first().copied().cloned();
                    running.extend(first.inspect(|first| assert!(schedule.begin(first), "seed {seed}")));
                }
            }
            let waiting: Vec<_> = configured
                .keys()
                .filter(|device| !running.contains(device))
                .collect();
            let times: Vec<_> = waiting
                .iter()
                .map(|device| schedule.due_of(device).unwrap())
                .collect();
            assert_eq!(schedule.next_due(), times.into_iter().min(), "seed {seed}");
            let mut due = schedule.due(now + MAX * 2);
            due.sort();
            assert_eq!(due, waiting, "seed {seed}: each waiting device, and no other");
        }
    }
}
