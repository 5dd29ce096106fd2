//! Every key of the configuration: its name, the kind of its values, its default, an example, and what it means.
//!
//! The comments here are the reference: `gleaner config schema`, `docs/reference/configuration.md` and the manual
//! page gleaner.toml(5) are made from them, line breaks included.

use std::path::PathBuf;

use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use ssh::Compression;

use super::address::{Host, IdentityFile, Jump, Name, Port, Sources, User};
use super::exclude::Exclude;
use super::ids::Ids;
use super::kinds::{FileMode, FolderMode, Interval, ParallelLimit, Rate, SettleTime, Size, Suffix};
use super::layout::Layout;
use super::table::{Table, table};

/// Every table, in the order of the reference.
pub const TABLES: [Table; 6] = [
    Table::new("store", "[store]", Store::ABOUT, &[Store::KEYS]),
    Table::new("ledger", "[ledger]", Ledger::ABOUT, &[Ledger::KEYS]),
    Table::new("ssh", "[ssh]", Ssh::ABOUT, &[Ssh::KEYS]),
    Table::new("fleet", "[fleet]", Fleet::ABOUT, &[Fleet::KEYS]),
    DEFAULTS,
    DEVICE,
];

/// What devices have in common.
pub const DEFAULTS: Table = Table::new(
    "defaults",
    "[defaults]",
    "What holds for every device, unless its own section says otherwise. A key of a `[[device]]` takes the place of\n\
     the one here; lists are not joined.",
    &[Folders::KEYS, Rules::KEYS, Address::KEYS],
);

/// One device, or several that differ in a number only.
pub const DEVICE: Table = Table {
    name: "device",
    heading: "[[device]]",
    about: "The devices: one section for each, or for each group of devices that differ in a number only. Beside `name` and `ids`,\n\
            any key of `[defaults]` may stand here.",
    keys: &[Identification::KEYS],
    shared: DEFAULTS.keys,
};

table! {
    /// Where the files go.
    Store:

    /// The folder that the files go to: an absolute path on a local disk or a mount. `gleaner store init` prepares it.
    path: PathBuf, example "/mnt/san/shared/pml_group/Shared";
    /// The names that files get below `path`. `{device}`: name of the device. `{source}`: last part of the source folder.
    /// `{path}`: path of the file below its source. `{folder}` and `{name}`: the two halves of it. `{stem}` and `{ext}`: the name
    /// before and after its last dot. `{mtime:%Y-%m-%d}`: when the file was last modified, in UTC, in any format of strftime. Two
    /// different files that would get the same name are both kept: the later one gets a part of its digest into its name.
    layout: Layout = "{device}/{path}", example "{device}/{mtime:%Y-%m-%d}/{name}";
    /// How much must stay free on the file system of the store. Below it, nothing is touched on store or device.
    min_free: Size = "1 GiB", example "50 GB";
    /// The permissions that stored files get. Without it: what the umask of the process leaves.
    file_mode: Option<FileMode>, example "0640";
    /// The permissions that folders made in the store get. Without it: what the umask of the process leaves.
    dir_mode: Option<FolderMode>, example "2750";
    /// Which names the store takes. "bytes": any that Linux takes. "portable": only such as a Windows file server (SMB) takes; in
    /// others, what it does not take is replaced.
    names: NameRule = "bytes", example "portable";
}

table! {
    /// The durable record of what was gathered.
    Ledger:

    /// The file of the ledger, on a local disk. Without it: `ledger.db` in `$STATE_DIRECTORY` (which systemd sets for the service), else in
    /// `$XDG_STATE_HOME/gleaner`, else in `~/.local/state/gleaner`.
    path: Option<PathBuf>, example "/var/lib/gleaner/ledger.db";
}

table! {
    /// How devices are reached.
    Ssh:

    /// An `ssh_config` to be used in place of the user's and the system's. Without it: `~/.ssh/config` and `/etc/ssh/ssh_config`.
    config: Option<PathBuf>, example "/etc/gleaner/ssh_config";
    /// How long a connection may take to come about.
    connect_timeout: Interval = "10s", example "30s";
}

