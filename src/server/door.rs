//! The address clients connect to: claimed once for the program, then shared by its workers.
//!
//! Shared ports have a trap: a second process would bind the same address without a word, take
//! half of the connections and double the allowance. So the address is first bound alone; only
//! a port that nobody else holds is shared. Refuses to accept anything.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the system completes before a worker takes them up.
const BACKLOG: i32 = 1024;

/// The listeners of all workers, one each, on one address.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    pub(super) listeners: Vec<TcpListener>,
}

/// The address cannot be had.
#[derive(Debug)]
pub struct DoorFault {
    address: SocketAddr,
    cause: io::Error,
}

impl Door {
    /// Claims `address` and opens it for so many workers; port 0 takes any.
    ///
    /// # Errors
    /// Somebody else listens there, or the system refuses.
    pub fn open(address: SocketAddr, workers: usize) -> Result<Self, DoorFault> {
        let fault = |cause| DoorFault { address, cause };
        let address = claim(address).map_err(fault)?;
        let listeners = (0..workers.max(1)).map(|_| listen(address)).collect::<Result<_, _>>();
        Ok(Self { address, listeners: listeners.map_err(fault)? })
    }

    /// The address, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl std::fmt::Display for DoorFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.cause)?;
        if self.cause.kind() == io::ErrorKind::AddrInUse {
            f.write_str(" (is another program, or another evenkeel, listening there?)")?;
        }
        Ok(())
    }
}

impl std::error::Error for DoorFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// Binds the address without sharing it, for a moment: fails while anybody listens there.
fn claim(address: SocketAddr) -> io::Result<SocketAddr> {
    let socket = socket(address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from(socket).local_addr()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a program that has just ended do not keep its port.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    #[test]
    fn workers_share_what_was_claimed() {
        let door = Door::open(ANY.parse().unwrap(), 3).unwrap();
        assert_ne!(door.address().port(), 0);
        assert_eq!(door.listeners.len(), 3);
        for listener in &door.listeners {
            assert_eq!(listener.local_addr().unwrap(), door.address());
        }
    }

    #[test]
    fn a_second_program_is_told_the_address() {
        let door = Door::open(ANY.parse().unwrap(), 1).unwrap();
        let fault = Door::open(door.address(), 1).unwrap_err().to_string();
        assert!(fault.contains(&door.address().to_string()), "{fault}");
        assert!(fault.contains("another evenkeel"), "{fault}");
        let address = door.address();
        drop(door);
        Door::open(address, 2).expect("free again");
    }
}
