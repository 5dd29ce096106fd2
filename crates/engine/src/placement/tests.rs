use super::*;

fn digest() -> Digest {
    Digest::from_bytes([0xab; 32])
}

fn placed(parts: Vec<LayoutPart>, names: NameRule, path: &[u8]) -> String {
    let subject = Subject {
        device: &DeviceName::new("raspberry7").unwrap(),
        source: &SourcePath::new("/home/pi/beephotos").unwrap(),
        path: &RelativePath::new(path).unwrap(),
        modified: Timestamp::from_seconds(1_700_000_000),
        digest: &digest(),
        max_component: 255,
    };
    place(&Layout { parts }, names, &subject).unwrap().to_string()
}

fn standard() -> Vec<LayoutPart> {
    vec![
        LayoutPart::Device,
        LayoutPart::Literal("/".into()),
        LayoutPart::Path,
    ]
}

#[test]
fn a_file_is_placed_by_its_layout() {
    assert_eq!(
        placed(standard(), NameRule::Bytes, b"day/a.np"),
        "raspberry7/day/a.np"
    );
    let by_day = vec![
        LayoutPart::Source,
        LayoutPart::Literal("/".into()),
        LayoutPart::Modified("%Y/%m-%d".into()),
        LayoutPart::Literal("/".into()),
        LayoutPart::Device,
        LayoutPart::Literal("-".into()),
        LayoutPart::Stem,
        LayoutPart::Literal(".".into()),
        LayoutPart::Extension,
    ];
    assert_eq!(
        placed(by_day, NameRule::Bytes, b"x/a.b.np"),
        "beephotos/2023/11-14/raspberry7-a.b.np"
    );
    let flat = vec![
        LayoutPart::Folder,
        LayoutPart::Literal("/".into()),
        LayoutPart::Name,
    ];
    assert_eq!(placed(flat.clone(), NameRule::Bytes, b"a"), "a");
    assert_eq!(placed(flat, NameRule::Bytes, b"f/a"), "f/a");
}

#[test]
fn no_component_names_the_control_folder() {
    let path_only = vec![LayoutPart::Path];
    for (name, expected) in [
        (&b".gleaner/x"[..], ".gleaner~/x"),
        (b".GLEANER. ./x", ".GLEANER. .~/x"),
        (b".gleaner-other/x", ".gleaner-other/x"),
    ] {
        assert_eq!(placed(path_only.clone(), NameRule::Bytes, name), expected);
    }
}

#[test]
fn a_component_is_never_only_dots() {
    let by_extension = vec![
        LayoutPart::Extension,
        LayoutPart::Literal("/".into()),
        LayoutPart::Stem,
    ];
    assert_eq!(placed(by_extension.clone(), NameRule::Bytes, b"..np"), "np/.~");
    assert_eq!(placed(by_extension.clone(), NameRule::Bytes, b"...np"), "np/..~");
    assert_eq!(placed(by_extension, NameRule::Portable, b"..np"), "np/%2E");
}

#[test]
fn portable_names_contain_nothing_that_smb_rejects() {
    for (name, expected) in [
        (&b"a:b?.jpg"[..], "raspberry7/a%3Ab%3F.jpg"),
        (b"aux.txt", "raspberry7/aux~.txt"),
        (b"NUL", "raspberry7/NUL~"),
        (b"con .tar.gz", "raspberry7/con ~.tar.gz"),
        ("COM\u{b2}".as_bytes(), "raspberry7/COM\u{b2}~"),
        (b"com10.txt", "raspberry7/com10.txt"),
        (b"end. ", "raspberry7/end.%20"),
        (b"\xff\n", "raspberry7/%FF%0A"),
    ] {
        assert_eq!(placed(standard(), NameRule::Portable, name), expected);
    }
}

#[test]
fn a_conflict_name_depends_on_the_content_alone() {
    let mut names = StoreNames::new(&RelativePath::new("d/photo.tar.gz").unwrap(), digest(), 255);
    assert_eq!(names.current().unwrap().to_string(), "d/photo.tar.gz");
    assert!(names.advance_name());
    assert_eq!(names.current().unwrap().to_string(), "d/photo.tar~abababab.gz");
    assert!(names.advance_name());
    assert!(names.advance_name());
    assert_eq!(
        names.current().unwrap().to_string(),
        format!("d/photo.tar~{}.gz", "ab".repeat(32))
    );
    assert!(!names.advance_name());
    assert!(!names.advance_folder(9));
}

#[test]
fn an_obstructed_folder_is_replaced_by_one_for_all_its_files() {
    let replaced = |name: &str, digest: u8| {
        let name = RelativePath::new(name).unwrap();
        let mut names = StoreNames::new(&name, Digest::from_bytes([digest; 32]), 255);
        assert!(names.advance_folder(1));
        names.current().unwrap().to_string()
    };
    let (one, other) = (replaced("r1/day.d/a", 1), replaced("r1/day.d/b/c", 2));
    let folder = one.strip_suffix("/a").unwrap();
    assert!(folder.starts_with("r1/day~"), "{folder}");
    assert_eq!(other, format!("{folder}/b/c"));
    // A folder of the same name elsewhere gets another replacement.
    assert_ne!(replaced("r2/day.d/a", 1).replacen("r2", "r1", 1), one);
}

#[test]
fn a_hidden_file_has_no_extension() {
    let mut names = StoreNames::new(&RelativePath::new("d/.hidden").unwrap(), digest(), 255);
    assert!(names.advance_name());
    assert_eq!(names.current().unwrap().to_string(), "d/.hidden~abababab");
}

#[test]
fn a_name_of_exactly_the_maximum_length_is_unchanged() {
    let name = "x".repeat(255);
    assert_eq!(
        placed(vec![LayoutPart::Path], NameRule::Bytes, name.as_bytes()),
        name
    );
}

#[test]
fn a_conflict_name_never_exceeds_the_maximum_length() {
    for name in [
        [b"x".repeat(251), b".jpg".to_vec()].concat(),
        "\u{1f41d}".repeat(63).into_bytes(),
        [b"a.".to_vec(), b"e".repeat(253)].concat(),
    ] {
        let mut names = StoreNames::new(&RelativePath::new(name.clone()).unwrap(), digest(), 255);
        while names.advance_name() {
            let current = names.current().unwrap();
            assert!(current.as_bytes().len() <= 255, "{current}");
            assert_eq!(
                std::str::from_utf8(&name).is_ok(),
                std::str::from_utf8(current.as_bytes()).is_ok()
            );
        }
    }
    assert_eq!(
        placed(standard(), NameRule::Portable, &b"?".repeat(200)).len(),
        "raspberry7/".len() + 255
    );
}
