//! A fleet over four virtual weeks: devices come and go, passes take time, slots are scarce or not.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const DEVICES: usize = 50;
const FOUR_WEEKS: Duration = Duration::from_hours(28 * 24);
const JITTER: f64 = 0.1;
/// For the rounding of floating point.
const ROUNDING: Duration = Duration::from_micros(1);

/// What the simulation remembers of a device.
struct Observed {
    name: DeviceName,
    every: Duration,
    /// The instants at which the device changes between reachable and not; reachable at the beginning.
    changes: Vec<Duration>,
    is_running: bool,
    /// The end of the last visit, what it showed, and how long all slots had been taken by then.
    last: Option<(Duration, Contact, Duration)>,
    /// The due time that followed the last visit.
    due: Duration,
    /// The beginnings of the last visit and of the one before.
    begun: [Option<Duration>; 2],
    served: u32,
    unanswered: u32,
}

impl Observed {
    fn new(number: usize, rng: &mut Rng) -> Self {
        let mut changes = Vec::new();
        let mut now = Duration::ZERO;
        // Half of the fleet is steady; one device in ten comes and goes every few minutes.
        while number % 2 == 1 && now < FOUR_WEEKS {
            let longest = if number % 10 == 1 { 600 } else { 200_000 };
            now += rng.seconds(1, longest);
            changes.push(now);
        }
        Self {
            name: name(&format!("device{number}")),
            every: Duration::from_mins([2, 5, 30][number % 3]),
            changes,
            is_running: false,
            last: None,
            due: Duration::ZERO,
            begun: [None; 2],
            served: 0,
            unanswered: 0,
        }
    }

    fn is_reachable(&self, now: Duration) -> bool {
        self.changes.partition_point(|change| *change <= now) % 2 == 0
    }

    /// The promise about the time between two visits: at `now`, a device that waits has kept it so far.
    fn check_wait(&self, now: Duration, taken: Duration) {
        let Some((ended, contact, taken_before)) = self.last else {
            assert!(now <= MAX_SPREAD + taken, "{} at {now:?}: first visit", self.name);
            return;
        };
        let pause = match contact {
            Contact::Answered => self.every,
            _ => MAX.max(self.every),
        };
        let longest = pause.mul_f64(1.0 + JITTER) + ROUNDING;
        // `now - ended <= longest + (taken - taken_before)`, without subtractions.
        let is_kept = now + taken_before <= ended + longest + taken;
        assert!(is_kept, "{} at {now:?}: {contact:?}", self.name);
    }
}

struct Simulation {
    rng: Rng,
    schedule: Schedule,
    devices: Vec<Observed>,
    now: Duration,
    slots: usize,
    /// The ends of the visits in progress.
    running: BinaryHeap<Reverse<(Duration, usize)>>,
    /// For how long all slots have been taken.
    taken: Duration,
}

impl Simulation {
    fn new(seed: u64, slots: usize) -> Self {
        let mut rng = Rng(seed);
        let devices: Vec<_> = (0..DEVICES)
            .map(|number| Observed::new(number, &mut rng))
            .collect();
        let policy = |every| Policy {
            every,
            jitter: JITTER,
            backoff_max: MAX,
        };
        let configured = devices
            .iter()
            .map(|device| (device.name.clone(), policy(device.every)));
        Self {
            schedule: Schedule::new(seed, configured.collect(), Duration::ZERO),
            rng,
            devices,
            now: Duration::ZERO,
            slots,
            running: BinaryHeap::new(),
            taken: Duration::ZERO,
        }
    }

    fn run(mut self) -> Self {
        while self.now < FOUR_WEEKS {
            let free = self.slots - self.running.len();
            let due: Vec<_> = self
                .schedule
                .due(self.now)
                .into_iter()
                .take(free)
                .cloned()
                .collect();
            for device in due {
                let number = self.devices.iter().position(|known| known.name == device);
                self.begin(number.unwrap());
            }
            let end = self.running.peek().map(|Reverse((end, _))| *end);
            let is_full = self.running.len() == self.slots;
            let wake = self.schedule.next_due().filter(|_| !is_full);
            let next = end.into_iter().chain(wake).min().unwrap();
            assert!(next > self.now, "a free slot and a due device at {:?}", self.now);
            if is_full {
                self.taken += next.saturating_sub(self.now);
            }
            self.now = next;
            while self
                .running
                .peek()
                .is_some_and(|Reverse((end, _))| *end <= self.now)
            {
                let Reverse((_, number)) = self.running.pop().unwrap();
                self.end(number);
            }
        }
        let waiting = self.devices.iter().filter(|device| !device.is_running);
        waiting.for_each(|device| device.check_wait(self.now, self.taken));
        self
    }

    fn begin(&mut self, number: usize) {
        let device = &self.devices[number];
        assert!(!device.is_running, "{} is visited twice at once", device.name);
        device.check_wait(self.now, self.taken);
        // No starvation: no other device began twice while this one was due.
        for other in &self.devices {
            let twice = other.begun[1].is_some_and(|begun| begun > device.due);
            assert!(
                !twice,
                "{} overtook {} at {:?}",
                other.name, device.name, self.now
            );
        }
        let takes = match self.rng.below(100) {
            _ if !device.is_reachable(self.now) => self.rng.seconds(1, 10),
            0 => self.rng.seconds(60, 3600),
            _ => self.rng.seconds(1, 10),
        };
        assert!(self.schedule.begin(&device.name));
        let device = &mut self.devices[number];
        device.is_running = true;
        device.begun = [Some(self.now), device.begun[0]];
        self.running.push(Reverse((self.now + takes, number)));
    }

    fn end(&mut self, number: usize) {
        let device = &mut self.devices[number];
        let contact = if device.is_reachable(device.begun[0].unwrap()) {
            device.served += 1;
            Contact::Answered
        } else {
            device.unanswered += 1;
            Contact::Unreachable
        };
        self.schedule.end(&device.name, contact, self.now);
        device.is_running = false;
        device.last = Some((self.now, contact, self.taken));
        device.due = self.schedule.due_of(&device.name).unwrap();
        assert!(
            device.due >= self.now + device.every,
            "no pause is shorter than `every`"
        );
    }
}

#[test]
fn four_weeks_with_outages_keep_every_promise_with_enough_slots() {
    for (seed, slots) in [(1, DEVICES), (2, 16)] {
        let ended = Simulation::new(seed, slots).run();
        assert!(
            ended.taken < FOUR_WEEKS / 1000,
            "slots were scarce for {:?}",
            ended.taken
        );
        for device in ended.devices.iter().filter(|device| device.changes.is_empty()) {
            // A pause takes `every * 1.05` on average, and a pass about 25 s.
            let rhythm = device.every.mul_f64(1.05) + seconds(25);
            let expected = FOUR_WEEKS.div_duration_f64(rhythm);
            let served = f64::from(device.served);
            assert!(
                (served / expected - 1.0).abs() < 0.05,
                "{}: {served}, {expected}",
                device.name
            );
            assert_eq!(device.unanswered, 0);
        }
        let unsteady = ended.devices.iter().filter(|device| !device.changes.is_empty());
        unsteady.for_each(|device| assert!(device.served > 100 && device.unanswered > 100));
    }
}

#[test]
fn four_weeks_with_scarce_slots_starve_no_device() {
    for (seed, slots) in [(3, 2), (4, 1)] {
        let ended = Simulation::new(seed, slots).run();
        assert!(ended.taken > FOUR_WEEKS / 4, "slots were free: {:?}", ended.taken);
        for device in &ended.devices {
            assert!(device.served > 100, "{}: {}", device.name, device.served);
        }
    }
}
