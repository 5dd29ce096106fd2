use super::*;

/// Numbers that look random to deflate.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn table(length: usize) -> Vec<u8> {
    let lines = (0..).flat_map(|line: u32| format!("{line};20.5;bees\n").into_bytes());
    lines.take(length).collect()
}

/// An advisor, and its clock.
struct SimulatedLink {
    advisor: CompressionAdvisor,
    now: Instant,
}

impl SimulatedLink {
    fn new() -> Self {
        let mut link = Self {
            advisor: CompressionAdvisor::default(),
            now: Instant::now(),
        };
        link.advisor.begin(Link::Plain, link.now);
        link
    }

    /// Reads for some seconds at a rate in bytes per second.
    fn read(&mut self, over: Link, content: &[u8], seconds: u64, rate: usize) {
        for _ in 0..seconds * 10 {
            self.now += Duration::from_millis(100);
            let mut left = rate / 10;
            while left > 0 {
                let part = left.min(content.len());
                self.advisor.note_bytes(over, &content[..part]);
                left -= part;
            }
        }
    }

    fn choose(&mut self) -> Choice {
        self.advisor.choose(self.now)
    }

    fn open(&mut self) {
        self.advisor.opened(true, self.now);
        self.advisor.end(Link::Plain, self.now);
        self.advisor.begin(Link::Compressed, self.now);
    }
}

#[test]
fn what_shrinks_is_compressed_where_the_link_is_slow_and_that_brings_more() {
    let (mut link, table) = (SimulatedLink::new(), table(65_536));
    assert_eq!(link.choose(), Choice::Plain);
    link.read(Link::Plain, &table, 2, 2_000_000);
    assert_eq!(link.choose(), Choice::OpenSecond);
    assert_eq!(link.choose(), Choice::Plain, "it is not there yet");
    link.open();
    assert_eq!(link.choose(), Choice::Compressed);
    link.read(Link::Compressed, &table, 5, 6_000_000);
    assert_eq!(link.choose(), Choice::Compressed);
}

#[test]
fn a_device_that_compresses_more_slowly_than_it_sends_is_left_alone() {
    let (mut link, table) = (SimulatedLink::new(), table(65_536));
    link.read(Link::Plain, &table, 2, 8_000_000);
    assert_eq!(link.choose(), Choice::OpenSecond);
    link.open();
    link.read(Link::Compressed, &table, 2, 6_000_000);
    assert_eq!(link.choose(), Choice::Plain);
    link.read(Link::Plain, &table, 5, 1_000_000);
    assert_eq!(link.choose(), Choice::Plain, "once is enough");
}

#[test]
fn what_does_not_shrink_a_fast_link_and_a_little_are_never_compressed() {
    let mut link = SimulatedLink::new();
    link.read(Link::Plain, &noise(65_536), 20, 1_000_000);
    assert_eq!(link.choose(), Choice::Plain);
    let mut link = SimulatedLink::new();
    link.read(Link::Plain, &table(65_536), 2, 100_000_000);
    assert_eq!(link.choose(), Choice::Plain);
    let mut link = SimulatedLink::new();
    link.read(Link::Plain, &table(65_536), 2, 100_000);
    assert_eq!(link.choose(), Choice::Plain);
}

#[test]
fn pictures_among_tables_go_plain_while_there_are_only_pictures() {
    let (mut link, table) = (SimulatedLink::new(), table(65_536));
    link.read(Link::Plain, &table, 2, 1_000_000);
    assert_eq!(link.choose(), Choice::OpenSecond);
    link.open();
    link.read(Link::Compressed, &noise(65_536), 20, 2_000_000);
    assert_eq!(link.choose(), Choice::Plain);
    link.advisor.begin(Link::Plain, link.now);
    link.read(Link::Plain, &table, 20, 1_000_000);
    assert_eq!(link.choose(), Choice::Compressed);
}

#[test]
fn a_link_that_turns_out_fast_is_not_compressed_even_once_connected() {
    let (mut link, table) = (SimulatedLink::new(), table(65_536));
    link.read(Link::Plain, &table, 1, 2_000_000);
    assert_eq!(link.choose(), Choice::OpenSecond);
    link.read(Link::Plain, &table, 3, 60_000_000);
    link.open();
    assert_eq!(link.choose(), Choice::Plain);
}

