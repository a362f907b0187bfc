//! A scripted upstream: it writes given bytes, pauses, closes or resets, and records every byte it
//! receives.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{time, wire};

/// One thing an upstream does on a connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Writes these bytes.
    Send(Vec<u8>),
    /// Writes these bytes one by one, with this pause between them.
    Drip(Vec<u8>, Duration),
    /// Does nothing for so long.
    Wait(Duration),
    /// Half-closes, and reads until the peer closes too.
    Fin,
    Close,
    Reset,
    /// Writes nothing more, until the peer closes.
    Silence,
}

/// How much of a request is read before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Whole,
    /// Only the head; the rest stays in the socket.
    Head,
    Bytes(usize),
}

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// From 1, over all connections.
    pub(crate) number: usize,
    /// Its connection, counted from 1.
    pub(crate) connection: usize,
    /// Everything that was read of it.
    pub(crate) raw: Vec<u8>,
    pub(crate) line: String,
    /// Its headers, in order.
    pub(crate) headers: Vec<(String, String)>,
    /// Its decoded body.
    pub(crate) body: Vec<u8>,
    /// The lines after the last chunk.
    pub(crate) trailers: String,
}

impl Seen {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        wire::values(&self.headers, name)
    }

    /// The target of the request line.
    pub(crate) fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

type Answering = Box<dyn Fn(&Seen) -> Vec<Act> + Send + Sync>;

struct Shared {
    on_connect: Vec<Act>,
    reading: Reading,
    answering: Answering,
    requests: Mutex<Vec<Seen>>,
    arrivals: AtomicUsize,
    connections: AtomicUsize,
    open: AtomicUsize,
    ended: AtomicBool,
}

