//! `gleaner disk`: the size of each device's sources and the free space of its file systems. Changes nothing,
//! and needs neither store nor ledger.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use engine::ports::device::{
    ConnectHints, DeviceFailure, Devices, DiskUse, EntryKind, ListingEnd, Session, SurveyItem,
};
use model::{DeviceName, SourcePath};
use serde_json::{Value, json};
use ssh::{SshDevices, SshSession};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cli;
use crate::commands::Context;
use crate::commands::run::{runtime, stop_signal};
use crate::commands::status::{free_space, times};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;
use crate::report::{self, amount};
use crate::wiring;

/// The number of listing parts that may wait to be counted.
const LISTING_QUEUE: usize = 4;

/// Queries all devices, many at a time. An unreachable device delays no other.
pub fn disk(arguments: &cli::DiskArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    report::start_log(context.global.log_level());
    let replies = runtime()?.block_on(async {
        tokio::select! {
            replies = query_all(&config) => replies.map(Some),
            () = stop_signal() => Ok(None),
        }
    })?;
    let Some(replies) = replies else {
        return Ok(ExitStatus::Interrupted);
    };
    if arguments.json {
        context.output.line(document(&replies))?;
    } else {
        print(&replies, context.output)?;
    }
    Ok(status(&replies))
}

/// The reply of a device, or its failure.
struct DeviceReply {
    device: DeviceName,
    sources: Result<Vec<Source>, DeviceFailure>,
}

/// The reply about one source.
struct Source {
    path: SourcePath,
    disk: Option<DiskUse>,
    contents: Result<Contents, DeviceFailure>,
}

/// The regular files in a source, including withdrawn ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Contents {
    files: u64,
    bytes: u64,
    /// Folders that the login may not list: their files are not counted.
    closed_folders: u64,
}

/// All replies, in the order of the configuration.
async fn query_all(config: &Config) -> Result<Vec<DeviceReply>, Failure> {
    let devices = Arc::new(wiring::devices(config)?);
    let slots = Arc::new(Semaphore::new(config.fleet.parallel));
    let mut queries = JoinSet::new();
    for (index, device) in config.devices.iter().enumerate() {
        let (name, sources) = (device.name.clone(), device.sources.clone());
        let limit = wiring::max_listing_time(&device.rules);
        let (devices, slots) = (devices.clone(), slots.clone());
        queries.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire_owned().await;
            let sources = query(&devices, &name, &sources, limit).await;
            let device = name;
            (index, DeviceReply { device, sources })
        });
    }
    let mut replies = queries.join_all().await;
    replies.sort_by_key(|(index, _)| *index);
    Ok(replies.into_iter().map(|(_, reply)| reply).collect())
}

async fn query(
    devices: &SshDevices,
    device: &DeviceName,
    sources: &[SourcePath],
    limit: Duration,
) -> Result<Vec<Source>, DeviceFailure> {
    let session = devices.connect(device, sources, ConnectHints::default()).await?;
    let replies = count_all(&session, limit).await;
    session.close().await;
    replies
}

async fn count_all(session: &SshSession, limit: Duration) -> Result<Vec<Source>, DeviceFailure> {
    let disks = session.facts().disks.clone();
    let mut replies = Vec::with_capacity(disks.len());
    for (path, disk) in disks {
        let counted = timeout(limit, count(session, &path)).await;
        let contents = counted.unwrap_or_else(|_| Err(listing_timeout(limit)));
        if let Err(failure) = &contents
            && !concerns_source_only(failure)
        {
            return Err(failure.clone());
        }
        replies.push(Source { path, disk, contents });
    }
    Ok(replies)
}

/// Whether the failure concerns this source only: the device can still report its other sources.
fn concerns_source_only(failure: &DeviceFailure) -> bool {
    use model::FailureClass::{Permission, SourceMissing};
    matches!(failure.class, SourceMissing | Permission)
}

fn listing_timeout(limit: Duration) -> DeviceFailure {
    DeviceFailure {
        class: model::FailureClass::Stalled,
        message: format!(
            "the listing did not end within {} s (15 times stall_timeout)",
            limit.as_secs_f64()
        ),
        remedy: None,
    }
}

