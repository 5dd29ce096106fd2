use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sftp::codec::{
    Attributes, ClientPacket, Extension, FileSystem, FileTimes, Hello, Limits, Malformed, Name, OpenFlags,
    OwnerIds, Request, Response, ServerPacket, Status, StatusCode, take_frame,
};

fn string() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn handle() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=256).prop_map(Bytes::from)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (
        option::of(any::<u64>()),
        option::of((any::<u32>(), any::<u32>())),
        option::of(any::<u32>()),
        option::of((any::<u32>(), any::<u32>())),
        vec((string(), string()), 0..3),
    )
        .prop_map(|(size, owner, permissions, times, extended)| Attributes {
            size,
            owner: owner.map(|(user, group)| OwnerIds { user, group }),
            permissions,
            times: times.map(|(accessed, modified)| FileTimes { accessed, modified }),
            extended,
        })
}

fn extension() -> impl Strategy<Value = Extension> {
    prop_oneof![
        (string(), string()).prop_map(|(source, target)| Extension::PosixRename { source, target }),
        Just(Extension::Limits),
        string().prop_map(|path| Extension::Statvfs { path }),
        handle().prop_map(|handle| Extension::Fsync { handle }),
        (string(), string()).prop_map(|(source, target)| Extension::Hardlink { source, target }),
        (string(), string()).prop_map(|(name, data)| Extension::Other { name, data }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let files = prop_oneof![
        (string(), any::<u32>(), attributes()).prop_map(|(path, flags, attributes)| Request::Open {
            path,
            flags: OpenFlags(flags),
            attributes
        }),
        handle().prop_map(|handle| Request::Close { handle }),
        (handle(), any::<u64>(), any::<u32>()).prop_map(|(handle, offset, length)| Request::Read {
            handle,
            offset,
            length
        }),
        (handle(), any::<u64>(), string()).prop_map(|(handle, offset, data)| Request::Write {
            handle,
            offset,
            data
        }),
        handle().prop_map(|handle| Request::Fstat { handle }),
        (handle(), attributes()).prop_map(|(handle, attributes)| Request::Fsetstat { handle, attributes }),
        handle().prop_map(|handle| Request::Readdir { handle }),
    ];
    let paths = prop_oneof![
        string().prop_map(|path| Request::Lstat { path }),
        string().prop_map(|path| Request::Opendir { path }),
        string().prop_map(|path| Request::Remove { path }),
        string().prop_map(|path| Request::Rmdir { path }),
        string().prop_map(|path| Request::Realpath { path }),
        string().prop_map(|path| Request::Stat { path }),
        string().prop_map(|path| Request::Readlink { path }),
        (string(), attributes()).prop_map(|(path, attributes)| Request::Setstat { path, attributes }),
        (string(), attributes()).prop_map(|(path, attributes)| Request::Mkdir { path, attributes }),
        (string(), string()).prop_map(|(source, target)| Request::Rename { source, target }),
        (string(), string()).prop_map(|(target, link)| Request::Symlink { target, link }),
    ];
    prop_oneof![files, paths, extension().prop_map(Request::Extended)]
}

fn status() -> impl Strategy<Value = Status> {
    (any::<u32>(), string(), string()).prop_map(|(code, message, language)| Status {
        code: StatusCode::from(code),
        message,
        language,
    })
}

fn response() -> impl Strategy<Value = Response> {
    let name = (string(), string(), attributes()).prop_map(|(name, long_name, attributes)| Name {
        name,
        long_name,
        attributes,
    });
    prop_oneof![
        status().prop_map(Response::Status),
        (0..9u32).prop_map(|code| Response::Status(Status::new(code.into(), "words"))),
        handle().prop_map(Response::Handle),
        string().prop_map(Response::Data),
        vec(name, 0..5).prop_map(Response::Name),
        attributes().prop_map(Response::Attributes),
        string().prop_map(Response::ExtendedReply),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u32>(), vec((string(), string()), 0..4))
        .prop_map(|(version, extensions)| Hello { version, extensions })
}

fn client_packet() -> impl Strategy<Value = ClientPacket> {
    prop_oneof![
        1 => hello().prop_map(ClientPacket::Init),
        20 => (any::<u32>(), request()).prop_map(|(id, request)| ClientPacket::Request { id, request }),
    ]
}

fn server_packet() -> impl Strategy<Value = ServerPacket> {
    prop_oneof![
        1 => hello().prop_map(ServerPacket::Version),
        7 => (any::<u32>(), response()).prop_map(|(id, response)| ServerPacket::Response { id, response }),
    ]
}

fn only_frame(mut buffer: BytesMut) -> Bytes {
    let frame = take_frame(&mut buffer)
        .expect("a sane length")
        .expect("a whole packet");
    assert!(buffer.is_empty(), "the length field covers the packet");
    frame
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn client_packets_survive_the_wire(packet in client_packet()) {
        let mut buffer = BytesMut::new();
        packet.encode(&mut buffer);
        prop_assert_eq!(ClientPacket::decode(only_frame(buffer)), Ok(packet));
    }

    #[test]
    fn server_packets_survive_the_wire(packet in server_packet()) {
        let mut buffer = BytesMut::new();
        packet.encode(&mut buffer);
        prop_assert_eq!(ServerPacket::decode(only_frame(buffer)), Ok(packet));
    }

    #[test]
    fn arbitrary_bytes_never_make_the_decoder_panic(
        kind in prop_oneof![1..=20u8, 101..=105u8, 200..=201u8, any::<u8>()],
        rest in vec(prop_oneof![3 => Just(0u8), 1 => 0..20u8, 1 => any::<u8>()], 0..200),
    ) {
        let frame: Bytes = std::iter::once(kind).chain(rest).collect();
        let decoded = ClientPacket::decode(frame.clone());
        prop_assert!(decoded.is_ok() || decoded.is_err());
        if let Ok(packet) = ServerPacket::decode(frame.clone()) {
            // The decoded packet equals the encoded one, except that a STATUS without a message gets an empty
            // one.
            let mut buffer = BytesMut::new();
            packet.encode(&mut buffer);
            prop_assert_eq!(ServerPacket::decode(only_frame(buffer)), Ok(packet));
        }
        let mut stream = BytesMut::from(frame);
        while let Ok(Some(_)) = take_frame(&mut stream) {}
    }

    #[test]
    fn a_truncated_packet_or_one_with_a_trailing_byte_is_refused(
        id in any::<u32>(), response in response(), cut in any::<prop::sample::Index>(),
    ) {
        // The data of an extended reply can be anything, and a status may lack its message.
        prop_assume!(!matches!(response, Response::ExtendedReply(_)));
        let mut buffer = BytesMut::new();
        response.encode(id, &mut buffer);
        let frame = only_frame(buffer);
        let cut = cut.index(frame.len());
        if !(matches!(response, Response::Status(_)) && cut == 9) {
            prop_assert!(ServerPacket::decode(frame.slice(..cut)).is_err());
        }
        let mut longer = frame.to_vec();
        longer.push(0);
        prop_assert_eq!(ServerPacket::decode(longer.into()), Err(Malformed::Trailing { bytes: 1 }));
    }
}

#[test]
fn a_count_of_names_beyond_the_packet_is_refused_without_allocating() {
    let frame = Bytes::from_static(&[104, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let refused = Malformed::Count {
        field: "count of names",
        count: u32::MAX,
    };
    assert_eq!(ServerPacket::decode(frame), Err(refused));
}

#[test]
fn attribute_flags_of_later_versions_are_refused() {
    let frame = Bytes::from_static(&[105, 0, 0, 0, 1, 0, 0, 0, 0x10]);
    assert_eq!(
        ServerPacket::decode(frame),
        Err(Malformed::AttributeFlags { flags: 0x10 })
    );
}

#[test]
fn a_handle_longer_than_the_draft_allows_is_refused() {
    let mut buffer = BytesMut::new();
    Response::Handle(Bytes::from(vec![7; 257])).encode(1, &mut buffer);
    assert_eq!(
        ServerPacket::decode(only_frame(buffer)),
        Err(Malformed::LongHandle { length: 257 })
    );
}

#[test]
fn data_is_a_slice_of_the_read_buffer_and_a_name_is_not() {
    let mut buffer = BytesMut::new();
    Response::Data(Bytes::from_static(b"contents")).encode(1, &mut buffer);
    let frame = only_frame(buffer);
    let Ok(ServerPacket::Response {
        response: Response::Data(data),
        ..
    }) = ServerPacket::decode(frame.clone())
    else {
        panic!("data");
    };
    assert!(frame.as_ptr_range().contains(&data.as_ptr()));

    let mut buffer = BytesMut::new();
    let (name, long_name) = (Bytes::from_static(b"name"), Bytes::new());
    Response::Name(vec![Name {
        name,
        long_name,
        attributes: Attributes::default(),
    }])
    .encode(1, &mut buffer);
    let frame = only_frame(buffer);
    let Ok(ServerPacket::Response {
        response: Response::Name(names),
        ..
    }) = ServerPacket::decode(frame.clone())
    else {
        panic!("names");
    };
    assert!(!frame.as_ptr_range().contains(&names[0].name.as_ptr()));
}

#[test]
fn a_read_request_is_laid_out_as_the_draft_says() {
    let mut buffer = BytesMut::new();
    Request::Read {
        handle: Bytes::from_static(b"h"),
        offset: 0x0102,
        length: 7,
    }
    .encode(9, &mut buffer);
    let expected: &[u8] = &[
        0, 0, 0, 22, 5, 0, 0, 0, 9, 0, 0, 0, 1, b'h', 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 7,
    ];
    assert_eq!(buffer, expected);
}

#[test]
fn limits_and_file_systems_survive_the_wire() {
    let limits = Limits {
        packet_length: 1,
        read_length: 2,
        write_length: 3,
        open_handles: u64::MAX,
    };
    assert_eq!(Limits::decode(limits.encode()), Ok(limits));
    let file_system = FileSystem {
        fragment_size: 4096,
        blocks: 10,
        blocks_available: 3,
        ..FileSystem::default()
    };
    assert_eq!(FileSystem::decode(file_system.encode()), Ok(file_system));
    assert_eq!(
        (file_system.total_bytes(), file_system.available_bytes()),
        (40_960, 12_288)
    );
    assert_eq!(
        Limits::decode(Bytes::from_static(&[0; 33])),
        Err(Malformed::Trailing { bytes: 1 })
    );
}
