//! The floor: a raw TCP relay on one thread. One read and one write each way, nothing parsed.
//!
//! Refuses every feature; whatever a proxy costs beyond this is the price of what it does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::slab::Slab;
use crate::unmeasured::Unmeasured;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;

/// One side of a relayed connection. Its partner has the neighbouring token.
struct Side {
    stream: TcpStream,
    /// Read from the partner, not yet accepted by this side's socket.
    unsent: Vec<u8>,
}

type Pair = [Side; 2];

/// Relays every connection to `listen` to one of its own to `upstream`, for ever.
pub(crate) fn run(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Unmeasured> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_AT_ONCE);
    let mut pairs = Slab::empty();
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
    pairs: &mut Slab<Pair>,
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

fn serve(event: &Event, pairs: &mut Slab<Pair>, buffer: &mut [u8]) {
    let (index, half) = (event.token().0 / 2, event.token().0 % 2);
    let Some(pair) = pairs.at(index) else { return };
    if relay(event, pair, half, buffer).is_err() {
        pairs.remove(index);
    }
}

fn relay(event: &Event, pair: &mut Pair, half: usize, buffer: &mut [u8]) -> io::Result<()> {
    if event.is_writable() && !pair[half].unsent.is_empty() {
        flush(&mut pair[half])?;
        if pair[half].unsent.is_empty() {
            pump(pair, 1 - half, buffer, Until::Drained)?;
        }
    }
    if event.is_readable() {
        let until = if event.is_read_closed() { Until::Drained } else { Until::ShortRead };
        pump(pair, half, buffer, until)?;
    }
    Ok(())
}

/// When a side counts as read empty. A short read proves it, unless the peer has also closed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    ShortRead,
    Drained,
}

/// Moves bytes from one side to its partner until there are none, or the partner is full.
fn pump(pair: &mut Pair, from: usize, buffer: &mut [u8], until: Until) -> io::Result<()> {
    let to = 1 - from;
    while pair[to].unsent.is_empty() {
        let read = match pair[from].stream.read(buffer) {
            Ok(0) => return finish(&pair[to]),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        forward(&mut pair[to], &buffer[..read])?;
        if read < buffer.len() && until == Until::ShortRead {
            return Ok(());
        }
    }
    Ok(())
}

/// The end of one direction is the end of the pair: no program here half-closes and reads on.
fn finish(to: &Side) -> io::Result<()> {
    to.stream.shutdown(Shutdown::Both).and(Err(io::ErrorKind::UnexpectedEof.into()))
}

fn forward(to: &mut Side, bytes: &[u8]) -> io::Result<()> {
    let written = accepted(to.stream.write(bytes))?;
    to.unsent.extend_from_slice(&bytes[written..]);
    Ok(())
}

fn flush(to: &mut Side) -> io::Result<()> {
    let written = accepted(to.stream.write(&to.unsent))?;
    to.unsent.drain(..written);
    Ok(())
}

/// A full socket, or one still being connected, has accepted nothing.
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
