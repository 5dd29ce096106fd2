//! `gleaner disk`: the size of each device's sources and the free space of its file systems. Changes nothing,
//! and needs neither store nor ledger.

use std::io;
use std::sync::Arc;

use engine::ports::device::DeviceFailure;
use engine::probe::{Contents, ProbedSource, probe};
use model::DeviceName;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cli;
use crate::commands::Context;
use crate::commands::run::{runtime, stop_signal};
use crate::commands::status::{free_space, times};
use crate::config::Config;
use crate::exit::{ExitStatus, Failure};
use crate::output::Output;
use crate::report::{self, amount};
use crate::wiring;

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
    sources: Result<Vec<ProbedSource>, DeviceFailure>,
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
            let probed = probe(&*devices, &name, &sources, limit).await;
            let reply = DeviceReply {
                device: name,
                sources: probed.map(|device| device.sources),
            };
            (index, reply)
        });
    }
    let mut replies = queries.join_all().await;
    replies.sort_by_key(|(index, _)| *index);
    Ok(replies.into_iter().map(|(_, reply)| reply).collect())
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

fn source(source: &ProbedSource) -> Value {
    let contents = source.contents.as_ref();
    json!({
        "source": source.path.to_string(),
        "contents": contents.ok().map(|contents| json!({ "files": contents.files.files, "bytes": contents.files.bytes })),
        "closed_folders": contents.ok().map(|contents| contents.unlistable),
        "failure": contents.err().map(failure),
        "disk": source.disk.map(|disk| json!({ "total": disk.total, "available": disk.available })),
    })
}

fn failure(failure: &DeviceFailure) -> Value {
    json!({
        "class": failure.class.code(),
        "meaning": failure.class.meaning(),
        "message": failure.text(),
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
    output.line(format_args!("  {failure}"))?;
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
                    Ok(contents) => (
                        amount::grouped(contents.files.files),
                        amount::bytes(contents.files.bytes),
                    ),
                    Err(failure) => (none(), failure.class.code().to_owned()),
                };
                let mut disk = source.disk.map_or_else(none, free_space);
                if let Ok(Contents {
                    unlistable: folders @ 1..,
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
    use engine::ports::DiskUse;
    use model::{Amount, FailureClass, SourcePath};

    fn reply(name: &str, sources: Result<Vec<ProbedSource>, DeviceFailure>) -> DeviceReply {
        let device = DeviceName::new(name).unwrap();
        DeviceReply { device, sources }
    }

    fn well() -> ProbedSource {
        ProbedSource {
            path: SourcePath::new("/data").unwrap(),
            disk: Some(DiskUse {
                total: 32_000_000_000,
                available: 8_000_000_000,
            }),
            contents: Ok(Contents {
                files: Amount::new(12_345, 1_500_000_000),
                unlistable: 0,
            }),
        }
    }

    fn failed(class: FailureClass) -> DeviceFailure {
        DeviceFailure::new(class, "ssh's words")
    }

    #[test]
    fn an_unreachable_device_has_another_status_than_a_failed_one() {
        let mut replies = vec![reply("hive1", Ok(vec![well()]))];
        assert_eq!(status(&replies), ExitStatus::Well);
        replies.push(reply("hive2", Err(failed(FailureClass::TunnelDown))));
        assert_eq!(status(&replies), ExitStatus::Unreachable);
        let missing = ProbedSource {
            contents: Err(failed(FailureClass::SourceMissing)),
            ..well()
        };
        replies.push(reply("hive3", Ok(vec![well(), missing])));
        assert_eq!(status(&replies), ExitStatus::Partial);
    }

    #[test]
    fn every_device_has_its_line_and_every_failure_its_reason() {
        let closed = ProbedSource {
            contents: Ok(Contents {
                unlistable: 2,
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
        let missing = ProbedSource {
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
