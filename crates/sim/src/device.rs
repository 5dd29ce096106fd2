//! A device: an SSH server for a real folder of this machine.

pub(crate) mod exec;
pub(crate) mod sftp;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use crate::key::{HostKey, UserKey};
use crate::lifetime::{Lifetime, Owner, lifetime};
use crate::listen;
use crate::wire::Link;

/// How a device can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Without faults.
    Normal,
    /// Its port refuses connections, and no other program can take that port.
    Offline,
    /// It accepts connections and never sends a byte.
    BlackHole,
    /// It severs, once, the connection that would send the byte after the first `bytes`. Counts the bytes
    /// sent to clients on all connections: SSH adds about 5 KB per connection and 0.1 % of the payload.
    CutAfter {
        /// The number of bytes before the cut.
        bytes: u64,
    },
    /// It sends at most this much to all clients together.
    SlowLink {
        /// The rate.
        bytes_per_second: u64,
    },
}

/// What a device offers after login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// SFTP, and commands run by `/bin/sh`.
    Shell,
    /// The SFTP server answers every command, as with `ForceCommand internal-sftp`.
    SftpOnly,
}

/// The settings of a device.
#[derive(Clone, Debug)]
pub struct DeviceSettings {
    /// The start of relative paths, the working directory of commands, and the parent of the `bin` that is
    /// searched first. It does not confine clients: absolute paths are this machine's.
    pub home: PathBuf,
    /// How the device can be reached.
    pub behaviour: Behaviour,
    /// What the device offers.
    pub service: Service,
}

/// One device, on its own port of 127.0.0.1. Dropping it ends its connections and their commands.
#[derive(Debug)]
pub struct SimulatedDevice {
    port: u16,
    host_key: HostKey,
    link: Arc<Link>,
    owner: Owner,
}

impl SimulatedDevice {
    /// Takes a free port of 127.0.0.1 and serves on the current runtime.
    pub async fn start(
        user: &UserKey,
        host_key: HostKey,
        settings: DeviceSettings,
    ) -> io::Result<SimulatedDevice> {
        SimulatedDevice::start_as(user, host_key, settings, |session| session).await
    }

    /// As [`SimulatedDevice::start`], but `handler` wraps the session of each connection.
    pub(crate) async fn start_as<H: Handler + Send + 'static>(
        user: &UserKey,
        host_key: HostKey,
        settings: DeviceSettings,
        handler: impl Fn(DeviceSession) -> H + Send + 'static,
    ) -> io::Result<SimulatedDevice> {
        let (owner, lifetime) = lifetime();
        let link = Arc::new(match settings.behaviour {
            Behaviour::CutAfter { bytes } => Link::cut_after(bytes),
            Behaviour::SlowLink { bytes_per_second } => Link::slow(bytes_per_second),
            Behaviour::Normal | Behaviour::Offline | Behaviour::BlackHole => Link::default(),
        });
        let port = match settings.behaviour {
            Behaviour::Offline => reserve_port(lifetime)?,
            Behaviour::BlackHole => {
                let (listener, port) = listen::bind().await?;
                tokio::spawn(accept_silently(listener, lifetime));
                port
            }
            _ => {
                let (listener, port) = listen::bind().await?;
                let config = listen::server_config(&host_key);
                let new_session = new_session(user, settings, lifetime.clone());
                let new_handler = move || handler(new_session());
                tokio::spawn(listen::serve(
                    listener,
                    config,
                    link.clone(),
                    lifetime,
                    new_handler,
                ));
                port
            }
        };
        Ok(SimulatedDevice {
            port,
            host_key,
            link,
            owner,
        })
    }

    /// The port, open or not.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host key.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Whether [`Behaviour::CutAfter`] has severed a connection.
    pub fn was_cut(&self) -> bool {
        self.link.was_cut()
    }

    /// Ends all connections and commands, and waits until they have ended.
    pub async fn shutdown(self) {
        self.owner.end().await;
    }
}

/// Binds a socket that never listens: the system refuses connections to its port and gives the port to no
/// other program.
fn reserve_port(mut lifetime: Lifetime) -> io::Result<u16> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let port = socket.local_addr()?.port();
    tokio::spawn(async move {
        lifetime.over().await;
        drop(socket);
    });
    Ok(port)
}

/// Accepts connections, keeps them open and sends nothing.
async fn accept_silently(listener: TcpListener, mut lifetime: Lifetime) {
    let mut kept = Vec::new();
    loop {
        tokio::select! {
            () = lifetime.over() => return,
            Ok((stream, _)) = listener.accept() => kept.push(stream),
        }
    }
}

fn new_session(
    user: &UserKey,
    settings: DeviceSettings,
    lifetime: Lifetime,
) -> impl Fn() -> DeviceSession + use<> {
    let authorised = Arc::new(user.public().clone());
    let settings = Arc::new(settings);
    move || DeviceSession {
        authorised: authorised.clone(),
        settings: settings.clone(),
        opened: HashMap::new(),
        running: HashMap::new(),
        lifetime: lifetime.clone(),
    }
}

pub(crate) struct DeviceSession {
    authorised: Arc<PublicKey>,
    pub(crate) settings: Arc<DeviceSettings>,
    /// Channels without a request so far.
    opened: HashMap<ChannelId, Channel<Msg>>,
    /// Dropped with the session or when the client closes the channel: either ends the channel's task.
    running: HashMap<ChannelId, oneshot::Sender<()>>,
    lifetime: Lifetime,
}

impl DeviceSession {
    /// Runs a task on a channel without a request so far, until the client closes the channel.
    pub(crate) fn run<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        id: ChannelId,
        session: &mut Session,
        serve: impl FnOnce(Channel<Msg>) -> F,
    ) -> Result<(), russh::Error> {
        let Some(channel) = self.opened.remove(&id) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let (closing, serving) = (self.running(id), serve(channel));
        tokio::spawn(async move {
            tokio::select! {
                _ = closing => {}
                () = serving => {}
            }
        });
        Ok(())
    }

    fn start_sftp(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        let (home, lifetime) = (self.settings.home.clone(), self.lifetime.clone());
        self.run(id, session, |channel| sftp::serve(channel, home, lifetime))
    }

    fn start_command(
        &mut self,
        id: ChannelId,
        command: Option<&[u8]>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.settings.service == Service::SftpOnly {
            return self.start_sftp(id, session);
        }
        let Some(channel) = self.opened.remove(&id) else {
            return session.channel_failure(id);
        };
        let Ok(child) = exec::spawn(command, &self.settings.home) else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        let (closing, lifetime, handle) = (self.running(id), self.lifetime.clone(), session.handle());
        tokio::spawn(async move {
            exec::supervise(child, channel, &handle, closing).await;
            drop(lifetime);
        });
        Ok(())
    }

    fn running(&mut self, id: ChannelId) -> oneshot::Receiver<()> {
        let (closed, closing) = oneshot::channel();
        self.running.insert(id, closed);
        closing
    }
}

impl Handler for DeviceSession {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(listen::check_key(offer.public_key, &self.authorised))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(listen::check_key(key.public_key, &self.authorised))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.opened.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if name == "sftp" {
            self.start_sftp(id, session)
        } else {
            session.channel_failure(id)
        }
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.start_command(id, Some(command), session)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.start_command(id, None, session)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.opened.remove(&id);
        self.running.remove(&id);
        Ok(())
    }
}
