//! Eight devices behind a jump host, with the faults that occur in the field.

mod error;
mod ssh_config;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::camera::{Camera, Finish, Recording};
use crate::device::{Behaviour, DeviceSettings, Service, SimulatedDevice};
use crate::jump::SimulatedJump;
use crate::key::{HostKey, UserKey};
use crate::picture::{FillError, MadeFile, Picture, Pictures, Texture, fill, picture_path};
pub use error::DemoError;
use ssh_config::{JUMP, SshFiles};

/// How much the demonstration gathers.
#[derive(Clone, Debug)]
pub struct DemoPlan {
    /// All content and all names depend on this.
    pub seed: u64,
    /// The number of pictures on each device.
    pub pictures: u32,
    /// The minimum and maximum size of a picture in bytes.
    pub picture_bytes: (u64, u64),
    /// The size in bytes of the long recording on the device whose link is cut. It is the oldest file there,
    /// so it is fetched first.
    pub long_recording_bytes: u64,
    /// How long the camera keeps writing.
    pub camera_writes_for: Duration,
    /// The age of the oldest picture; the youngest is half as old.
    pub age: Duration,
}

impl Default for DemoPlan {
    /// 321 files, about 90 MB.
    fn default() -> DemoPlan {
        DemoPlan {
            seed: 1,
            pictures: 40,
            picture_bytes: (100_000, 300_000),
            long_recording_bytes: 24 << 20,
            camera_writes_for: Duration::from_secs(6),
            age: Duration::from_mins(10),
        }
    }
}

/// What a device of the demonstration shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// An ordinary device without faults.
    Ordinary,
    /// Its files have the same names as those of another device, but other content.
    SameNames,
    /// Nothing listens on its port.
    Offline,
    /// Its port accepts connections and sends nothing.
    BlackHole,
    /// A camera keeps writing one more picture.
    Camera,
    /// Its link is cut once, in the middle of a long recording.
    CutOff,
}

/// `bee1` to `bee8`.
const ROLES: [Role; 8] = [
    Role::SameNames,
    Role::SameNames,
    Role::Offline,
    Role::BlackHole,
    Role::Camera,
    Role::CutOff,
    Role::Ordinary,
    Role::Ordinary,
];

/// One device of the demonstration.
#[derive(Clone, Debug)]
pub struct DemoDevice {
    /// The `ssh` alias of the device.
    pub name: String,
    /// What the device shows.
    pub role: Role,
    /// The folder to gather, as an absolute path of this machine.
    pub source: PathBuf,
    /// Every finished file in that folder, the oldest first.
    pub files: Vec<MadeFile>,
    /// The picture that the camera is writing, as it will be once finished: see
    /// [`DemoFleet::camera_finished`].
    pub being_written: Option<MadeFile>,
}

/// A running fleet. Its servers have two threads of their own, so callers may start it and shut it down
/// anywhere, even inside another runtime. Dropping it is the same as [`DemoFleet::shutdown`].
#[derive(Debug)]
pub struct DemoFleet {
    devices: Vec<DemoDevice>,
    ssh_config: PathBuf,
    running: Option<RunningFleet>,
}

#[derive(Debug)]
struct RunningFleet {
    threads: Threads,
    servers: Servers,
}

#[derive(Debug)]
struct Servers {
    jump: SimulatedJump,
    /// In the order of the devices' names.
    devices: Vec<SimulatedDevice>,
    camera: Camera,
}

impl DemoFleet {
    /// Fills `folder`, which must exist and be empty, and starts the fleet. Blocks until the pictures are
    /// written; then the camera has begun and all ports are open. Creates `ssh_config`, `known_hosts`, `key`
    /// and `devices/<name>/beephotos/` in `folder`, and writes nothing anywhere else.
    pub fn start(folder: &Path, plan: &DemoPlan) -> Result<DemoFleet, DemoError> {
        let folder = folder.canonicalize().map_err(|source| DemoError::Write {
            path: folder.to_owned(),
            source,
        })?;
        let mut files = SshFiles::new(&folder)?;
        let user = UserKey::create(files.key())?;
        let mut devices = fill_devices(&folder, plan)?;
        let threads = Threads::start().map_err(DemoError::Runtime)?;
        let servers = threads.block_on(serve(&user, &devices, plan))?;
        files.add_jump(&servers.jump);
        for (device, server) in devices.iter_mut().zip(&servers.devices) {
            files.add_device(&device.name, server);
            device.being_written = (device.role == Role::Camera).then(|| servers.camera.picture().clone());
        }
        files.write()?;
        let running = Some(RunningFleet { threads, servers });
        Ok(DemoFleet {
            devices,
            ssh_config: files.config().to_owned(),
            running,
        })
    }

    /// The devices, in the order of their names.
    pub fn devices(&self) -> &[DemoDevice] {
        &self.devices
    }

