//! One listening socket per worker, all on the same address (`SO_REUSEPORT`).
//!
//! With `SO_REUSEPORT` alone a second process could bind the same address unnoticed, take half of
//! the connections and double the requests sent to the vendor. So the address is first bound
//! exclusively, which fails while another process listens there.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel completes before a worker accepts them.
const BACKLOG: i32 = 1024;

/// The listeners of all workers.
#[derive(Debug)]
pub struct Listeners {
    address: SocketAddr,
    pub(super) sockets: Vec<TcpListener>,
}

/// The address cannot be bound.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    cause: io::Error,
}

impl Listeners {
    /// Binds `address` for this number of workers; port 0 picks a free port.
    ///
    /// # Errors
    /// Another process listens on the address, or binding it fails otherwise.
    pub fn bind(address: SocketAddr, workers: usize) -> Result<Self, ListenError> {
        let bind = || -> io::Result<Self> {
            // Closed again at once; fails while another process listens on the address.
            let exclusive = new_socket(address)?;
            exclusive.bind(&address.into())?;
            exclusive.listen(BACKLOG)?;
            let address = TcpListener::from(exclusive).local_addr()?;
            let shared = |_| {
                let socket = new_socket(address)?;
                socket.set_reuse_port(true)?;
                socket.set_nonblocking(true)?;
                socket.bind(&address.into())?;
                socket.listen(BACKLOG)?;
                Ok(socket.into())
            };
            let sockets = (0..workers.max(1)).map(shared).collect::<io::Result<_>>()?;
            Ok(Self { address, sockets })
        };
        bind().map_err(|cause| ListenError { address, cause })
    }

    /// The bound address, with the actual port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl std::fmt::Display for ListenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        if self.cause.kind() == io::ErrorKind::AddrInUse {
            return f.write_str("another program, or another evenkeel, is already listening there");
        }
        write!(f, "{}", self.cause)
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn new_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted program bind while old connections are still in TIME_WAIT.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY_PORT: &str = "127.0.0.1:0";

    #[test]
    fn every_worker_gets_a_socket_on_the_same_address() {
        let listeners = Listeners::bind(ANY_PORT.parse().unwrap(), 3).unwrap();
        assert_ne!(listeners.address().port(), 0);
        assert_eq!(listeners.sockets.len(), 3);
        for socket in &listeners.sockets {
            assert_eq!(socket.local_addr().unwrap(), listeners.address());
        }
    }

    #[test]
    fn binding_an_address_in_use_fails_and_names_it() {
        let listeners = Listeners::bind(ANY_PORT.parse().unwrap(), 1).unwrap();
        let error = Listeners::bind(listeners.address(), 1).unwrap_err().to_string();
        assert!(error.contains(&listeners.address().to_string()), "{error}");
        assert!(error.contains("another evenkeel"), "{error}");
        let address = listeners.address();
        drop(listeners);
        Listeners::bind(address, 2).expect("the address is free again");
    }
}