#[test]
fn a_read_moves_for_a_decision_and_not_for_what_shrinks_more_or_less() {
    let (mut link, table) = (SimulatedLink::new(), table(65_536));
    link.read(Link::Plain, &table, 2, 1_000_000);
    assert_eq!(link.choose(), Choice::OpenSecond);
    let before = link.advisor.decisions();
    link.open();
    let opened = link.advisor.decisions();
    assert_ne!(opened, before);
    link.read(Link::Compressed, &noise(65_536), 20, 2_000_000);
    assert_eq!(link.choose(), Choice::Plain);
    assert_eq!(link.advisor.decisions(), opened);
    link.advisor.mark_failed();
    assert_ne!(link.advisor.decisions(), opened);
}

#[test]
fn a_second_connection_that_cannot_be_had_or_breaks_is_not_tried_again() {
    for is_there in [false, true] {
        let mut link = SimulatedLink::new();
        link.read(Link::Plain, &table(65_536), 2, 1_000_000);
        assert_eq!(link.choose(), Choice::OpenSecond);
        link.advisor.opened(is_there, link.now);
        if is_there {
            link.advisor.mark_failed();
        }
        link.read(Link::Plain, &table(65_536), 2, 1_000_000);
        assert_eq!(link.choose(), Choice::Plain);
    }
}

#[test]
fn only_what_was_found_out_is_reported() {
    let table = table(65_536);
    let mut link = SimulatedLink::new();
    link.read(Link::Plain, &table, 1, 2_000_000);
    assert_eq!(link.advisor.has_paid(link.now), None, "it was not tried");
    assert_eq!(link.choose(), Choice::OpenSecond);
    link.open();
    assert_eq!(link.advisor.has_paid(link.now), None, "nothing has come over it");
    link.read(Link::Compressed, &table, 3, 6_000_000);
    assert_eq!(link.advisor.has_paid(link.now), Some(true));
    link.advisor.mark_failed();
    assert_eq!(link.advisor.has_paid(link.now), None);

    let mut slower = SimulatedLink::new();
    slower.read(Link::Plain, &table, 1, 8_000_000);
    assert_eq!(slower.choose(), Choice::OpenSecond);
    slower.open();
    slower.read(Link::Compressed, &table, 3, 6_000_000);
    assert_eq!(
        slower.advisor.has_paid(slower.now),
        None,
        "not before it was judged"
    );
    assert_eq!(slower.choose(), Choice::Plain);
    assert_eq!(slower.advisor.has_paid(slower.now), Some(false));

    let mut fast = SimulatedLink::new();
    fast.read(Link::Plain, &table, 2, 100_000_000);
    assert_eq!(fast.choose(), Choice::Plain);
    assert_eq!(fast.advisor.has_paid(fast.now), Some(false));

    let mut pictures = SimulatedLink::new();
    pictures.read(Link::Plain, &noise(65_536), 1, 1_000_000);
    assert_eq!(
        pictures.advisor.has_paid(pictures.now),
        None,
        "too little has come"
    );
    pictures.read(Link::Plain, &noise(65_536), 9, 1_000_000);
    assert_eq!(pictures.advisor.has_paid(pictures.now), Some(false));
}

#[test]
fn a_compressed_session_reports_when_nothing_shrinks() {
    for (content, paid) in [(table(65_536), None), (noise(65_536), Some(false))] {
        let mut link = SimulatedLink::new();
        link.advisor = CompressionAdvisor::of_compressed();
        link.advisor.begin(Link::Plain, link.now);
        link.read(Link::Plain, &content, 10, 2_000_000);
        assert_eq!(link.choose(), Choice::Plain);
        assert_eq!(link.advisor.has_paid(link.now), paid);
    }
}

#[test]
fn files_too_small_to_sample_are_no_proof_that_nothing_shrinks() {
    let mut link = SimulatedLink::new();
    link.advisor = CompressionAdvisor::of_compressed();
    link.advisor.begin(Link::Plain, link.now);
    link.read(Link::Plain, &table(2_000), 10, 2_000_000);
    assert_eq!(link.advisor.has_paid(link.now), None);
    // One picture among them is none, either.
    link.advisor.note_bytes(Link::Plain, &noise(65_536));
    link.read(Link::Plain, &table(2_000), 10, 2_000_000);
    assert_eq!(link.advisor.has_paid(link.now), None);
}

#[test]
fn a_compressed_session_reports_when_the_link_has_become_fast() {
    let mut link = SimulatedLink::new();
    link.advisor = CompressionAdvisor::of_compressed();
    link.advisor.begin(Link::Plain, link.now);
    // Half of it is noise.
    let half: Vec<u8> = [noise(8_192), table(8_192)].concat();
    link.read(Link::Plain, &half, 3, 20_000_000);
    assert_eq!(link.advisor.has_paid(link.now), None);
    link.read(Link::Plain, &half, 9, 80_000_000);
    assert_eq!(link.advisor.has_paid(link.now), Some(false));
}