async fn count(session: &SshSession, source: &SourcePath) -> Result<Contents, DeviceFailure> {
    let (sender, mut items) = mpsc::channel::<Vec<SurveyItem>>(LISTING_QUEUE);
    let counting = async {
        let mut contents = Contents::default();
        while let Some(items) = items.recv().await {
            for item in &items {
                contents.add(item);
            }
        }
        contents
    };
    let (surveyed, contents) = tokio::join!(session.survey(source, sender), counting);
    match surveyed? {
        ListingEnd::Whole => Ok(contents),
        ListingEnd::Cut(failure) => Err(failure),
    }
}

impl Contents {
    fn add(&mut self, item: &SurveyItem) {
        match item {
            SurveyItem::Entry(entry) if entry.kind == EntryKind::File => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(entry.identity.size);
            }
            SurveyItem::Unlistable(_) => self.closed_folders += 1,
            SurveyItem::Entry(_) | SurveyItem::Refused(..) => {}
        }
    }
}

fn status(replies: &[DeviceReply]) -> ExitStatus {
    let failures = || {
        replies.iter().flat_map(|reply| match &reply.sources {
            Err(failure) => vec![failure],
            Ok(sources) => sources
                .iter()
                .filter_map(|source| source.contents.as_ref().err())
                .collect(),
        })
    };
    if failures().any(|failure| !failure.class.is_unreachable()) {
        ExitStatus::Partial
    } else if failures().next().is_some() {
        ExitStatus::Unreachable
    } else {
        ExitStatus::Well
    }
}

fn document(replies: &[DeviceReply]) -> Value {
    let devices = replies.iter().map(|reply| {
        json!({
            "name": reply.device.as_str(),
            "failure": reply.sources.as_ref().err().map(failure),
            "sources": reply.sources.as_ref().map_or(json!([]), |sources| sources.iter().map(source).collect()),
        })
    });
    json!({ "at": times::rfc3339(times::now()), "devices": devices.collect::<Value>() })
}

fn source(source: &Source) -> Value {
    let contents = source.contents.as_ref();
    json!({
        "source": source.path.to_string(),
        "contents": contents.ok().map(|contents| json!({ "files": contents.files, "bytes": contents.bytes })),
        "closed_folders": contents.ok().map(|contents| contents.closed_folders),
        "failure": contents.err().map(failure),
        "disk": source.disk.map(|disk| json!({ "total": disk.total, "available": disk.available })),
    })
}

fn failure(failure: &DeviceFailure) -> Value {
    json!({
        "class": failure.class.code(),
        "meaning": failure.class.meaning(),
        "message": failure.message,
        "remedy": failure.remedy(),
    })
}

const HEADINGS: [&str; 5] = ["DEVICE", "SOURCE", "FILES", "SIZE", "FILE SYSTEM"];

