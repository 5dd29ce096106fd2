use super::*;

const QUICK: Character = Character {
    one_way_delay: Duration::from_millis(2),
    bits_per_second: 1_000_000_000,
    ..super::super::character::tests::LINK
};

/// A server that sends back what it receives, and ends when the client does.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                stream.write_all(&all).unwrap();
            });
        }
    });
    port
}

fn through(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    back
}

#[test]
fn everything_passes_in_order_and_is_counted_in_both_directions() {
    let relay = Relay::start(QUICK, echo()).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    assert!(through(relay.port, &bytes) == bytes, "the bytes differ");
    assert!(through(relay.port, b"a second connection") == b"a second connection");
    let passed = relay.passed();
    assert_eq!((passed.up_bytes, passed.down_bytes), (3_000_019, 3_000_019));
}

#[test]
fn a_connection_takes_no_less_than_its_round_trips() {
    let slow = Character {
        one_way_delay: Duration::from_millis(30),
        ..QUICK
    };
    let relay = Relay::start(slow, echo()).unwrap();
    let begin = Instant::now();
    through(relay.port, b"a");
    // Opening takes one round trip, the request and its reply another.
    assert!(begin.elapsed() >= Duration::from_millis(120));
}

#[test]
fn dropping_the_link_ends_its_connections() {
    let relay = Relay::start(QUICK, echo()).unwrap();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap();
    stream.write_all(b"a").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while held(&relay.state.streams).len() < 2 {
        assert!(Instant::now() < deadline, "no connection to the server");
        thread::yield_now();
    }
    drop(relay);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn the_sender_waits_while_too_much_is_in_flight() {
    let queue = Arc::new(Queue::holding(10));
    let pushing = Arc::clone(&queue);
    let sender = thread::spawn(move || {
        (0..4).all(|_| {
            pushing.push(Piece {
                arrival: Duration::ZERO,
                bytes: vec![0; 8],
            })
        })
    });
    for _ in 0..4 {
        let piece = queue.pop();
        assert!(held(&queue.inner).bytes <= 16);
        queue.delivered(piece.bytes.len());
    }
    assert!(sender.join().unwrap());
}
