//! An HTTP/2 upstream by hand: it refuses, resets and says goodbye, which no library does on
//! demand. It reads frames only as far as it must to know that a request came.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::time;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// `200`, without a body.
    Answered,
    /// RST_STREAM with this code.
    Reset(u32),
    /// GOAWAY that names this stream as the last one processed.
    GoAway(u32),
}

/// An upstream that takes its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    /// Its SETTINGS come so long after the client's preface.
    pub(crate) settings: Duration,
    /// Streams that it grants on a connection.
    pub(crate) streams: u32,
    /// An answer comes so long after its request.
    pub(crate) answer: Duration,
}

/// RST_STREAM's word for "I did nothing".
pub(crate) const REFUSED_STREAM: u32 = 7;
/// RST_STREAM's word for "something went wrong here".
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

/// A running upstream; the fate of request n is the n-th, and the last one's for all others.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    arrivals: Arc<AtomicUsize>,
    arrived: Arc<Mutex<Vec<Instant>>>,
}

impl Upstream {
    /// Starts one that takes its time and notes when requests come.
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

    /// When requests came to an upstream that takes its time.
    pub(crate) fn arrived(&self) -> Vec<Instant> {
        self.arrived.lock().unwrap().clone()
    }

    /// Starts it.
    pub(crate) fn start(fates: &'static [Fate]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let arrivals = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&arrivals);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                // An upstream that is hung up on has nothing left to do.
                std::thread::spawn(move || serve(stream, fates, &counted).unwrap_or(()));
            }
        });
        Self { address, arrivals, arrived: Arc::default() }
    }

    /// How many requests came.
    pub(crate) fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, fates: &[Fate], arrivals: &AtomicUsize) -> std::io::Result<()> {
    stream.read_exact(&mut [0; PREFACE_BYTES])?;
    send(&mut stream, SETTINGS, 0, (0, &[]))?;
    let mut fate = Fate::Answered;
    loop {
        let (kind, flags, id, payload) = receive(&mut stream)?;
        match kind {
            SETTINGS if flags & ACK == 0 => send(&mut stream, SETTINGS, ACK, (0, &[]))?,
            PING if flags & ACK == 0 => send(&mut stream, PING, ACK, (0, &payload))?,
            HEADERS => {
                let number = arrivals.fetch_add(1, Ordering::SeqCst);
                fate = fates[number.min(fates.len() - 1)];
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            carry_out(&mut stream, fate, id)?;
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
                    carry_out(&mut writer.lock().unwrap(), Fate::Answered, id).unwrap_or(());
                });
            }
            _ => {}
        }
    }
}

fn carry_out(stream: &mut TcpStream, fate: Fate, id: u32) -> std::io::Result<()> {
    match fate {
        Fate::Answered => send(stream, HEADERS, END_STREAM | END_HEADERS, (id, &[STATUS_200])),
        Fate::Reset(code) => send(stream, RST_STREAM, 0, (id, &code.to_be_bytes())),
        Fate::GoAway(last) => {
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
