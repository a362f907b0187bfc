//! Idle clients: connections that were answered once each. The benchmark reads their cost from the
//! proxy's process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::error::MeasureError;
use crate::http1;

/// The line on stdout once every connection has been answered.
pub(crate) const ALL_ANSWERED: &str = "all answered";

/// Opens the connections and keeps them until stdin is closed.
#[expect(clippy::print_stdout, reason = "the benchmark reads stdout")]
pub(crate) fn run(target: SocketAddr, connections: usize) -> Result<(), MeasureError> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(target)?;
        stream.write_all(&http1::request(target, "/"))?;
        http1::read_answer(&mut stream)?;
        clients.push(stream);
    }
    println!("{ALL_ANSWERED}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(clients);
    Ok(())
}
