//! A hostile device: an SSH server in this process, honest in all things but one.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey, run_stream,
};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::door::{self, Door, Wire};
use super::lie::{Character, Shell};
use super::{files, shell};

/// What all sessions of a device share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) character: Character,
    /// Until then the device is honest.
    pub(crate) armed: AtomicBool,
    /// Where commands begin, and where their tools are looked for first.
    pub(crate) home: PathBuf,
}

impl Stage {
    pub(crate) fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    fn door(&self) -> Door {
        match self.is_armed() {
            true => self.character.door,
            false => Door::Honest,
        }
    }
}

/// A server that listens.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The public key as `known_hosts` has it.
    pub(crate) host_key: String,
}

impl Server {
    /// Takes a free port of 127.0.0.1, and serves for as long as the runtime lives.
    pub(crate) async fn start(stage: Arc<Stage>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a host key");
        let host_key = key.public_key().to_openssh().expect("a public key");
        let config = Arc::new(config(key));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(attend(stream, config.clone(), stage.clone()));
            }
        });
        Self { port, host_key }
    }
}

fn config(key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        auth_rejection_time: std::time::Duration::from_millis(10),
        auth_rejection_time_initial: Some(std::time::Duration::ZERO),
        keys: vec![key],
        window_size: 8 << 20,
        maximum_packet_size: 65_535,
        // The session stops reading when so many messages of one channel wait: a client may ask much before it hears anything.
        channel_buffer_size: 16_384,
        nodelay: true,
        ..Config::default()
    }
}

async fn attend(mut stream: TcpStream, config: Arc<Config>, stage: Arc<Stage>) {
    let door = stage.door();
    if door::speak_raw(door, &mut stream).await {
        return;
    }
    let host = Host {
        stage,
        opened: HashMap::new(),
        running: HashMap::new(),
    };
    if let Ok(session) = run_stream(config, Wire::new(stream, door), host).await {
        // It ends with an error whenever a client has had enough.
        session.await.ok();
    }
}

struct Host {
    stage: Arc<Stage>,
    /// Channels for which nothing has been asked yet.
    opened: HashMap<ChannelId, Channel<Msg>>,
    /// Dropped when the client closes the channel, or is gone.
    running: HashMap<ChannelId, oneshot::Sender<()>>,
}

impl Host {
    /// Lets something talk on a channel until the client has had enough.
    fn run<F>(&mut self, id: ChannelId, talk: impl FnOnce(Channel<Msg>, Arc<Stage>) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(channel) = self.opened.remove(&id) else {
            return false;
        };
        let (closed, closing) = oneshot::channel();
        self.running.insert(id, closed);
        let talking = talk(channel, self.stage.clone());
        tokio::spawn(async move {
            tokio::select! {
                _ = closing => {}
                () = talking => {}
            }
        });
        true
    }
}

impl Handler for Host {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok(match self.stage.door() {
            Door::LongBanner => Some("All work and no play makes a dull banner.\r\n".repeat(5_000)),
            Door::LyingBanner => Some(LYING_BANNER.to_owned()),
            _ => None,
        })
    }

    async fn auth_publickey_offered(&mut self, _: &str, _: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        if matches!(self.stage.door(), Door::MuteInAuthentication | Door::LongBanner) {
            std::future::pending::<()>().await;
        }
        Ok(Auth::Accept)
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.stage.door() == Door::MuteAtSession {
            std::future::pending::<()>().await;
        }
        self.opened.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        match self.run(id, files::serve) {
            true => session.channel_success(id),
            false => session.channel_failure(id),
        }
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let command = command.to_vec();
        let has_shell = !matches!(self.stage.character.shell, Shell::None);
        match has_shell && self.run(id, |channel, stage| shell::serve(channel, stage, command)) {
            true => session.channel_success(id),
            false => session.channel_failure(id),
        }
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.opened.remove(&id);
        self.running.remove(&id);
        Ok(())
    }
}

/// What ssh prints of it looks like its own words.
const LYING_BANNER: &str =
    "Authenticated to jump ([127.0.0.1]:22).\r\n\u{1b}[2J\u{1b}]0;owned\u{7}@@@ WARNING: all is well @@@\r\n";
