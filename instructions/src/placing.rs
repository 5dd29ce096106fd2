//! How files get their names in the store.

use engine::placement::{Layout, LayoutPart, NameRule, Subject, place};
use model::{DeviceName, Digest, SourcePath, Timestamp};

use crate::{Work, path};

/// The default layout: the device, and the unchanged path.
pub(crate) fn by_path(count: usize) -> Work {
    let parts = vec![
        LayoutPart::Device,
        LayoutPart::Literal("/".to_owned()),
        LayoutPart::Path,
    ];
    place_all(parts, NameRule::Bytes, count)
}

/// Everything that costs more: a time, and names that Windows accepts.
pub(crate) fn by_template(count: usize) -> Work {
    let parts = vec![
        LayoutPart::Device,
        LayoutPart::Literal("/".to_owned()),
        LayoutPart::Modified("%Y/%m-%d".to_owned()),
        LayoutPart::Literal("/".to_owned()),
        LayoutPart::Folder,
        LayoutPart::Literal("/".to_owned()),
        LayoutPart::Stem,
        LayoutPart::Literal(" 12:00.".to_owned()),
        LayoutPart::Extension,
    ];
    place_all(parts, NameRule::Portable, count)
}

fn place_all(parts: Vec<LayoutPart>, names: NameRule, count: usize) -> Work {
    let layout = Layout { parts };
    let device = DeviceName::new("raspberry1").unwrap();
    let source = SourcePath::new("/home/pi/beephotos").unwrap();
    let digest = Digest::from_bytes([0xab; 32]);
    let paths: Vec<_> = (0..count).map(path).collect();
    Box::new(move || {
        let placed = |path| {
            let subject = Subject {
                device: &device,
                source: &source,
                path,
                modified: Timestamp::from_seconds(1_700_000_000),
                digest: &digest,
                max_component: 255,
            };
            place(&layout, names, &subject)
        };
        paths.iter().filter(|path| placed(path).is_ok()).count()
    })
}