table! {
    /// How the devices are visited.
    Fleet:

    /// How many devices are visited at the same time, 1 to 1000.
    parallel: ParallelLimit = 16, example 32;
    /// The pause between two passes of a device. Reserved for the daemon that is to come: `gleaner run`, by hand or under the timer, does not
    /// use it.
    every: Interval = "1m", example "10m";
}

table! {
    /// What is emptied.
    Folders:

    /// The folder on the device that is emptied, or a list of folders: absolute paths, none inside another. `{id}` may stand in it.
    source: Option<Sources>, example "/home/pi/beephotos";
}

table! {
    /// What holds for the files of a device.
    Rules:

    /// How long a file must have been left untouched, by the clock of the device, before it counts as finished. A file that a process on the
    /// device has open for writing is never finished.
    settle: SettleTime = "30s", example "2m";
    /// The same, where open files or the clock of the device cannot be seen or trusted. At least as long as `settle`.
    settle_blind: SettleTime = "10m", example "30m";
    /// How long a device may owe an answer before it is given up until the next pass. A listing may take fifteen times as long before it is cut off.
    stall_timeout: Interval = "1m", example "5m";
    /// Files to be left alone: a pattern, or a list of patterns. One without a slash means any file or folder of that name; one with a slash
    /// begins at the source. `*` and `?` stop at a slash, `**` does not; `[abc]` and `{a,b}` as in a shell. What lies in an excluded folder is
    /// excluded too, and the folder need not be one that the login may list.
    exclude: Exclude = [], example ["*.tmp", "/thumbnails/"];
    /// Only gather a file when another with this ending added to its name lies beside it, which says that it is finished. Without it: no
    /// such marker is needed.
    done_suffix: Option<Suffix>, example ".done";
    /// What becomes of a file on the device once it is safe in the store. "delete": it is removed. "keep": it stays.
    release: ReleaseRule = "delete", example "keep";
    /// Whether empty folders older than a day are removed from the source.
    prune_empty: bool = false, example true;
    /// Whether the connection is compressed. "auto": when that makes it quicker. `true` and `false` mean "always" and "never".
    compress: Compression = "auto", example "never";
    /// The most that is taken from the device per second. "off": no limit.
    bandwidth: Rate = "off", example "2 MiB/s";
}

table! {
    /// What a device is reached by; where nothing is written, `ssh_config` says it.
    Address:

    /// The host name or address. Without it: what `ssh_config` says for the name of the device, else that name itself. `{id}` may stand in it.
    host: Option<Host>, example "localhost";
    /// The port: a number, or an expression of the id. Without it: what `ssh_config` says, else 22.
    port: Option<Port>, example "{id+5000}";
    /// The login on the device. Without it: what `ssh_config` says, else that of the user who runs gleaner. `{id}` may stand in it.
    user: Option<User>, example "pi";
    /// The file of the private key: absolute, or beginning with `~/`. Without it: what `ssh_config` and the ssh agent offer. `{id}` may stand in it.
    identity: Option<IdentityFile>, example "~/.ssh/gleaner_ed25519";
    /// The host or hosts to jump through, as `ProxyJump` in `ssh_config`: `[user@]host[:port]`, several divided by commas, or "none". Without it:
    /// what `ssh_config` says. `{id}` may stand in it.
    jump: Option<Jump>, example "gateway.example.org";
}

table! {
    /// Which devices a section stands for.
    Identification:

    /// The name of the device: an alias of `ssh_config`, unless `host` says otherwise, and the name of its folder in the store. With `ids`, it
    /// must contain `{id}`; `{id:02}` pads with zeros to two digits.
    name: Name, example "raspberry{id}";
    /// The ids for which the section stands: ranges and numbers. It then means one device for each of them, at most 10,000 in all. In `name`,
    /// `host`, `port`, `user`, `identity`, `jump` and `source`, `{id}` becomes the id, `{id+5000}` and `{id-1}` a sum, `{id:02}` and
    /// `{id+5000:05}` the same with leading zeros.
    ids: Option<Ids>, example "1-30, 34, 35";
}
