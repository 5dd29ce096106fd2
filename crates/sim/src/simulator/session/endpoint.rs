//! A device of the fleet with its link, and the failures that all parts of a session share.

use std::time::Duration;

use engine::ports::{DeviceFailure, FileFault, FileFaultKind, FolderNumbers};
use model::{FailureClass, SourcePath};

use crate::simulator::device::Device;
use crate::simulator::link::Link;
use crate::simulator::naming::SOURCE;

/// How long a device may stay silent.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a connection attempt may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that one of many steps takes on a device. Cameras can run between two steps.
pub(super) const STEP: Duration = Duration::from_micros(200);

/// A device and the link to it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its number in the fleet.
    pub number: usize,
    /// The device.
    pub device: Device,
    /// The link to the device.
    pub link: Link,
}

/// The identities of the source folders. An endpoint is one device, whatever names lead to it. Boot ids do
/// not distinguish devices, as with containers.
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
    DeviceFailure::new(class, message.to_owned())
}

pub(super) fn fault(kind: FileFaultKind) -> FileFault {
    FileFault {
        kind,
        message: format!("{kind:?}"),
    }
}
