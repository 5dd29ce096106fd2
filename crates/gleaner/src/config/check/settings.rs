//! What `[defaults]` and `[[device]]` have in common: checked where it stands, then merged.

use std::num::NonZeroU64;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::values::{Checker, Limits, shown};
use crate::config::exclude::Exclude;
use crate::config::findings::Findings;
use crate::config::meant::{Bandwidth, Compress, Release, Rules};
use crate::config::quantity;
use crate::config::template::Template;
use crate::config::written::{self, At, OneOrMany, RateText, Text};

/// Long enough for a camera to come back to a file, short enough for nobody to wait for it.
const SETTLE: Duration = Duration::from_secs(30);
/// Longer than a writer that cannot be seen is expected to pause.
const SETTLE_BLIND: Duration = Duration::from_mins(10);
/// Longer than a busy card in a small computer stops to answer.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Below that, a device that works looks like one that has stalled.
const LEAST_BANDWIDTH: u64 = 1000;

/// Checked settings; what is absent, or was wrong and has been reported, is `None`.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// `Some` and short of elements where some were wrong.
    pub(super) source: Option<At<Rc<[At<Template>]>>>,
    pub(super) host: Option<At<Template>>,
    pub(super) port: Option<At<Template>>,
    pub(super) user: Option<At<Template>>,
    pub(super) identity: Option<At<Template>>,
    pub(super) jump: Option<At<Template>>,
    settle: Option<At<Duration>>,
    settle_blind: Option<At<Duration>>,
    stall_timeout: Option<Duration>,
    exclude: Option<Exclude>,
    done_suffix: Option<String>,
    release: Option<Release>,
    prune_empty: Option<bool>,
    compress: Option<Compress>,
    bandwidth: Option<Bandwidth>,
}

impl Settings {
    pub(super) fn check(written: &written::Settings, findings: &mut Findings<'_>) -> Self {
        let template = |key, written: &Option<At<written::TemplateText>>, findings: &mut Findings<'_>| {
            let written = written.as_ref()?;
            template(key, &written.value.0, &written.span, findings)
        };
        let host = template("host", &written.host, findings);
        let user = template("user", &written.user, findings);
        let identity = template("identity", &written.identity, findings);
        let jump = template("jump", &written.jump, findings);
        let port = written.port.as_ref();
        let port = port.and_then(|port| self::template("port", &port.value.0, &port.span, findings));
        let source = written.source.as_ref().map(|source| sources(source, findings));
        let exclude = written
            .exclude
            .as_ref()
            .and_then(|exclude| self::exclude(exclude, findings));
        let bandwidth = written
            .bandwidth
            .as_ref()
            .and_then(|rate| bandwidth(rate, findings));
        let done_suffix = written
            .done_suffix
            .as_ref()
            .and_then(|suffix| done_suffix(suffix, findings));
        let mut checker = Checker {
            findings,
            file: Path::new(""),
        };
        let mut settles = |key, written: &Option<At<written::DurationText>>| {
            let written = written.as_ref()?;
            let value = checker.duration(key, written, Limits::SETTLES)?;
            Some(At {
                value,
                span: written.span.clone(),
            })
        };
        let settle = settles("settle", &written.settle);
        let settle_blind = settles("settle_blind", &written.settle_blind);
        let stall_timeout = written.stall_timeout.as_ref();
        let compress = written.compress.as_ref().map(|compress| At {
            value: Text(compress.value.0.clone()),
            span: compress.span.clone(),
        });
        Self {
            source,
            host,
            port,
            user,
            identity,
            jump,
            settle,
            settle_blind,
            stall_timeout: stall_timeout
                .and_then(|time| checker.duration("stall_timeout", time, Limits::WAITS)),
            exclude,
            done_suffix,
            release: written
                .release
                .as_ref()
                .and_then(|word| checker.word("release", word)),
            prune_empty: written.prune_empty.as_ref().map(|switch| switch.value.0),
            compress: compress.and_then(|word| checker.word("compress", &word)),
            bandwidth,
        }
    }

    /// These settings, and where they say nothing, the others.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            source: self.source.or(defaults.source),
            host: self.host.or(defaults.host),
            port: self.port.or(defaults.port),
            user: self.user.or(defaults.user),
            identity: self.identity.or(defaults.identity),
            jump: self.jump.or(defaults.jump),
            settle: self.settle.or(defaults.settle),
            settle_blind: self.settle_blind.or(defaults.settle_blind),
            stall_timeout: self.stall_timeout.or(defaults.stall_timeout),
            exclude: self.exclude.or(defaults.exclude),
            done_suffix: self.done_suffix.or(defaults.done_suffix),
            release: self.release.or(defaults.release),
            prune_empty: self.prune_empty.or(defaults.prune_empty),
            compress: self.compress.or(defaults.compress),
            bandwidth: self.bandwidth.or(defaults.bandwidth),
        }
    }

    /// What holds for the files, with the defaults for what nobody said.
    pub(super) fn rules(&self, findings: &mut Findings<'_>) -> Rules {
        let settle = self.settle.as_ref().map_or(SETTLE, |settle| settle.value);
        if let Some(blind) = self.settle_blind.as_ref().filter(|blind| blind.value < settle) {
            let text = format!(
                "`settle_blind` is {}, which is less than `settle`, {}",
                quantity::show_duration(blind.value),
                quantity::show_duration(settle)
            );
            let finding = findings.warning(blind.span.clone(), text);
            finding.help(
                "where less can be seen, it is better waited longer: write at least as much as `settle`",
            );
        }
        Rules {
            settle,
            settle_blind: self
                .settle_blind
                .as_ref()
                .map_or(SETTLE_BLIND.max(settle), |blind| blind.value),
            stall_timeout: self.stall_timeout.unwrap_or(STALL_TIMEOUT),
            exclude: self.exclude.clone().unwrap_or_default(),
            done_suffix: self.done_suffix.clone(),
            release: self.release.unwrap_or(Release::Delete),
            prune_empty: self.prune_empty.unwrap_or(false),
            compress: self.compress.unwrap_or(Compress::Auto),
            bandwidth: self.bandwidth.unwrap_or(Bandwidth::Unlimited),
        }
    }
}