/// A running upstream, which ends when it is dropped.
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Script {
    /// Reads whole requests and performs the acts that `answer` returns.
    pub(crate) fn answering(answer: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::reading(Reading::Whole, answer)
    }

    /// Answers every request with the same acts.
    pub(crate) fn always(acts: Vec<Act>) -> Self {
        Self::answering(move |_| acts.clone())
    }

    /// Reads this much of a request before it answers.
    pub(crate) fn reading(
        reading: Reading,
        answer: impl Fn(&Seen) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Vec::new(), reading, Box::new(answer))
    }

    /// Acts on every connection before it reads, and then answers with `ok`.
    pub(crate) fn greeting(acts: Vec<Act>) -> Self {
        Self::start(acts, Reading::Whole, Box::new(|_| ok("ok")))
    }

    fn start(on_connect: Vec<Act>, reading: Reading, answering: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            on_connect,
            reading,
            answering,
            requests: Mutex::default(),
            arrivals: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.requests.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn request(&self) -> Seen {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request arrives");
        requests[0].clone()
    }

    pub(crate) fn arrivals(&self) -> usize {
        self.shared.requests.lock().unwrap().len()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Waits until so many requests arrived.
    #[track_caller]
    pub(crate) fn await_arrivals(&self, count: usize) {
        time::until("requests arrive", || self.arrivals() >= count);
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

/// `200 OK` with this body.
pub(crate) fn ok(body: &str) -> Vec<Act> {
    vec![reply("200 OK", &[], body.as_bytes())]
}

/// A whole answer with a length.
pub(crate) fn reply(status: &str, headers: &[&str], body: &[u8]) -> Act {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        bytes += &format!("{header}\r\n");
    }
    bytes += "\r\n";
    Act::Send([bytes.as_bytes(), body].concat())
}

pub(crate) fn raw(bytes: impl AsRef<[u8]>) -> Act {
    Act::Send(bytes.as_ref().to_vec())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
        shared.open.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            serve(stream, connection, &shared);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Serves one connection until either side ends it.
fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    let mut going = perform(&mut stream, &shared.on_connect, shared);
    while going.is_some() {
        let Some(mut seen) = read(&mut stream, &mut buffer, shared) else { return };
        seen.number = shared.arrivals.fetch_add(1, Ordering::SeqCst) + 1;
        seen.connection = connection;
        shared.requests.lock().unwrap().push(seen.clone());
        going = perform(&mut stream, &(shared.answering)(&seen), shared);
    }
}

/// `None` when the connection is over.
fn perform(stream: &mut TcpStream, acts: &[Act], shared: &Shared) -> Option<()> {
    for act in acts {
        match act {
            Act::Send(bytes) => stream.write_all(bytes).ok()?,
            Act::Drip(bytes, apart) => {
                for byte in bytes {
                    stream.write_all(&[*byte]).ok()?;
                    std::thread::sleep(*apart);
                }
            }
            Act::Wait(span) => std::thread::sleep(*span),
            Act::Fin => {
                stream.shutdown(Shutdown::Write).ok()?;
                drain(stream, shared);
                return None;
            }
            Act::Silence => {
                drain(stream, shared);
                return None;
            }
            Act::Close => return None,
            Act::Reset => {
                let socket = socket2::SockRef::from(&*stream);
                socket.set_linger(Some(Duration::ZERO)).ok()?;
                return None;
            }
        }
    }
    Some(())
}

/// Discards what arrives until the peer closes.
fn drain(stream: &mut TcpStream, shared: &Shared) {
    let mut forgotten = Vec::new();
    while more(stream, &mut forgotten, shared).is_some() {
        forgotten.clear();
    }
}

/// Reads more bytes; `None` at the end of the connection.
fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>, shared: &Shared) -> Option<()> {
    let mut piece = [0; 16 << 10];
    while !shared.ended.load(Ordering::SeqCst) {
        match stream.read(&mut piece) {
            Ok(0) => return None,
            Ok(count) => {
                buffer.extend_from_slice(&piece[..count]);
                return Some(());
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
    }
    None
}

/// The next request, as far as `Reading` says; the rest stays in `buffer`.
fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, shared: &Shared) -> Option<Seen> {
    if let Reading::Bytes(count) = shared.reading {
        while buffer.len() < count {
            more(stream, buffer, shared)?;
        }
        return Some(seen(buffer.drain(..count).collect()));
    }
    let head_end = loop {
        match find(buffer, b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(stream, buffer, shared)?,
        }
    };
    let mut seen = seen(buffer.drain(..head_end).collect());
    if shared.reading == Reading::Whole {
        read_body(stream, buffer, shared, &mut seen)?;
    }
    Some(seen)
}

fn seen(raw: Vec<u8>) -> Seen {
    let text: String = raw.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let (body, trailers) = (Vec::new(), String::new());
    Seen { number: 0, connection: 0, raw, line, headers, body, trailers }
}

fn read_body(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    seen: &mut Seen,
) -> Option<()> {
    if seen.all("transfer-encoding").contains(&"chunked") {
        return read_chunks(stream, buffer, shared, seen);
    }
    let length = seen.all("content-length").first().map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        more(stream, buffer, shared)?;
    }
    seen.body = buffer.drain(..length).collect();
    seen.raw.extend_from_slice(&seen.body);
    Some(())
}

fn read_chunks(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    seen: &mut Seen,
) -> Option<()> {
    loop {
        let line = take_line(stream, buffer, shared, seen)?;
        let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            break;
        }
        while buffer.len() < size {
            more(stream, buffer, shared)?;
        }
        let chunk: Vec<u8> = buffer.drain(..size).collect();
        seen.raw.extend_from_slice(&chunk);
        seen.body.extend_from_slice(&chunk);
        take_line(stream, buffer, shared, seen)?;
    }
    loop {
        let line = take_line(stream, buffer, shared, seen)?;
        if line.is_empty() {
            return Some(());
        }
        seen.trailers += &format!("{line}\n");
    }
}

fn take_line(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    seen: &mut Seen,
) -> Option<String> {
    loop {
        if let Some(at) = find(buffer, b"\r\n") {
            let line: Vec<u8> = buffer.drain(..at + 2).collect();
            seen.raw.extend_from_slice(&line);
            return Some(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        more(stream, buffer, shared)?;
    }
}

fn find(buffer: &[u8], wanted: &[u8]) -> Option<usize> {
    buffer.windows(wanted.len()).position(|window| window == wanted)
}
