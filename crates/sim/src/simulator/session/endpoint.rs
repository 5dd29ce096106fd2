//! A device of the fleet and the link to it, and what every part of a session says of failures.

use std::time::Duration;

use engine::ports::{DeviceFailure, FileFault, FileFaultKind, FolderNumbers};
use model::{FailureClass, SourcePath};

use crate::simulator::device::Device;
use crate::simulator::link::Link;
use crate::simulator::naming::SOURCE;

/// How long a device may keep silent.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How long it may take to let somebody in.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one step of many takes on a device: cameras get their turn between two.
pub(super) const STEP: Duration = Duration::from_micros(200);

/// A device and the link to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its number in the fleet.
    pub number: usize,
    /// The device.
    pub device: Device,
    /// The way to it.
    pub link: Link,
}

/// A endpoint is one device, whatever names lead to it. Devices boot alike: their boot ids tell nobody apart,
/// as those of containers.
pub(super) fn folders(
    endpoint: &Endpoint,
    sources: &[SourcePath],
) -> Vec<(SourcePath, Option<FolderNumbers>)> {
    let device_number = u64::try_from(endpoint.number).unwrap_or(u64::MAX);
    let numbers = FolderNumbers {
        device_number,
        inode: 2,
    };
    let folder = |source: &SourcePath| {
        let is_there = source.as_bytes() == SOURCE.as_bytes();
        (source.clone(), is_there.then_some(numbers))
    };
    sources.iter().map(folder).collect()
}

pub(super) fn failure(class: FailureClass, message: &str) -> DeviceFailure {
    DeviceFailure {
        class,
        message: message.to_owned(),
        remedy: None,
    }
}

pub(super) fn fault(kind: FileFaultKind) -> FileFault {
    FileFault {
        kind,
        message: format!("{kind:?}"),
    }
}
