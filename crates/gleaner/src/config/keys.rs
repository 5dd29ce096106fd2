//! Every key of the configuration: its name, the kind of its values, its default, an example, and its
//! description.
//!
//! The comments of keys and tables are user documentation: `gleaner config schema`,
//! `docs/reference/configuration.md` and the manual page gleaner.toml(5) are generated from them, line breaks
//! included.

use std::path::PathBuf;

use engine::placement::NameRule;
use engine::rules::ReleaseRule;
use model::LedgerId;
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

/// Settings shared by all devices.
pub const DEFAULTS: Table = Table::new(
    "defaults",
    "[defaults]",
    "Defaults for every device. A key in a `[[device]]` section replaces the key here; lists are not merged.",
    &[Folders::KEYS, Rules::KEYS, Address::KEYS],
);

/// One device, or several that differ only in a number.
pub const DEVICE: Table = Table {
    name: "device",
    heading: "[[device]]",
    about: "The devices: one section for each device, or for each group of devices that differ only in a number. A section may\n\
            also set any key of `[defaults]`.",
    keys: &[Identification::KEYS],
    shared: DEFAULTS.keys,
};

table! {
    /// The store, which receives the files.
    Store:

    /// The folder that receives the files: an absolute path on a local disk or a mount. `gleaner store init`
    /// prepares it.
    path: PathBuf, example "/mnt/san/shared/pml_group/Shared";
    /// The name of each file below `path`. `{device}`: the name of the device. `{source}`: the last part of
    /// the source folder. `{path}`: the path of the file below its source. `{folder}` and `{name}`: the
    /// folder part and the name part of that path. `{stem}` and `{ext}`: the name before and after its last
    /// dot. `{mtime:%Y-%m-%d}`: the time of the last modification, in UTC, in any strftime format. If two
    /// different files would get the same name, gleaner keeps both and adds part of the digest to the later
    /// one's name.
    layout: Layout = "{device}/{path}", example "{device}/{mtime:%Y-%m-%d}/{name}";
    /// The space that must stay free on the file system of the store. With less, gleaner touches neither the
    /// store nor the devices.
    min_free: Size = "1 GiB", example "50 GB";
    /// The permissions of stored files. Without it: what the umask of the process leaves.
    file_mode: Option<FileMode>, example "0640";
    /// The permissions of folders that gleaner creates in the store. Without it: what the umask of the
    /// process leaves.
    dir_mode: Option<FolderMode>, example "2750";
    /// Which file names the store accepts. "bytes": any name that Linux accepts. "portable": only names that
    /// a Windows file server (SMB) accepts; gleaner replaces what it refuses.
    names: NameRule = "bytes", example "portable";
}

table! {
    /// The ledger, the durable record of the collected files.
    Ledger:

    /// The file of the ledger, on a local disk. Without it: `ledger.db` in `$STATE_DIRECTORY` (set by systemd
    /// for the service), otherwise in `$XDG_STATE_HOME/gleaner`, otherwise in `~/.local/state/gleaner`.
    path: Option<PathBuf>, example "/var/lib/gleaner/ledger.db";
    /// The id of a new ledger: lower-case letters, digits and `-`, at most 40 characters. Collectors that
    /// share the store or a device need different ids. Withdrawn files carry the id on the devices, so
    /// another machine needs it to continue after this one (`gleaner ledger adopt`). Without it: a random id,
    /// which the store remembers.
    id: Option<LedgerId>, example "ohio";
}

table! {
    /// Connections to the devices.
    Ssh:

    /// An `ssh_config` that replaces the user's and the system's. Without it: `~/.ssh/config` and
    /// `/etc/ssh/ssh_config`.
    config: Option<PathBuf>, example "/etc/gleaner/ssh_config";
    /// The connection timeout.
    connect_timeout: Interval = "10s", example "30s";
}

table! {
    /// Visits to the devices.
    Fleet:

    /// The number of devices visited at the same time, 1 to 1000.
    parallel: ParallelLimit = 16, example 32;
    /// The pause between two passes of a device. Reserved for a future daemon: `gleaner run`, by hand or
    /// started by the timer, ignores it.
    every: Interval = "1m", example "10m";
}

