//! Ports that no two tests are given at once, in whatever processes they run.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, SockAddr, Socket, Type};

/// A port on loopback that is ours until this is dropped or the process ends. Connections to it are refused
/// while no server of ours listens.
///
/// A socket that is bound to it, and does not listen, holds it: the kernel gives the number to no connection
/// and to no program that wants any free port. A listener that sets `SO_REUSEADDR`, as sshd and the standard
/// library do, may still bind to it, and bind again when it was stopped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _holder: Socket,
}

impl Port {
    /// A port that is free now.
    pub fn free() -> Self {
        let holder = Socket::new(Domain::IPV4, Type::STREAM, None).expect("making a socket");
        holder.set_reuse_address(true).expect("setting SO_REUSEADDR");
        let any: SockAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        holder.bind(&any).expect("binding to a free port");
        let bound = holder.local_addr().ok().and_then(|address| address.as_socket());
        Self {
            number: bound.expect("an address").port(),
            _holder: holder,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
