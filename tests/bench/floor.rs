//! The floor: a raw TCP relay on one thread, with one read and one write in each direction and no
//! parsing. What a proxy costs beyond it is the cost of its features.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::connection_table::ConnectionTable;
use crate::error::MeasureError;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;

/// One of the two connections of a pair.
struct Side {
    stream: TcpStream,
    /// Bytes from the other side that this socket has not accepted yet.
    unsent: Vec<u8>,
}

type Pair = [Side; 2];

/// Relays each connection to `listen` over a connection of its own to `upstream`, without end. The
/// two sides of a pair have neighbouring tokens.
pub(crate) fn run(listen: SocketAddr, upstream: SocketAddr) -> Result<(), MeasureError> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_AT_ONCE);
    let mut pairs = ConnectionTable::empty();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&poll, &listener, upstream, &mut pairs)?;
            } else {
                serve(event, &mut pairs, &mut buffer);
            }
        }
    }
}

fn accept(
    poll: &Poll,
    listener: &TcpListener,
    upstream: SocketAddr,
    pairs: &mut ConnectionTable<Pair>,
) -> io::Result<()> {
    while let Ok((client, _)) = listener.accept() {
        let pair = [side(client)?, side(TcpStream::connect(upstream)?)?];
        let index = pairs.insert(pair);
        for (half, side) in pairs.at(index).into_iter().flatten().enumerate() {
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut side.stream, Token(index * 2 + half), both)?;
        }
    }
    Ok(())
}

fn side(stream: TcpStream) -> io::Result<Side> {
    stream.set_nodelay(true)?;
    Ok(Side { stream, unsent: Vec::new() })
}

fn serve(event: &Event, pairs: &mut ConnectionTable<Pair>, buffer: &mut [u8]) {
    let (index, half) = (event.token().0 / 2, event.token().0 % 2);
    let Some(pair) = pairs.at(index) else { return };
    if relay(event, pair, half, buffer).is_err() {
        pairs.remove(index);
    }
}

fn relay(event: &Event, pair: &mut Pair, half: usize, buffer: &mut [u8]) -> io::Result<()> {
    if event.is_writable() && !pair[half].unsent.is_empty() {
        let side = &mut pair[half];
        let written = accepted(side.stream.write(&side.unsent))?;
        side.unsent.drain(..written);
        if pair[half].unsent.is_empty() {
            forward(pair, 1 - half, buffer, Until::Drained)?;
        }
    }
    if event.is_readable() {
        let until = if event.is_read_closed() { Until::Drained } else { Until::ShortRead };
        forward(pair, half, buffer, until)?;
    }
    Ok(())
}

/// When a socket counts as empty: after a short read, or, if the peer has also closed, only once
/// reading fails or ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    ShortRead,
    Drained,
}

/// Moves bytes from one side to the other until there are none or the other socket is full.
fn forward(pair: &mut Pair, from: usize, buffer: &mut [u8], until: Until) -> io::Result<()> {
    let to = 1 - from;
    while pair[to].unsent.is_empty() {
        let read = match pair[from].stream.read(buffer) {
            Ok(0) => {
                // No program of the benchmark half-closes, so the pair ends with either direction.
                pair[to].stream.shutdown(Shutdown::Both)?;
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let written = accepted(pair[to].stream.write(&buffer[..read]))?;
        pair[to].unsent.extend_from_slice(&buffer[written..read]);
        if read < buffer.len() && until == Until::ShortRead {
            return Ok(());
        }
    }
    Ok(())
}

/// The number of bytes written: none if the socket is full or still connecting.
fn accepted(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) =>
        {
            Ok(0)
        }
        other => other,
    }
}
