//! The configuration as it is written: every key, of the kind of value it takes, with its place in the file.
//!
//! The comments here are the reference: `gleaner config schema`, `docs/reference/configuration.md` and the manual
//! page gleaner.toml(5) are made from them. Whether a value makes sense is decided later.

mod kinds;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

pub use kinds::{
    At, CompressText, DurationText, IdsText, LocalPath, ModeText, Number, OneOrMany, PortText, RateText,
    SizeText, Switch, TemplateText, Text,
};

/// The configuration of gleaner.
#[derive(Debug, Clone, Default, JsonSchema)]
#[schemars(title = "gleaner.toml", deny_unknown_fields)]
pub struct File {
    /// Where the files go.
    pub store: Store,
    /// The durable record of what was gathered.
    #[schemars(default)]
    pub ledger: Ledger,
    /// How devices are reached.
    #[schemars(default)]
    pub ssh: Ssh,
    /// How the devices are visited.
    #[schemars(default)]
    pub fleet: Fleet,
    /// What holds for every device, unless its own section says otherwise. A key of a `[[device]]` takes the place of
    /// the one here; lists are not joined.
    #[schemars(default)]
    pub defaults: Settings,
    /// The devices: one section for each, or for each group of devices that differ in a number only. Beside `name` and `ids`,
    /// any key of `[defaults]` may stand here.
    #[schemars(length(min = 1))]
    pub device: Vec<Device>,
}

/// The table `[store]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// The folder that the files go to: an absolute path on a local disk or a mount. `gleaner store init` prepares it.
    #[schemars(required, example = &"/mnt/san/shared/pml_group/Shared")]
    pub path: Option<At<LocalPath>>,
    /// The names that files get below `path`. `{device}`: name of the device. `{source}`: last part of the source folder.
    /// `{path}`: path of the file below its source. `{folder}` and `{name}`: the two halves of it. `{stem}` and `{ext}`: the name
    /// before and after its last dot. `{mtime:%Y-%m-%d}`: when the file was last modified, in UTC, in any format of strftime. Two
    /// different files that would get the same name are both kept: the later one gets a part of its digest into its name.
    #[schemars(extend("default" = "{device}/{path}"), example = &"{device}/{mtime:%Y-%m-%d}/{name}")]
    pub layout: Option<At<Text>>,
    /// How much must stay free on the file system of the store. Below it, nothing is touched on store or device.
    #[schemars(extend("default" = "1 GiB"), example = &"50 GB")]
    pub min_free: Option<At<SizeText>>,
    /// The permissions that stored files get. Without it: what the umask of the process leaves.
    #[schemars(example = &"0640")]
    pub file_mode: Option<At<ModeText>>,
    /// The permissions that folders made in the store get. Without it: what the umask of the process leaves.
    #[schemars(example = &"2750")]
    pub dir_mode: Option<At<ModeText>>,
    /// Which names the store takes. "bytes": any that Linux takes. "portable": only such as a Windows file server (SMB) takes; in
    /// others, what it does not take is replaced.
    #[schemars(extend("default" = "bytes", "enum" = ["bytes", "portable"]), example = &"portable")]
    pub names: Option<At<Text>>,
}

/// The table `[ledger]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The file of the ledger, on a local disk. Without it: `ledger.db` in `$STATE_DIRECTORY` (which systemd sets for the service), else in
    /// `$XDG_STATE_HOME/gleaner`, else in `~/.local/state/gleaner`.
    #[schemars(example = &"/var/lib/gleaner/ledger.db")]
    pub path: Option<At<LocalPath>>,
}

/// The table `[ssh]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ssh {
    /// An `ssh_config` to be used in place of the user's and the system's. Without it: `~/.ssh/config` and `/etc/ssh/ssh_config`.
    #[schemars(example = &"/etc/gleaner/ssh_config")]
    pub config: Option<At<LocalPath>>,
    /// How long a connection may take to come about.
    #[schemars(extend("default" = "10s"), example = &"30s")]
    pub connect_timeout: Option<At<DurationText>>,
}

/// The table `[fleet]`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// How many devices are visited at the same time, 1 to 1000.
    #[schemars(extend("default" = 16, "minimum" = 1, "maximum" = 1000), example = 32)]
    pub parallel: Option<At<Number>>,
    /// The pause between two passes of a device. Reserved for the daemon that is to come: `gleaner run`, by hand or under the timer, does not
    /// use it.
    #[schemars(extend("default" = "1m"), example = &"10m")]
    pub every: Option<At<DurationText>>,
}

