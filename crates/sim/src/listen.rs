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

/// russh grants a channel's window again on receipt, not on consumption. It stops the *whole connection* when
/// this many messages of one channel wait for their consumer. The consumer may wait to send, which needs the
/// connection: that would be a deadlock, so the limit must not be reached. A client has at most about 64 SFTP
/// requests in flight, and uploads little to a command. The queue takes memory only as it fills.
const CHANNEL_QUEUE: usize = 16_384;

/// One SFTP reply of 255 KiB is eight packets. Room for a few replies, so that the session finds more to send
/// each time.
const SEND_QUEUE: usize = 32;

pub(crate) async fn bind() -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

pub(crate) fn server_config(host_key: &HostKey) -> Config {
    Config {
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        // Loopback only, with a key that cannot be guessed: there is no attack to slow down.
        auth_rejection_time: Duration::from_millis(50),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key.private().clone()],
        window_size: 8 << 20,
        maximum_packet_size: 65_535,
        channel_buffer_size: CHANNEL_QUEUE,
        event_buffer_size: SEND_QUEUE,
        preferred: Preferred {
            // The client's order decides, and OpenSSH's begins with chacha20, which costs twice as much where
            // AES-NI exists. So the server offers nothing else.
            cipher: Cow::Borrowed(&[cipher::AES_128_GCM, cipher::AES_256_GCM]),
            ..Preferred::default()
        },
        nodelay: true,
        ..Config::default()
    }
}

/// Accepts connections until the owner of `lifetime` is gone. Calls `new_handler` once per connection.
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
                // Out of descriptors, most likely: some become free as connections end.
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
    /// Runs the session. Its error is ignored: the client has already been informed.
    async fn run<H: Handler + Send + 'static>(self, handler: H, mut lifetime: Lifetime) {
        let Ok(()) = self.stream.set_nodelay(true) else {
            return;
        };
        // russh spawns the session and offers no way to abort it. A session that waits for its client to read
        // receives no messages. So the socket below it is shut down through a second descriptor.
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
                // An error means that the peer closed first.
                severing.shutdown(Shutdown::Both).ok();
                session.await.ok();
            }
        }
    }
}

/// Accepts the one authorised key, for any user name.
pub(crate) fn check_key(offered: &PublicKey, authorised: &PublicKey) -> Auth {
    if offered.key_data() == authorised.key_data() {
        Auth::Accept
    } else {
        Auth::reject()
    }
}

/// Ends a channel as sshd does, with the exit status of its task.
pub(crate) async fn close_channel(
    to_client: &ChannelWriteHalf<Msg>,
    status: u32,
) -> Result<(), russh::Error> {
    to_client.eof().await?;
    to_client.exit_status(status).await?;
    to_client.close().await
}
