//! Every default, with its reason. The table of keys shows them; nothing else knows them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Loopback: a gateway that holds credentials is not offered to a network by accident.
pub(super) const LISTEN_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// Our own name, so that a client's `Authorization` for the vendor stays free.
pub(super) const CLIENT_KEY_HEADER: &str = "evenkeel-key";
/// The pseudonym of RFC 9110 §7.6.3; a mark drawn at start tells loops from chains.
pub(super) const VIA: &str = "evenkeel";
/// One per core: workers share nothing.
pub(super) const WORKERS: &str = "auto";
/// Twice what browsers and SDKs send with a fat cookie.
pub(super) const HEAD_BYTES: u64 = 32 * KIB;
/// What other proxies allow; more is an attack or a mistake.
pub(super) const HEADERS: u64 = 100;
/// The length that RFC 9110 §4.1 asks every recipient to support.
pub(super) const TARGET_BYTES: u64 = 8 * KIB;
/// A head is one packet or two; ten seconds are for the slowest network.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the 60 s of common balancers, so that they close first and no call is lost.
pub(super) const LISTEN_IDLE: Duration = Duration::from_secs(75);
/// Some 100 MiB of idle connections, and well under common limits of open files.
pub(super) const LISTEN_CONNECTIONS: u64 = 10_000;
/// The least that RFC 9113 §6.5.2 recommends.
pub(super) const STREAMS: u64 = 100;

/// Beside the main address, and loopback: it shows traffic and releases holds.
pub(super) const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);

/// Without a record nobody knows what was spent; the safe guess is everything.
pub(super) const FIRST_START: &str = "spent";

/// Neither urgent nor patient.
pub(super) const PRIORITY: &str = "normal";
/// Everybody alike.
pub(super) const SHARE: u64 = 1;

/// DNS, TCP and TLS of a distant vendor take a third of it; a lost packet is retried once.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// What vendors promise where they promise anything; the dialect knows better.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// A body that pauses longer has broken off.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// A modem of 1995 sends three times as fast; a client below it only keeps a place from others.
pub(super) const REQUEST_RATE: u64 = KIB;
/// What people and most HTTP clients still wait for.
pub(super) const WAIT: Duration = Duration::from_secs(30);
/// Longer waits outlive connections on the way.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(600);
/// Three retries cure what a retry can cure.
pub(super) const ATTEMPTS: u64 = 4;
/// A hiccup is over in a quarter of a second.
pub(super) const BACKOFF_BASE: Duration = Duration::from_millis(250);
/// The usual doubling.
pub(super) const BACKOFF_FACTOR: f64 = 2.0;
/// Longer than that, a hold is the better tool.
pub(super) const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A vendor in trouble sees at most 1.1 × the traffic.
pub(super) const BUDGET: u32 = 10;
/// Nearly every JSON call fits; a stream does not, and need not.
pub(super) const REPLAY_BODY: u64 = 256 * KIB;
/// 256 calls with full buffers.
pub(super) const REPLAY_TOTAL: u64 = 64 * MIB;
/// The name of the IETF draft that vendors follow.
pub(super) const IDEMPOTENCY_HEADER: &str = "idempotency-key";
/// Half a minute at 33 calls a second; each place costs less than 4 KiB.
pub(super) const QUEUE: u64 = 1_000;
/// What one vendor tolerates from one caller.
pub(super) const CONNECTIONS: u64 = 256;
/// Shorter than the 20 s and more after which servers close: they never race us.
pub(super) const CONNECTION_IDLE: Duration = Duration::from_secs(15);
/// Cookies and security policies included, heads stay under a quarter of it.
pub(super) const ANSWER_HEAD: u64 = 64 * KIB;
/// Twice what the most talkative vendors send.
pub(super) const ANSWER_HEADERS: u64 = 256;
/// A thousand customers of ten vendors, in some 20 MiB.
pub(super) const ACCOUNTS: u64 = 10_000;
/// It recognises what it was never told.
pub(super) const DIALECT: &str = "auto";
/// ALPN decides over TLS; HTTP/1.1 in clear.
pub(super) const PROTOCOL: &str = "auto";
/// One meaning has one status.
pub(super) const STATUS: &str = "map";
/// A redirect that leads past us would lose the pace.
pub(super) const REDIRECTS: &str = "rewrite";
/// Partner addresses are nobody's business.
pub(super) const CLIENT_ADDRESS: &str = "drop";
/// Headers nobody asked for are noise.
pub(super) const EXPOSE: bool = false;
/// The opposite of a burst at the top of the hour.
pub(super) const SPREAD: &str = "even";
/// An allowance is there to be kept.
pub(super) const MODE: &str = "enforce";
/// At rest, 2 % of the window may go at once: a page that makes several calls loads at once.
pub(super) const BURST_DIVISOR: u32 = 50;
/// Windows under this need a guard: below it the exact rule costs more than 1 % of the calls.
pub(super) const GUARDED_BELOW: Duration = Duration::from_secs(60);
/// A request that is a second under way has met a fault, not a network.
pub(super) const ARRIVAL_GUARD: Duration = Duration::from_secs(1);

/// What an operator reads on a quiet day.
pub(super) const LOG_LEVEL: &str = "info";
/// The calls somebody will ask about.
pub(super) const LOG_ACCESS: &str = "errors_and_slow";
/// Text on a terminal, JSON for collectors.
pub(super) const LOG_FORMAT: &str = "auto";
/// Behind a balancer, 5 s let it notice; elsewhere nobody looks.
pub(super) const SHUTDOWN_DELAY: Duration = Duration::ZERO;
/// What orchestrators grant before they kill.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