/// What `[defaults]` and `[[device]]` have in common.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The folder on the device that is emptied, or a list of folders: absolute paths, none inside another. `{id}` may stand in it.
    #[schemars(example = &"/home/pi/beephotos")]
    pub source: Option<At<OneOrMany>>,
    /// How long a file must have been left untouched, by the clock of the device, before it counts as finished. A file that a process on the
    /// device has open for writing is never finished.
    #[schemars(extend("default" = "30s"), example = &"2m")]
    pub settle: Option<At<DurationText>>,
    /// The same, where open files or the clock of the device cannot be seen or trusted. At least as long as `settle`.
    #[schemars(extend("default" = "10m"), example = &"30m")]
    pub settle_blind: Option<At<DurationText>>,
    /// How long a device may owe an answer before it is given up until the next pass. A listing may take fifteen times as long before it is cut off.
    #[schemars(extend("default" = "1m"), example = &"5m")]
    pub stall_timeout: Option<At<DurationText>>,
    /// Files to be left alone: a pattern, or a list of patterns. One without a slash means any file or folder of that name; one with a slash
    /// begins at the source. `*` and `?` stop at a slash, `**` does not; `[abc]` and `{a,b}` as in a shell. What lies in an excluded folder is
    /// excluded too.
    #[schemars(extend("default" = []), example = ["*.tmp", "/thumbnails/"])]
    pub exclude: Option<At<OneOrMany>>,
    /// Only gather a file when another with this ending added to its name lies beside it, which says that it is finished. Without it: no
    /// such marker is needed.
    #[schemars(example = &".done")]
    pub done_suffix: Option<At<Text>>,
    /// What becomes of a file on the device once it is safe in the store. "delete": it is removed. "keep": it stays.
    #[schemars(extend("default" = "delete", "enum" = ["delete", "keep"]), example = &"keep")]
    pub release: Option<At<Text>>,
    /// Whether empty folders older than a day are removed from the source.
    #[schemars(extend("default" = false), example = true)]
    pub prune_empty: Option<At<Switch>>,
    /// Whether the connection is compressed. "auto": when that makes it quicker. `true` and `false` mean "always" and "never".
    #[schemars(extend("default" = "auto", "enum" = ["auto", "always", "never", true, false]), example = &"never")]
    pub compress: Option<At<CompressText>>,
    /// The most that is taken from the device per second. "off": no limit.
    #[schemars(extend("default" = "off"), example = &"2 MiB/s")]
    pub bandwidth: Option<At<RateText>>,
    /// The host name or address. Without it: what `ssh_config` says for the name of the device, else that name itself. `{id}` may stand in it.
    #[schemars(example = &"localhost")]
    pub host: Option<At<TemplateText>>,
    /// The port: a number, or an expression of the id. Without it: what `ssh_config` says, else 22.
    #[schemars(example = &"{id+5000}")]
    pub port: Option<At<PortText>>,
    /// The login on the device. Without it: what `ssh_config` says, else that of the user who runs gleaner. `{id}` may stand in it.
    #[schemars(example = &"pi")]
    pub user: Option<At<TemplateText>>,
    /// The file of the private key: absolute, or beginning with `~/`. Without it: what `ssh_config` and the ssh agent offer. `{id}` may stand in it.
    #[schemars(example = &"~/.ssh/gleaner_ed25519")]
    pub identity: Option<At<TemplateText>>,
    /// The host or hosts to jump through, as `ProxyJump` in `ssh_config`: `[user@]host[:port]`, several divided by commas, or "none". Without it:
    /// what `ssh_config` says. `{id}` may stand in it.
    #[schemars(example = &"gateway.example.org")]
    pub jump: Option<At<TemplateText>>,
}

/// What only a `[[device]]` has.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identification {
    /// The name of the device: an alias of `ssh_config`, unless `host` says otherwise, and the name of its folder in the store. With `ids`, it
    /// must contain `{id}`; `{id:02}` pads with zeros to two digits.
    #[schemars(required, example = &"raspberry{id}")]
    pub name: Option<At<TemplateText>>,
    /// The ids for which the section stands: ranges and numbers. It then means one device for each of them, at most 10,000 in all. In `name`,
    /// `host`, `port`, `user`, `identity`, `jump` and `source`, `{id}` becomes the id, `{id+5000}` and `{id-1}` a sum, `{id:02}` and
    /// `{id+5000:05}` the same with leading zeros.
    #[schemars(example = &"1-30, 34, 35")]
    pub ids: Option<At<IdsText>>,
}

/// One `[[device]]`.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// Which devices these are.
    pub identification: Identification,
    /// What holds for them.
    pub settings: Settings,
    /// Where the section stands.
    pub span: std::ops::Range<usize>,
}

impl JsonSchema for Device {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Device".into()
    }

    /// The keys of both halves in one table, as they are written.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Identification::json_schema(generator);
        let settings = Settings::json_schema(generator);
        let keys = settings.get("properties").and_then(|keys| keys.as_object());
        let own = schema.get_mut("properties").and_then(|keys| keys.as_object_mut());
        if let (Some(keys), Some(own)) = (keys, own) {
            own.extend(keys.clone());
        }
        schema.remove("description");
        schema
    }
}
