//! A listening socket on loopback, and an SSH server session for each connection.

use std::borrow::Cow;
use std::io;
use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;
use russh::server::{Auth, Config, Handler, Msg, run_stream};
use russh::{ChannelWriteHalf, MethodKind, MethodSet, Preferred, cipher};
use tokio::net::{TcpListener, TcpStream};

use crate::key::HostKey;
use crate::lifetime::Lifetime;
use crate::wire::{Link, Wire};

/// russh grants a channel's window again on receipt, not on consumption, and stops the *whole connection* when this
/// many messages of one channel wait for their consumer. That stop can become a ring of waiting (the consumer waits
/// to send, which needs the connection), so it must not be reached: a client has at most some 64 SFTP requests
/// under way, and what it uploads to a command is short. The queue's memory is only taken as it fills.
const CHANNEL_QUEUE: usize = 16_384;

/// One SFTP answer of 255 KiB is eight packets: room for a few, so that the session finds more to send at each turn.
const SEND_QUEUE: usize = 32;

pub(crate) async fn bind() -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

pub(crate) fn server_config(host_key: &HostKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Loopback only, and a key that nobody can guess: there is nothing to slow down.
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.private().clone()],
        window_size: 8 << 20,
        maximum_packet_size: 65_535,
        channel_buffer_size: CHANNEL_QUEUE,
        event_buffer_size: SEND_QUEUE,
        preferred: Preferred {
            // The client's order decides, and OpenSSH's begins with chacha20, twice as dear where there is AES-NI:
            // so nothing else is offered.
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM]),
            ..Preferred::default()
        },
        nodelay: true,
        ..Config::default()
    }
}

/// Accepts until the owner of `lifetime` has gone. `new_handler` is called once per connection.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    config: Config,
    link: Arc<Link>,
    mut lifetime: Lifetime,
    new_handler: F,
) where
    H: Handler + Send + 'static,
    F: Fn() -> H,
{
    let config = Arc::new(config);
    let mut life = lifetime.clone();
    loop {
        tokio::select! {
            () = life.over() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = Connection { config: config.clone(), link: link.clone(), stream };
                    tokio::spawn(connection.run(new_handler(), lifetime.clone()));
                }
                // Out of descriptors, most likely: some come back when connections end.
                Err(_) => tokio::select! {
                    () = lifetime.over() => return,
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                },
            },
        }
    }
}

struct Connection {
    config: Arc<Config>,
    link: Arc<Link>,
    stream: TcpStream,
}

impl Connection {
    /// A session that ends with an error has told its client what there was to tell; nobody else wants to know.
    async fn run<H: Handler + Send + 'static>(self, handler: H, mut lifetime: Lifetime) {
        let Ok(()) = self.stream.set_nodelay(true) else {
            return;
        };
        // russh spawns the session and offers no way to abort it, and a session that waits for its client to read
        // hears no message: the socket under it is shut down through a second descriptor.
        let Ok(descriptor) = self.stream.as_fd().try_clone_to_owned() else {
            return;
        };
        let severing = std::net::TcpStream::from(descriptor);
        let opening = run_stream(self.config, Wire::new(self.stream, self.link), handler);
        let session = tokio::select! {
            () = lifetime.over() => return,
            opened = opening => match opened {
                Ok(session) => session,
                Err(_) => return,
            },
        };
        tokio::pin!(session);
        tokio::select! {
            _ = &mut session => {}
            () = lifetime.over() => {
                // An error means that the peer was quicker.
                severing.shutdown(Shutdown::Both).ok();
                session.await.ok();
            }
        }
    }
}

/// Accepts the one key that may log in, whatever the user's name.
pub(crate) fn check_key(offered: &PublicKey, authorised: &PublicKey) -> Auth {
    if offered.key_data() == authorised.key_data() {
        Auth::Accept
    } else {
        Auth::reject()
    }
}

/// Ends a channel in the way of sshd, once what it served has ended with this status.
pub(crate) async fn close_channel(
    to_client: &ChannelWriteHalf<Msg>,
    status: u32,
) -> Result<(), russh::Error> {
    to_client.eof().await?;
    to_client.exit_status(status).await?;
    to_client.close().await
}