table! {
    /// The folders to empty.
    Folders:

    /// The folder on the device that gleaner empties, or a list of folders: absolute paths, none inside
    /// another. May contain `{id}`.
    source: Option<Sources>, example "/home/pi/beephotos";
}

table! {
    /// Rules for the files of a device.
    Rules:

    /// How long a file must stay untouched, by the clock of the device, before it counts as finished. A file
    /// that a process on the device has open for writing is never finished.
    settle: SettleTime = "30s", example "2m";
    /// The same, for devices where gleaner cannot see open files or cannot trust the clock. At least
    /// `settle`.
    settle_blind: SettleTime = "10m", example "30m";
    /// How long gleaner waits for a reply before it gives up the device until the next pass. A listing may
    /// take 15 times as long before gleaner cuts it off.
    stall_timeout: Interval = "1m", example "5m";
    /// Files that gleaner ignores: a pattern, or a list of patterns. A pattern without a slash matches any
    /// file or folder of that name; a pattern with a slash starts at the source. `*` and `?` stop at a slash,
    /// `**` does not; `[abc]` and `{a,b}` work as in a shell. Everything in an excluded folder is excluded
    /// too; the login need not be able to list that folder.
    exclude: Exclude = [], example ["*.tmp", "/thumbnails/"];
    /// Collect a file only if a marker file exists beside it: the same name with this suffix. Without it: no
    /// marker is needed.
    done_suffix: Option<Suffix>, example ".done";
    /// What happens to a file on the device after it is durable in the store. "delete": gleaner removes it.
    /// "keep": it stays.
    release: ReleaseRule = "delete", example "keep";
    /// Whether gleaner removes empty folders older than a day from the source.
    prune_empty: bool = false, example true;
    /// Whether the connection is compressed. "auto": when that is faster. `true` and `false` mean "always"
    /// and "never".
    compress: Compression = "auto", example "never";
    /// The limit of the transfer rate from the device. "off": no limit.
    bandwidth: Rate = "off", example "2 MiB/s";
}

table! {
    /// Address and login of a device. `ssh_config` provides what is not set here.
    Address:

    /// The host name or address. Without it: the entry of `ssh_config` for the name of the device, otherwise
    /// that name itself. May contain `{id}`.
    host: Option<Host>, example "localhost";
    /// The port: a number, or an expression with the id. Without it: the port in `ssh_config`, otherwise 22.
    port: Option<Port>, example "{id+5000}";
    /// The login on the device. Without it: the user in `ssh_config`, otherwise the user who runs gleaner.
    /// May contain `{id}`.
    user: Option<User>, example "pi";
    /// The private key file: an absolute path, or a path that starts with `~/`. Without it: the keys from
    /// `ssh_config` and the ssh agent. May contain `{id}`.
    identity: Option<IdentityFile>, example "~/.ssh/gleaner_ed25519";
    /// The jump host or hosts, as `ProxyJump` in `ssh_config`: `[user@]host[:port]`, separated by commas, or
    /// "none". Without it: the setting in `ssh_config`. May contain `{id}`.
    jump: Option<Jump>, example "gateway.example.org";
}

table! {
    /// The devices that a section describes.
    Identification:

    /// The name of the device: an alias of `ssh_config` (unless `host` is set), and the name of its folder in
    /// the store. With `ids`, it must contain `{id}`; `{id:02}` pads with zeros to two digits.
    name: Name, example "raspberry{id}";
    /// The ids of a group of devices: ranges and numbers. The section then describes one device per id, at
    /// most 10,000 in total. In `name`, `host`, `port`, `user`, `identity`, `jump` and `source`, `{id}`
    /// becomes the id, `{id+5000}` and `{id-1}` a sum, and `{id:02}` and `{id+5000:05}` the same with leading
    /// zeros.
    ids: Option<Ids>, example "1-30, 34, 35";
}
