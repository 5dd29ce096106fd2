//! A jump host: forwards clients to permitted ports and does nothing else.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use parking_lot::RwLock;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::key::{HostKey, UserKey};
use crate::lifetime::{Lifetime, Owner, lifetime};
use crate::listen;
use crate::wire::Link;

/// Two packets of the maximum size that OpenSSH accepts.
const READ_BYTES: usize = 64 << 10;

/// Reasons to refuse a channel (RFC 4254, 5.1).
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;

/// An SSH server that forwards to permitted ports of 127.0.0.1 (`direct-tcpip`, as `ProxyJump` requests). It
/// refuses shells, commands, subsystems and every other port. Dropping it ends it.
#[derive(Debug)]
pub struct SimulatedJump {
    port: u16,
    host_key: HostKey,
    permitted: Permitted,
    owner: Owner,
}

type Permitted = Arc<RwLock<BTreeSet<u16>>>;

impl SimulatedJump {
    /// Listens on a free port of 127.0.0.1 and serves on the current runtime. No port is permitted yet.
    pub async fn start(user: &UserKey, host_key: HostKey) -> io::Result<SimulatedJump> {
        let (listener, port) = listen::bind().await?;
        let permitted = Permitted::default();
        let (owner, lifetime) = lifetime();
        let config = listen::server_config(&host_key);
        let authorised = Arc::new(user.public().clone());
        let new_handler = {
            let (permitted, lifetime) = (permitted.clone(), lifetime.clone());
            move || JumpSession {
                authorised: authorised.clone(),
                permitted: permitted.clone(),
                forwards: HashMap::new(),
                lifetime: lifetime.clone(),
            }
        };
        tokio::spawn(listen::serve(
            listener,
            config,
            Arc::new(Link::default()),
            lifetime,
            new_handler,
        ));
        Ok(SimulatedJump {
            port,
            host_key,
            permitted,
            owner,
        })
    }

    /// Permits forwarding to this port of 127.0.0.1 from now on.
    pub fn permit(&self, port: u16) {
        self.permitted.write().insert(port);
    }

    /// The port of the jump host.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host key.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Ends all connections, and waits until they have ended.
    pub async fn shutdown(self) {
        self.owner.end().await;
    }
}

struct JumpSession {
    authorised: Arc<PublicKey>,
    permitted: Permitted,
    /// Dropped with the session or when the client closes the channel: either ends the forward at once.
    forwards: HashMap<ChannelId, oneshot::Sender<()>>,
    lifetime: Lifetime,
}

impl Handler for JumpSession {
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

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let permitted = self.permitted.read().clone();
        let port = u16::try_from(port).ok().filter(|port| permitted.contains(port));
        let (true, Some(port)) = (matches!(host, "localhost" | "127.0.0.1"), port) else {
            reply.reject(refusal(PROHIBITED, "open failed")).await;
            return Ok(());
        };
        let (closed, closing) = oneshot::channel();
        self.forwards.insert(channel.id(), closed);
        let lifetime = self.lifetime.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = closing => {}
                () = forward(channel, port, reply) => {}
            }
            drop(lifetime);
        });
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.forwards.remove(&channel);
        Ok(())
    }
}

async fn forward(channel: Channel<Msg>, port: u16, reply: ChannelOpenHandle) {
    match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        Ok(mut target) => {
            // Without it the link is slower, but works.
            target.set_nodelay(true).ok();
            reply.accept().await;
            let mut stream = channel.into_stream();
            // It does not matter which end closed first: the other end sees the close.
            copy_bidirectional_with_sizes(&mut stream, &mut target, READ_BYTES, READ_BYTES)
                .await
                .ok();
        }
        Err(error) => {
            let words = match error.kind() {
                io::ErrorKind::ConnectionRefused => "Connection refused",
                _ => "Connection timed out",
            };
            reply.reject(refusal(CONNECT_FAILED, words)).await;
        }
    }
}

/// A refusal with the texts of OpenSSH's server, which clients show and programs parse.
fn refusal(code: u32, words: &str) -> ChannelOpenFailure {
    ChannelOpenFailure::Other {
        code,
        reason: words.to_owned(),
    }
}
