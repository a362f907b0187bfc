//! An HTTP/2 upstream that writes single frames: it refuses streams, resets them and sends GOAWAY,
//! which libraries do not do on demand. Of the frames it receives it only recognises requests.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::time;

/// The response to a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StreamReply {
    /// `200`, without a body.
    Answered,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY that names this stream as the last one processed.
    GoAway(u32),
}

/// An upstream with delays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    /// From the client's preface to its SETTINGS.
    pub(crate) settings: Duration,
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub(crate) streams: u32,
    /// From a request to its response.
    pub(crate) answer: Duration,
}

/// The error code of a stream that was not processed.
pub(crate) const REFUSED_STREAM: u32 = 7;
/// The error code of a failure while processing.
pub(crate) const INTERNAL_ERROR: u32 = 2;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` in HPACK's static table.
const STATUS_200: u8 = 0x88;
/// The client's preface.
const PREFACE_BYTES: usize = 24;

/// A running upstream. Request n gets the n-th reply, or the last one.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    arrivals: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<Instant>>>,
}

impl Upstream {
    /// Starts one with delays, which records when requests arrive.
    pub(crate) fn slow(plan: Slow) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&arrived);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve_slowly(stream, plan, &noted).unwrap_or(()));
            }
        });
        Self { address, arrivals: Arc::default(), arrived }
    }

    /// When requests arrived at an upstream with delays.
    pub(crate) fn arrived(&self) -> Vec<Instant> {
        self.arrived.lock().unwrap().clone()
    }

    pub(crate) fn start(replies: &'static [StreamReply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&arrivals);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(stream, replies, &counted).unwrap_or(()));
            }
        });
        Self { address, arrivals, arrived: Arc::default() }
    }

    pub(crate) fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::SeqCst)
    }
}

fn serve(
    mut stream: TcpStream,
    replies: &[StreamReply],
    arrivals: &AtomicUsize,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE_BYTES])?;
    send(&mut stream, SETTINGS, 0, (0, &[]))?;
    let mut reply = StreamReply::Answered;
    loop {
        let (kind, flags, id, payload) = receive(&mut stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => send(&mut stream, SETTINGS, ACK, (0, &[]))?,
            PING if flags & ACK == 0 => send(&mut stream, PING, ACK, (0, &payload))?,
            HEADERS => {
                let number = arrivals.fetch_add(1, Ordering::SeqCst);
                reply = replies[number.min(replies.len() - 1)];
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            carry_out(&mut stream, reply, id)?;
        }
    }
}

fn serve_slowly(
    mut stream: TcpStream,
    plan: Slow,
    noted: &Mutex<Vec<Instant>>,
) -> std::io::Result<()> {
    const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
    stream.read_exact(&mut [0; PREFACE_BYTES])?;
    std::thread::sleep(plan.settings);
    let settings = [&MAX_CONCURRENT_STREAMS, &plan.streams.to_be_bytes()[..]].concat();
    send(&mut stream, SETTINGS, 0, (0, &settings))?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    loop {
        let (kind, flags, id, payload) = receive(&mut stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                send(&mut writer.lock().unwrap(), SETTINGS, ACK, (0, &[]))?;
            }
            PING if flags & ACK == 0 => {
                send(&mut writer.lock().unwrap(), PING, ACK, (0, &payload))?;
            }
            HEADERS => {
                noted.lock().unwrap().push(time::now());
                let writer = Arc::clone(&writer);
                std::thread::spawn(move || {
                    std::thread::sleep(plan.answer);
                    carry_out(&mut writer.lock().unwrap(), StreamReply::Answered, id).unwrap_or(());
                });
            }
            _ => {}
        }
    }
}

fn carry_out(stream: &mut TcpStream, reply: StreamReply, id: u32) -> std::io::Result<()> {
    match reply {
        StreamReply::Answered => {
            send(stream, HEADERS, END_STREAM | END_HEADERS, (id, &[STATUS_200]))
        }
        StreamReply::Reset(code) => send(stream, RST_STREAM, 0, (id, &code.to_be_bytes())),
        StreamReply::GoAway(last) => {
            let payload = [last.to_be_bytes(), 0_u32.to_be_bytes()].concat();
            send(stream, GOAWAY, 0, (0, &payload))?;
            stream.shutdown(std::net::Shutdown::Write)
        }
    }
}

fn send(stream: &mut TcpStream, kind: u8, flags: u8, frame: (u32, &[u8])) -> std::io::Result<()> {
    let (id, payload) = frame;
    let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes)
}

fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; usize::try_from(length).expect("24 bits fit")];
    stream.read_exact(&mut payload)?;
    Ok((head[3], head[4], id, payload))
}