    /// The file for `ssh -F`, or for another configuration to `Include`. It names every other file that `ssh`
    /// needs. For `ProxyJump` the client passes its `-F` through a shell without quotes: if the path has
    /// blanks, only `Include` works.
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// Whether the camera has closed its picture, which then is one more finished file.
    pub fn camera_finished(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.servers.camera.is_finished())
    }

    /// Whether the link of [`Role::CutOff`] has been cut.
    pub fn link_was_cut(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.servers.devices.iter().any(SimulatedDevice::was_cut))
    }

    /// Ends every server, connection and command and the camera, and waits for them, up to some seconds. The
    /// folder stays as it is.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(RunningFleet { threads, servers }) = self.running.take() else {
            return;
        };
        let Servers {
            jump,
            devices,
            camera,
        } = servers;
        drop(camera);
        threads.block_on(async {
            // In parallel: each may wait for a client's command to die.
            let ending: Vec<_> = devices
                .into_iter()
                .map(|device| tokio::spawn(device.shutdown()))
                .collect();
            jump.shutdown().await;
            for ended in ending {
                ended.await.ok();
            }
        });
    }
}

impl Drop for DemoFleet {
    fn drop(&mut self) {
        self.end();
    }
}

/// A runtime that callers may wait for and drop anywhere. On a thread of a runtime, blocking on another
/// runtime panics, and so does dropping it.
#[derive(Debug)]
struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    fn start() -> io::Result<Threads> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(2)
            .thread_name("demo-fleet")
            .enable_all()
            .build()?;
        Ok(Threads {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    fn block_on<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let done = std::thread::scope(|scope| scope.spawn(|| self.handle.block_on(work)).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn fill_devices(folder: &Path, plan: &DemoPlan) -> Result<Vec<DemoDevice>, DemoError> {
    let mut devices = Vec::new();
    for (role, number) in ROLES.into_iter().zip(1_u64..) {
        let name = format!("bee{number}");
        let source = folder.join("devices").join(&name).join("beephotos");
        fs::create_dir_all(&source).map_err(|error| DemoError::Write {
            path: source.clone(),
            source: error,
        })?;
        devices.push(DemoDevice {
            name,
            role,
            source,
            files: Vec::new(),
            being_written: None,
        });
    }
    std::thread::scope(|scope| {
        let filling: Vec<_> = (1_u64..)
            .zip(&mut devices)
            .map(|(number, device)| scope.spawn(move || fill_device(device, number, plan)))
            .collect();
        filling.into_iter().try_for_each(|filled| match filled.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok(devices)
}

fn fill_device(device: &mut DemoDevice, number: u64, plan: &DemoPlan) -> Result<(), FillError> {
    let names = if device.role == Role::SameNames { 0 } else { number };
    if device.role == Role::CutOff {
        let recording = Picture {
            path: PathBuf::from("2026-11-21/set1/cam0/20261121_101459.000000_long.np"),
            bytes: plan.long_recording_bytes,
            seed: plan.seed.wrapping_add(number << 48),
            texture: Texture::Noise,
            taken: SystemTime::now()
                .checked_sub(plan.age * 2)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        };
        device.files.push(recording.make(&device.source)?);
    }
    let pictures = Pictures {
        name_seed: plan.seed.wrapping_add(names << 32),
        content_seed: plan.seed.wrapping_add(number << 40),
        count: plan.pictures,
        bytes: plan.picture_bytes.0..=plan.picture_bytes.1,
        age: plan.age,
    };
    device.files.extend(fill(&device.source, &pictures)?);
    Ok(())
}

async fn serve(user: &UserKey, devices: &[DemoDevice], plan: &DemoPlan) -> Result<Servers, DemoError> {
    let listen = |name: &str| {
        let name = name.to_owned();
        move |source| DemoError::Listen { name, source }
    };
    let jump = SimulatedJump::start(user, HostKey::random()?)
        .await
        .map_err(listen(JUMP))?;
    let mut servers = Vec::new();
    for device in devices {
        let home = device.source.parent().unwrap_or(&device.source).to_owned();
        let settings = DeviceSettings {
            home,
            behaviour: behaviour(device.role, plan),
            service: Service::Shell,
        };
        let server = SimulatedDevice::start(user, HostKey::random()?, settings)
            .await
            .map_err(listen(&device.name))?;
        jump.permit(server.port());
        servers.push(server);
    }
    let source = devices
        .iter()
        .find(|device| device.role == Role::Camera)
        .map(|device| device.source.as_path());
    let source = source.unwrap_or(Path::new("."));
    let recording = Recording {
        path: picture_path(plan.pictures, plan.seed),
        bytes: plan.picture_bytes.1,
        seed: plan.seed,
        lasts: plan.camera_writes_for,
        // Four pieces a second, so that the growth is easy to see.
        pieces: u32::try_from(plan.camera_writes_for.as_millis() / 250).unwrap_or(u32::MAX),
        finish: Finish::Close,
    };
    let camera = Camera::start(source, recording).map_err(|error| DemoError::Write {
        path: source.to_owned(),
        source: error,
    })?;
    Ok(Servers {
        jump,
        devices: servers,
        camera,
    })
}

fn behaviour(role: Role, plan: &DemoPlan) -> Behaviour {
    match role {
        Role::Ordinary | Role::SameNames | Role::Camera => Behaviour::Normal,
        Role::Offline => Behaviour::Offline,
        Role::BlackHole => Behaviour::BlackHole,
        // Pictures may share the connection with the long recording, so the cut is in its middle in any
        // order.
        Role::CutOff => Behaviour::CutAfter {
            bytes: plan.long_recording_bytes * 2 / 3,
        },
    }
}
