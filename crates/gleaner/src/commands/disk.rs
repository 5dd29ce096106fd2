//! `gleaner disk`: how large the sources of each device are, and how full its file systems. Changes nothing, and needs neither
//! store nor ledger.

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

/// Parts of a listing that may wait to be counted.
const LISTING_QUEUE: usize = 4;

/// Asks each device, many at once. A device that cannot be reached holds up no other.
pub fn disk(arguments: &cli::DiskArgs, context: &mut Context<'_>) -> Result<ExitStatus, Failure> {
    let config = context.configuration()?;
    report::start_log(context.global.log_level());
    let answers = runtime()?.block_on(async {
        tokio::select! {
            answers = ask_all(&config) => answers.map(Some),
            () = stop_signal() => Ok(None),
        }
    })?;
    let Some(answers) = answers else {
        return Ok(ExitStatus::Interrupted);
    };
    if arguments.json {
        context.output.line(document(&answers))?;
    } else {
        print(&answers, context.output)?;
    }
    Ok(status(&answers))
}

/// What a device said, or why it said nothing.
struct Answer {
    device: DeviceName,
    sources: Result<Vec<Source>, DeviceFailure>,
}

/// What a device said of one of its sources.
struct Source {
    path: SourcePath,
    disk: Option<DiskUse>,
    contents: Result<Contents, DeviceFailure>,
}

/// The regular files in a source, those that lie withdrawn among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Contents {
    files: u64,
    bytes: u64,
    /// Folders that the device does not let us list: what is in them is not counted.
    closed_folders: u64,
}

/// All answers, in the order of the configuration.
async fn ask_all(config: &Config) -> Result<Vec<Answer>, Failure> {
    let devices = Arc::new(wiring::devices(config)?);
    let turns = Arc::new(Semaphore::new(config.fleet.parallel));
    let mut asking = JoinSet::new();
    for (place, device) in config.devices.iter().enumerate() {
        let (name, sources) = (device.name.clone(), device.sources.clone());
        let limit = wiring::max_listing_time(&device.rules);
        let (devices, turns) = (devices.clone(), turns.clone());
        asking.spawn(async move {
            // The semaphore is never closed.
            let _turn = turns.acquire_owned().await;
            let sources = ask(&devices, &name, &sources, limit).await;
            let device = name;
            (place, Answer { device, sources })
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

async fn ask(
    devices: &SshDevices,
    device: &DeviceName,
    sources: &[SourcePath],
    limit: Duration,
) -> Result<Vec<Source>, DeviceFailure> {
    let session = devices.connect(device, sources, ConnectHints::default()).await?;
    let answers = count_all(&session, limit).await;
    session.close().await;
    answers
}

async fn count_all(session: &SshSession, limit: Duration) -> Result<Vec<Source>, DeviceFailure> {
    let disks = session.facts().disks.clone();
    let mut answers = Vec::with_capacity(disks.len());
    for (path, disk) in disks {
        let counted = timeout(limit, count(session, &path)).await;
        let contents = counted.unwrap_or_else(|_| Err(no_end(limit)));
        if let Err(failure) = &contents
            && !concerns_the_source_only(failure)
        {
            return Err(failure.clone());
        }
        answers.push(Source { path, disk, contents });
    }
    Ok(answers)
}

/// Whether the device may still be asked about another source.
fn concerns_the_source_only(failure: &DeviceFailure) -> bool {
    use model::FailureClass::{Permission, SourceMissing};
    matches!(failure.class, SourceMissing | Permission)
}

fn no_end(limit: Duration) -> DeviceFailure {
    DeviceFailure {
        class: model::FailureClass::Stalled,
        message: format!(
            "the listing had not come to its end after {} s (15 times stall_timeout)",
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

fn status(answers: &[Answer]) -> ExitStatus {
    let failures = || {
        answers.iter().flat_map(|answer| match &answer.sources {
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

fn document(answers: &[Answer]) -> Value {
    let devices = answers.iter().map(|answer| {
        json!({
            "name": answer.device.as_str(),
            "failure": answer.sources.as_ref().err().map(failure),
            "sources": answer.sources.as_ref().map_or(json!([]), |sources| sources.iter().map(source).collect()),
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

fn print(answers: &[Answer], output: &mut Output) -> io::Result<()> {
    let rows: Vec<[String; 5]> = answers.iter().flat_map(rows).collect();
    let headings = HEADINGS.map(str::to_owned);
    let mut widths = [0; 5];
    for row in rows.iter().chain([&headings]) {
        // What is told in words stands in the last column, or alone.
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
    for answer in answers {
        match &answer.sources {
            Err(failure) => print_failure(&answer.device.to_string(), failure, output)?,
            Ok(sources) => {
                for source in sources {
                    if let Err(failure) = &source.contents {
                        let place = format!("{}, {}", answer.device, source.path);
                        print_failure(&place, failure, output)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn print_failure(place: &str, failure: &DeviceFailure, output: &mut Output) -> io::Result<()> {
    output.line(format_args!("\n{place}: {}", failure.class.meaning()))?;
    output.line(format_args!("  {}", failure.message))?;
    output.line(format_args!("  -> {}", failure.remedy()))
}

fn rows(answer: &Answer) -> Vec<[String; 5]> {
    let device = answer.device.to_string();
    let none = || "-".to_owned();
    match &answer.sources {
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

    fn answer(name: &str, sources: Result<Vec<Source>, DeviceFailure>) -> Answer {
        let device = DeviceName::new(name).unwrap();
        Answer { device, sources }
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
    fn a_device_that_cannot_be_reached_is_told_from_one_that_somebody_must_mend() {
        let mut answers = vec![answer("hive1", Ok(vec![well()]))];
        assert_eq!(status(&answers), ExitStatus::Well);
        answers.push(answer("hive2", Err(failed(FailureClass::TunnelDown))));
        assert_eq!(status(&answers), ExitStatus::Unreachable);
        let missing = Source {
            contents: Err(failed(FailureClass::SourceMissing)),
            ..well()
        };
        answers.push(answer("hive3", Ok(vec![well(), missing])));
        assert_eq!(status(&answers), ExitStatus::Partial);
    }

    #[test]
    fn every_device_has_its_line_and_what_failed_its_reason() {
        let closed = Source {
            contents: Ok(Contents {
                closed_folders: 2,
                ..Contents::default()
            }),
            disk: None,
            ..well()
        };
        let answers = [
            answer("hive1", Ok(vec![well(), closed])),
            answer("hive2", Err(failed(FailureClass::TunnelDown))),
        ];
        let shared = Shared::default();
        let mut output = Output::to(shared.clone());
        print(&answers, &mut output).unwrap();
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
        let document = document(&answers);
        assert_eq!(document["devices"][0]["sources"][0]["contents"]["files"], 12_345);
        assert_eq!(document["devices"][1]["failure"]["class"], "tunnel-down");
        assert_eq!(document["devices"][1]["sources"], json!([]));
    }

    #[test]
    fn a_source_that_cannot_be_listed_has_its_remedy_too() {
        let missing = Source {
            contents: Err(failed(FailureClass::SourceMissing)),
            ..well()
        };
        let shared = Shared::default();
        let mut output = Output::to(shared.clone());
        print(&[answer("hive1", Ok(vec![missing]))], &mut output).unwrap();
        output.flush().unwrap();
        let text = shared.text();
        assert!(text.contains("\nhive1, /data: "), "{text}");
        let remedy = format!("\n  -> {}\n", FailureClass::SourceMissing.remedy());
        assert!(text.ends_with(&remedy), "{text}");
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
