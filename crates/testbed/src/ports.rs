//! Ports of which no two tests get the same at one time, also in different processes.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, SockAddr, Socket, Type};

/// A port on loopback, reserved until this is dropped or the process ends. Connections to it are refused
/// unless a server of the test listens.
///
/// A bound socket that does not listen reserves it: the kernel then gives the number neither to a connection
/// nor to a program that binds to any free port. A listener with `SO_REUSEADDR`, as in sshd and the standard
/// library, can still bind to it, also again after a stop.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _holder: Socket,
}

impl Port {
    /// Reserves a free port.
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

    /// The port number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
