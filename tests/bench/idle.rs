//! Idle clients: connections that were answered once each. Their cost is read from the proxy's
//! process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::http1;
use crate::unmeasured::Unmeasured;

/// What is written to stdout when all connections are at rest.
pub(crate) const AT_REST: &str = "at rest";

/// Opens the connections, says so, and holds them until stdin closes.
#[expect(clippy::print_stdout, reason = "stdout is how the role reports")]
pub(crate) fn run(target: SocketAddr, connections: usize) -> Result<(), Unmeasured> {
    let held = (0..connections).map(|_| answered_once(target)).collect::<Result<Vec<_>, _>>()?;
    println!("{AT_REST}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(held);
    Ok(())
}

fn answered_once(target: SocketAddr) -> Result<TcpStream, Unmeasured> {
    let mut stream = TcpStream::connect(target)?;
    stream.write_all(&http1::request(target, "/"))?;
    http1::read_answer(&mut stream)?;
    Ok(stream)
}