/// Reads a template, wherever it stands.
pub(super) fn template(
    key: &str,
    text: &str,
    span: &std::ops::Range<usize>,
    findings: &mut Findings<'_>,
) -> Option<At<Template>> {
    match Template::parse(text) {
        Ok(value) => Some(At {
            value,
            span: span.clone(),
        }),
        Err(problem) => {
            findings.error(span.clone(), format!("`{key}` {problem}"));
            None
        }
    }
}

fn sources(written: &At<OneOrMany>, findings: &mut Findings<'_>) -> At<Rc<[At<Template>]>> {
    if written.value.0.is_empty() {
        let finding = findings.error(written.span.clone(), "`source` is an empty list");
        finding.help("name the folder that is to be emptied, such as \"/home/pi/beephotos\"");
    }
    let templates = written
        .texts()
        .filter_map(|(text, span)| template("source", text, &span, findings));
    At {
        value: templates.collect(),
        span: written.span.clone(),
    }
}

fn exclude(written: &At<OneOrMany>, findings: &mut Findings<'_>) -> Option<Exclude> {
    let mut patterns = Vec::new();
    for (pattern, span) in written.texts() {
        match Exclude::check(pattern) {
            Ok(()) => patterns.push(pattern.to_owned()),
            Err(problem) => {
                let finding = findings.error(span, format!("`exclude` {} {problem}", shown(pattern)));
                finding.help("write patterns such as \"*.tmp\", \"/thumbnails/\" or \"day/**/*.part\"");
            }
        }
    }
    Exclude::new(patterns)
        .map_err(|problem| {
            findings.error(written.span.clone(), format!("`exclude` as a whole {problem}"));
        })
        .ok()
}

fn bandwidth(written: &At<RateText>, findings: &mut Findings<'_>) -> Option<Bandwidth> {
    let text = &written.value.0;
    if text == "off" {
        return Some(Bandwidth::Unlimited);
    }
    match quantity::rate(text) {
        Ok(rate) if rate >= LEAST_BANDWIDTH => NonZeroU64::new(rate).map(Bandwidth::AtMost),
        Ok(_) => {
            let finding = findings.error(
                written.span.clone(),
                format!("`bandwidth` is less than 1 kB/s: {}", shown(text)),
            );
            finding.help("write at least \"1 kB/s\", or \"off\" for no limit");
            None
        }
        Err(problem) => {
            let finding = findings.error(
                written.span.clone(),
                format!("`bandwidth` {problem}: {}", shown(text)),
            );
            finding.help("write \"2 MiB/s\", \"8 Mbit/s\", or \"off\" for no limit");
            None
        }
    }
}

fn done_suffix(written: &At<Text>, findings: &mut Findings<'_>) -> Option<String> {
    let text = &written.value.0;
    // A name has at most 255 bytes, and something must be left for the file itself.
    let fits = !text.is_empty() && text.len() <= 100 && !text.chars().any(|c| c == '/' || c.is_control());
    if !fits {
        let finding = findings.error(
            written.span.clone(),
            format!("`done_suffix` is no ending of a name: {}", shown(text)),
        );
        finding.help(
            "write an ending such as \".done\": \"a.jpg\" is then finished when \"a.jpg.done\" is there",
        );
    }
    fits.then(|| text.clone())
}
