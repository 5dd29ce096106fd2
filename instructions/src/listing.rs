//! The reply of the device's script to a survey, until it reaches the engine.

use engine::ports::{Session as _, SurveyItem};
use model::{DeviceName, SourcePath};
use ssh::{SshSession, fuzzing};
use tokio::sync::mpsc;

use crate::{Work, file_name, runtime, sftp_client};

/// How many batches of a survey may wait: the same queue as in the engine.
const QUEUE: usize = 4;

pub(crate) fn survey(count: usize) -> Work {
    let runtime = runtime();
    let session = runtime.block_on(session(&said(count)));
    Box::new(move || {
        runtime.block_on(async {
            let (items, mut taken) = mpsc::channel::<Vec<SurveyItem>>(QUEUE);
            let consume = async {
                let mut files = 0;
                while let Some(batch) = taken.recv().await {
                    files += batch
                        .iter()
                        .filter(|item| matches!(item, SurveyItem::Entry(_)))
                        .count();
                }
                files
            };
            let source = source();
            let (surveyed, files) = tokio::join!(session.survey(&source, items), consume);
            surveyed.unwrap();
            files
        })
    })
}

pub(crate) fn source() -> SourcePath {
    SourcePath::new("/data").unwrap()
}

/// A session with a device that has all tools and sends `said` when asked.
pub(crate) async fn session(said: &[u8]) -> SshSession {
    let tag = fuzzing::TAG;
    let facts = [
        "ready",
        "boot e540966f-acc0-4bcb-b41b-700e49852b8d",
        "uptime 24054.18",
        "user 0",
        "sees_others",
        "find d 65024 2 4096 1795369300.4511769150 1795369300.4511769150 0",
        "stat 65024 2 4096 1795369300.451176915 1795369300.451176915 0 41ed",
        "digests openssl",
        "perl",
        "disk /dev/vda 264212084 50868984 44416904 54% /",
        "clock 1795370892.811597290",
        "end",
    ];
    let facts = facts.map(|fact| format!("{tag} {fact}\n")).concat();
    let answers = [b"\n", facts.as_bytes(), said].concat();
    let files = sftp_client::client(0).await;
    let device = DeviceName::new("device").unwrap();
    let answers = std::io::Cursor::new(answers);
    let begun = fuzzing::session(device, answers, files, &[source()], None).await;
    begun.expect("the device's replies are valid")
}

/// Ten open files, then a line for each file.
fn said(count: usize) -> Vec<u8> {
    let open = (4_386_947..).take(10).map(|inode| format!("o 15 {inode} 1180\0"));
    let mapped = "m 7f0000-7f1000 rw-s 00000000 08:02 131                      /data/a b\n\0".to_owned();
    let files = (0..count).map(|number| {
        let (inode, name) = (10_200_645 + number, file_name(number));
        format!("f f 65024 {inode} 20480 1795370892.4011996940 1795370892.4013997920 0 {name}\0")
    });
    let end = format!("E{}\0", fuzzing::TAG);
    open.chain([mapped])
        .chain(files)
        .chain([end])
        .collect::<String>()
        .into_bytes()
}