fn print(replies: &[DeviceReply], output: &mut Output) -> io::Result<()> {
    let rows: Vec<[String; 5]> = replies.iter().flat_map(rows).collect();
    let headings = HEADINGS.map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&headings]) {
        // Text without a column is in the last column, or on its own line.
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let [device, source, files, size, _] = widths;
    for row in [headings].iter().chain(&rows) {
        let [name, path, count, bytes, disk] = row;
        let line = format!("{name:device$}  {path:source$}  {count:>files$}  {bytes:>size$}  {disk}");
        output.line(line.trim_end())?;
    }
    for reply in replies {
        match &reply.sources {
            Err(failure) => print_failure(&reply.device.to_string(), failure, output)?,
            Ok(sources) => {
                for source in sources {
                    if let Err(failure) = &source.contents {
                        let subject = format!("{}, {}", reply.device, source.path);
                        print_failure(&subject, failure, output)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn print_failure(subject: &str, failure: &DeviceFailure, output: &mut Output) -> io::Result<()> {
    output.line(format_args!("\n{subject}: {}", failure.class.meaning()))?;
    output.line(format_args!("  {}", failure.message))?;
    output.line(format_args!("  -> {}", failure.remedy()))
}

fn rows(reply: &DeviceReply) -> Vec<[String; 5]> {
    let device = reply.device.to_string();
    let none = || "-".to_owned();
    match &reply.sources {
        Err(failure) => vec![[device, none(), none(), none(), failure.class.code().to_owned()]],
        Ok(sources) => sources
            .iter()
            .map(|source| {
                let (files, size) = match &source.contents {
                    Ok(contents) => (amount::grouped(contents.files), amount::bytes(contents.bytes)),
                    Err(failure) => (none(), failure.class.code().to_owned()),
                };
                let mut disk = source.disk.map_or_else(none, free_space);
                if let Ok(Contents {
                    closed_folders: folders @ 1..,
                    ..
                }) = &source.contents
                {
                    disk = format!("{disk} ({} not listed)", amount::count(*folders, "folder"));
                }
                [device.clone(), source.path.to_string(), files, size, disk]
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FailureClass;

    fn reply(name: &str, sources: Result<Vec<Source>, DeviceFailure>) -> DeviceReply {
        let device = DeviceName::new(name).unwrap();
        DeviceReply { device, sources }
    }

    fn well() -> Source {
        Source {
            path: SourcePath::new("/data").unwrap(),
            disk: Some(DiskUse {
                total: 32_000_000_000,
                available: 8_000_000_000,
            }),
            contents: Ok(Contents {
                files: 12_345,
                bytes: 1_500_000_000,
                closed_folders: 0,
            }),
        }
    }

    fn failed(class: FailureClass) -> DeviceFailure {
        DeviceFailure {
            class,
            message: "ssh's words".into(),
            remedy: None,
        }
    }

    #[test]
    fn an_unreachable_device_has_another_status_than_a_failed_one() {
        let mut replies = vec![reply("hive1", Ok(vec![well()]))];
        assert_eq!(status(&replies), ExitStatus::Well);
        replies.push(reply("hive2", Err(failed(FailureClass::TunnelDown))));
        assert_eq!(status(&replies), ExitStatus::Unreachable);
        let missing = Source {
            contents: Err(failed(FailureClass::SourceMissing)),
            ..well()
        };
        replies.push(reply("hive3", Ok(vec![well(), missing])));
        assert_eq!(status(&replies), ExitStatus::Partial);
    }

    #[test]
    fn every_device_has_its_line_and_every_failure_its_reason() {
        let closed = Source {
            contents: Ok(Contents {
                closed_folders: 2,
                ..Contents::default()
            }),
            disk: None,
            ..well()
        };
        let replies = [
            reply("hive1", Ok(vec![well(), closed])),
            reply("hive2", Err(failed(FailureClass::TunnelDown))),
        ];
        let shared = SharedBuffer::default();
        let mut output = Output::to(shared.clone());
        print(&replies, &mut output).unwrap();
        output.flush().unwrap();
        let text = shared.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "DEVICE  SOURCE   FILES    SIZE  FILE SYSTEM");
        assert_eq!(lines[1], "hive1   /data   12,345  1.5 GB  8.0 GB free of 32.0 GB");
        assert_eq!(
            lines[2],
            "hive1   /data        0     0 B  - (2 folders not listed)"
        );
        assert_eq!(lines[3], "hive2   -            -       -  tunnel-down");
        assert!(
            lines[5].starts_with("hive2: ") && lines[6].contains("ssh's words"),
            "{text}"
        );
        let document = document(&replies);
        assert_eq!(document["devices"][0]["sources"][0]["contents"]["files"], 12_345);
        assert_eq!(document["devices"][1]["failure"]["class"], "tunnel-down");
        assert_eq!(document["devices"][1]["sources"], json!([]));
    }

    #[test]
    fn a_source_that_cannot_be_listed_has_its_remedy() {
        let missing = Source {
            contents: Err(failed(FailureClass::SourceMissing)),
            ..well()
        };
        let shared = SharedBuffer::default();
        let mut output = Output::to(shared.clone());
        print(&[reply("hive1", Ok(vec![missing]))], &mut output).unwrap();
        output.flush().unwrap();
        let text = shared.text();
        assert!(text.contains("\nhive1, /data: "), "{text}");
        let remedy = format!("\n  -> {}\n", FailureClass::SourceMissing.remedy());
        assert!(text.ends_with(&remedy), "{text}");
    }

    #[derive(Clone, Default)]
    struct SharedBuffer(Arc<std::sync::Mutex<Vec<u8>>>);

    impl SharedBuffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for SharedBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
