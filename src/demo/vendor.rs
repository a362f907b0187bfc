//! A simulated vendor at work: it accepts, counts, misbehaves as told, and answers.
//!
//! It runs on the runtime that calls it or on a thread of its own, and stops when its last
//! [`Handle`] goes. Refuses to know the gateway: it counts arrivals, on its own clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::arrivals::{Book, Log};
use super::droplink::{Droplink, Now};
use super::script::{Command, Script};
use super::serve;
use super::settings::{Allowance, Credential, VendorSettings};
use super::wire::{Switch, Wire};
use super::wordbee::Wordbee;
use crate::clock::Clock;
use crate::random::Random;

/// Opens simulated vendors.
#[derive(Debug)]
pub struct Vendor;

impl Vendor {
    /// Opens a vendor on the runtime that calls this.
    ///
    /// # Errors
    /// When the listener cannot be used without blocking.
    pub fn spawn(settings: VendorSettings, listener: TcpListener) -> io::Result<Handle> {
        let (handle, door) = Door::open(settings, listener)?;
        tokio::spawn(door.accept());
        Ok(handle)
    }

    /// Opens a vendor on this runtime, at a free port of loopback.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn bind(settings: VendorSettings) -> io::Result<Handle> {
        Self::spawn(settings, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
    }

    /// Opens a vendor on a thread and runtime of its own, so that it observes independently of
    /// whoever is being tested.
    ///
    /// # Errors
    /// When the runtime or the thread cannot be made.
    pub fn on_thread(settings: VendorSettings, listener: TcpListener) -> io::Result<Handle> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, door) = {
            let _inside = runtime.enter();
            Door::open(settings, listener)?
        };
        let thread = std::thread::Builder::new().name("vendor".to_owned());
        thread.spawn(move || runtime.block_on(door.accept()))?;
        Ok(handle)
    }
}

/// A running vendor, as seen by whoever opened it. It stops when the last copy goes.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Arc<watch::Sender<bool>>,
}

impl Handle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The arrivals it remembers.
    #[must_use]
    pub fn log(&self) -> Log {
        self.shared.log()
    }

    /// The most counted arrivals of one account in any half-open window of this (real) length.
    #[must_use]
    pub fn worst_window(&self, window: Duration) -> usize {
        self.log().worst_window(window)
    }

    /// What it grants, on its accelerated clock.
    #[must_use]
    pub fn allowances(&self) -> &[Allowance] {
        self.shared.allowances()
    }

    /// Connections doomed to be reset when their next request comes, which is then not read.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.shared.unread()
    }

    /// Nanoseconds on its clock.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.shared.now_ns()
    }

    /// Tells it something.
    pub fn control(&self, command: &Command) {
        self.shared.obey(command);
    }

    /// Forgets arrivals, counts and orders; documents, jobs and tokens stay.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Closes the listener and breaks every connection off.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// What all connections of a vendor share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: VendorSettings,
    pub(super) clock: Clock,
    pub(super) random: Random,
    granted: Vec<Allowance>,
    book: Mutex<Book>,
    script: Mutex<Script>,
    pages: Mutex<Pages>,
    unread: AtomicU64,
}

/// What the vendor's pages remember, and who may see them.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) droplink: Droplink,
    pub(super) wordbee: Wordbee,
    pub(super) credentials: Vec<Credential>,
}

impl Shared {
    fn new(settings: VendorSettings) -> Self {
        let pages = Pages {
            droplink: Droplink::default(),
            wordbee: Wordbee::default(),
            credentials: settings.credentials.clone(),
        };
        Self {
            clock: Clock::start(),
            random: settings.seed.map_or_else(Random::from_entropy, Random::from_seed),
            granted: settings.allowances.iter().map(|one| one.scaled(settings.scale)).collect(),
            book: Mutex::new(Book::new(settings.log_max)),
            script: Mutex::new(Script::new(settings.latency)),
            pages: Mutex::new(pages),
            unread: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.clock.now().as_nanos()
    }

    pub(super) fn now(&self) -> Now {
        Now { ns: self.now_ns(), scale: self.settings.scale.max(1) }
    }

    pub(super) fn allowances(&self) -> &[Allowance] {
        &self.granted
    }

    pub(super) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }

    pub(super) fn log(&self) -> Log {
        self.book().log()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn obey(&self, command: &Command) {
        self.script().obey(command, self.now_ns(), self.settings.scale);
        if *command == Command::ExpireTokens {
            self.pages().wordbee.expire_tokens();
        }
        if let Command::Revoke { key } = command {
            self.pages().credentials.retain(|one| one.key != *key);
        }
    }

    pub(super) fn reset(&self) {
        *self.book() = Book::new(self.settings.log_max);
        *self.script() = Script::new(self.settings.latency);
    }

    /// Leaves the next request on this connection unread, if chance wants it.
    pub(super) fn perhaps_leave_unread(&self, switch: &Switch) {
        if self.script().dies_unread(self.random.unit()) {
            switch.leave_unread();
            self.unread.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A whole number below `bound`, uniformly but for a bias of less than 2⁻⁶⁴ × `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.random.bytes16();
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % bound.max(1)
    }
}

/// The vendor's listening side.
struct Door {
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
}

impl Door {
    fn open(settings: VendorSettings, listener: TcpListener) -> io::Result<(Handle, Self)> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared::new(settings));
        let (sender, stop) = watch::channel(false);
        let handle = Handle { shared: Arc::clone(&shared), address, stop: Arc::new(sender) };
        Ok((handle, Self { listener, shared, stop }))
    }

    /// Serves until told to stop; dropping the connections' tasks breaks the connections off.
    async fn accept(mut self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = self.stop.changed() => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(),
                    if connections.len() < self.shared.settings.connections_max =>
                {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(connection(Arc::clone(&self.shared), stream));
                    }
                }
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // A vendor that cannot have its small answers sent at once is a slower vendor, no more.
    drop(stream.set_nodelay(true));
    let switch = Switch::sound();
    shared.perhaps_leave_unread(&switch);
    let wire = TokioIo::new(Wire::new(stream, switch.clone()));
    let service = service_fn(|request| serve::answer(Arc::clone(&shared), switch.clone(), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    // How a connection ended is the client's to say and the log's to show.
    drop(builder.serve_connection(wire, service).await);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;

    use super::super::script::{Act, Canned, Order, Point};
    use super::super::settings::{Allowance, Counting, Discipline, Latency, Throttling};
    use super::super::wire::End;
    use super::super::{Arrival, fingerprint};
    use super::*;

    type Client = std::net::TcpStream;

    const SECOND: Duration = Duration::from_secs(1);

    fn open(settings: VendorSettings) -> Handle {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Vendor::on_thread(VendorSettings { seed: Some(5), ..settings }, listener).unwrap()
    }

    fn connect(vendor: &Handle) -> Client {
        let client = Client::connect(vendor.address()).unwrap();
        client.set_read_timeout(Some(5 * SECOND)).unwrap();
        client
    }

    fn request(line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "{line} HTTP/1.1\r\nhost: vendor\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
    }

    /// What comes back until the end, and how it ended.
    fn exchange(vendor: &Handle, text: &str) -> (String, io::Result<()>) {
        let mut client = connect(vendor);
        let mut read = Vec::new();
        let end = client.write_all(text.as_bytes()).and_then(|()| client.read_to_end(&mut read));
        (String::from_utf8_lossy(&read).into_owned(), end.map(drop))
    }

    fn ask(vendor: &Handle, line: &str, headers: &str, body: &str) -> (u16, String) {
        let (text, end) = exchange(vendor, &request(line, headers, body));
        end.unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }

    fn create(vendor: &Handle) -> (u16, String) {
        let drop = r#"{"title":"a","content":"b"}"#;
        ask(vendor, "POST /api/v1/drop/create", KEY, drop)
    }

    fn statuses(vendor: &Handle) -> Vec<Option<u16>> {
        vendor.log().arrivals.iter().map(|one| one.status).collect()
    }

    /// Waits until the vendor's own thread has written down what we wait for.
    fn eventually(holds: impl Fn() -> bool) {
        let clock = Clock::start();
        while !holds() {
            assert!(clock.now().as_nanos() < 5_000_000_000, "it never came true");
            std::thread::yield_now();
        }
    }

    const KEY: &str = "x-api-key: demo-key\r\n";

    #[test]
    fn droplink_words_its_errors_as_its_document_does() {
        let vendor = open(VendorSettings::droplink());
        let bearer = "authorization: Bearer demo-key\r\n";
        for (line, headers, body, status, sentence) in [
            (
                "POST /api/v1/drop/create",
                bearer,
                r#"{"title":"a","content":"b"}"#,
                200,
                r#""id":1"#,
            ),
            ("GET /api/v1/drop/1", KEY, "", 200, r#""title":"a""#),
            ("GET /api/v1/drop/9", KEY, "", 400, r#"{"error":"The specified URI is invalid."}"#),
            ("POST /api/v1/drop/create", KEY, "{", 400, "The request is not formatted correctly."),
            ("POST /api/v1/drop/create", KEY, "{}", 400, "missing a required field: title."),
            ("GET /api/v1/drop/1", "", "", 401, "The Authorization header is not included"),
            ("GET /api/v1/drop/1", "x-api-key: x\r\n", "", 403, "invalid or been revoked."),
            ("GET /api/v1/nothing", KEY, "", 404, r#"{"error":"The API Endpoint is invalid."}"#),
            ("GET /elsewhere", KEY, "", 404, "The API Endpoint is invalid."),
            ("POST /api/v1/jobs/daily", KEY, "", 200, "queued"),
            ("POST /api/v1/jobs/daily", KEY, "", 409, "already queued or running."),
            ("GET /status/500", "", "", 500, "500 Internal Server Error/Not Closed"),
            ("GET /status/418", "", "", 418, r#"{"error":"#),
            ("GET /status/201", "", "", 201, r#"{"status":201}"#),
        ] {
            let (answered, text) = ask(&vendor, line, headers, body);
            assert_eq!(answered, status, "{line}: {text}");
            assert!(text.contains(sentence), "{line}: {text}");
        }
    }

    fn session(vendor: &Handle) -> String {
        let asked = r#"{"accountid":"demo","key":"demo-key"}"#;
        let (status, text) = ask(vendor, "POST /api/auth/token", "", asked);
        let token = text.split('"').nth_back(1).unwrap();
        assert_eq!((status, token.len()), (200, 32));
        format!("x-auth-accountid: demo\r\nx-auth-token: {token}\r\n")
    }

    #[test]
    fn wordbee_words_its_errors_as_its_document_does() {
        let vendor = open(VendorSettings::wordbee());
        let session = session(&vendor);
        let wrong = r#"{"accountid":"demo","key":"x"}"#;
        let stranger = session.replace("demo", "other");
        for (line, headers, body, status, sentence) in [
            ("GET /api/documents/1", session.as_str(), "", 200, "Welcome.docx"),
            ("GET /api/documents/7", &session, "", 400, "The requested file does not exist."),
            ("GET /api/documents/abc", &session, "", 404, "a URL parameter is missing or invalid"),
            ("POST /api/auth/token", "", wrong, 400, "Invalid private key."),
            ("GET /api/documents/1", "", "", 400, "Token invalid or expired."),
            ("GET /api/documents/1", &stranger, "", 400, "Token invalid or expired."),
            ("POST /api/documents", &session, r#"{"name":"a.docx"}"#, 200, r#""status":"Waiting""#),
            ("GET /api/trm/status?requestid=2", &session, "", 200, r#""requestid":"2""#),
            ("GET /api/trm/status?requestid=3", &session, "", 404, "does not exist"),
            ("DELETE /api/auth/token", &session, "", 204, ""),
            ("GET /api/documents/1", &session, "", 400, "Token invalid or expired."),
        ] {
            let (answered, text) = ask(&vendor, line, headers, body);
            assert_eq!(answered, status, "{line}: {text}");
            assert!(text.contains(sentence), "{line}: {text}");
        }
    }

    #[test]
    fn authentication_is_not_counted_and_the_limit_is_told() {
        let allowances = vec![Allowance::new(2, 3600 * SECOND)];
        let vendor = open(VendorSettings { allowances, ..VendorSettings::wordbee() });
        let session = session(&vendor);
        let get = || ask(&vendor, "GET /api/documents/1", &session, "");
        assert_eq!([get().0, get().0], [200, 200]);
        let (status, text) = get();
        assert_eq!(status, 429);
        assert!(text.contains("Requests throttled. Maximum allowed 2 per 01:00:00."), "{text}");
        self::session(&vendor);
        let counted = |one: &Arrival| one.counted_ns.is_some();
        let counts: Vec<bool> = vendor.log().arrivals.iter().map(counted).collect();
        assert_eq!(counts, [false, true, true, true, false]);
        assert_eq!(vendor.worst_window(3600 * SECOND), 3);
    }

    #[test]
    fn a_token_dies_when_idle_or_told_to() {
        let vendor = open(VendorSettings { scale: 3_600, ..VendorSettings::wordbee() });
        let session = session(&vendor);
        let get = || ask(&vendor, "GET /api/documents/1", &session, "").0;
        assert_eq!(get(), 200);
        let used = vendor.now_ns();
        eventually(|| vendor.now_ns() > used + 700_000_000);
        assert_eq!(get(), 400);
        let fresh = self::session(&vendor);
        vendor.control(&Command::ExpireTokens);
        assert_eq!(ask(&vendor, "GET /api/documents/1", &fresh, "").0, 400);
    }

    #[test]
    fn time_scale_shortens_the_window() {
        let window =
            Allowance { discipline: Discipline::Rolling, ..Allowance::new(1, 60 * SECOND) };
        let allowances = vec![window];
        let vendor = open(VendorSettings { allowances, scale: 120, ..VendorSettings::droplink() });
        assert_eq!([create(&vendor).0, create(&vendor).0], [200, 429]);
        let refused = vendor.log().arrivals[1].at_ns;
        eventually(|| vendor.now_ns() > refused + 510_000_000);
        assert_eq!(create(&vendor).0, 200);
        assert_eq!(vendor.worst_window(vendor.allowances()[0].window), 2);
    }

    #[test]
    fn throttling_is_worded_as_asked() {
        for (style, status, sign) in [
            (Throttling::Plain, 429, "slow the rate"),
            (Throttling::RetryAfter, 429, "retry-after: 60\r\n"),
            (Throttling::ClockText, 429, "retry-after: 00:01:00\r\n"),
            (Throttling::Disguised, 400, "exceed the request limit."),
        ] {
            let allowances = vec![Allowance::new(5, 60 * SECOND)];
            let vendor = open(VendorSettings { allowances, ..VendorSettings::droplink() });
            vendor.control(&Command::Throttle { times: 1, style });
            let (answered, text) = create(&vendor);
            assert_eq!(answered, status);
            assert!(text.contains(sign), "{text}");
            assert_eq!(create(&vendor).0, 200);
        }
    }

    #[test]
    fn deadlock_and_maintenance_pass() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::Deadlock { times: 1 });
        assert_eq!(ask(&vendor, "GET /api/v1/drop/1", KEY, "").0, 400);
        let (status, text) = create(&vendor);
        assert_eq!(status, 400);
        assert!(text.contains("database deadlock"), "{text}");
        assert_eq!(create(&vendor).0, 200);
        vendor.control(&Command::Maintenance { for_ms: 3_600_000, retry_after_s: Some(300) });
        let (status, text) = create(&vendor);
        assert_eq!(status, 503);
        assert!(text.contains("down for maintenance") && text.contains("retry-after: 300\r\n"));
        vendor.control(&Command::Open);
        assert_eq!(create(&vendor).0, 200);
        assert_eq!(statuses(&vendor), [400, 400, 200, 503, 200].map(Some));
    }

    #[test]
    fn connections_break_where_they_are_told_to() {
        let vendor = open(VendorSettings::droplink());
        for (at, starts, ends) in [
            (Point::BeforeAnswer, "", ""),
            (Point::InHead, "HTTP/1.", "HTTP/1."),
            (Point::AfterHead, "HTTP/1.1 200 OK", "\r\n\r\n"),
            (Point::InBody, "HTTP/1.1 200 OK", "{\"statu"),
        ] {
            for how in [End::Close, End::Reset] {
                vendor.control(&Command::Order(Order::next(1, Act::Break { at, how })));
                let (text, end) = exchange(&vendor, &request("GET /status/200", "", ""));
                // A reset may overtake what was sent before it.
                if how == End::Close {
                    assert!(text.starts_with(starts) && text.ends_with(ends), "{at:?}: {text}");
                } else {
                    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{at:?}");
                }
            }
        }
        assert!(vendor.log().arrivals.iter().all(|one| one.delivered));
    }

    #[test]
    fn garbage_drips_and_canned_answers_go_out() {
        let vendor = open(VendorSettings::droplink());
        let plain = request("GET /status/200", "", "");
        vendor.control(&Command::Order(Order::next(1, Act::Garbage("\0not http\n".to_owned()))));
        assert_eq!(exchange(&vendor, &plain).0, "\0not http\n");
        vendor.control(&Command::Order(Order::next(1, Act::Drip { bytes: 3, pause_ms: 5 })));
        let started = vendor.now_ns();
        let (text, _) = exchange(&vendor, &plain);
        assert!(
            text.contains("content-length: 14") && text.ends_with(r#"{"status":200}"#),
            "{text}"
        );
        assert!(vendor.now_ns() - started >= 20_000_000);
        let canned = Canned::new(502, "text/html", "<h1>Bad Gateway</h1>").header("x-lb", "7");
        vendor.control(&Command::Order(Order::next(1, Act::Answer(canned))));
        let (status, text) = ask(&vendor, "GET /echo", "", "");
        assert_eq!(status, 502);
        assert!(text.contains("x-lb: 7\r\n") && text.ends_with("<h1>Bad Gateway</h1>"), "{text}");
    }

    #[test]
    fn only_a_body_read_to_its_end_is_delivered() {
        let vendor = open(VendorSettings::droplink());
        let body = "x".repeat(100);
        let whole = request("POST /echo", "", &body);
        let mut client = connect(&vendor);
        client.write_all(&whole.as_bytes()[..whole.len() - 1]).unwrap();
        eventually(|| vendor.log().arrivals.len() == 1);
        client.shutdown(Shutdown::Both).unwrap();
        exchange(&vendor, &whole).1.unwrap();
        let log = vendor.log();
        assert!(!log.arrivals[0].delivered && log.arrivals[0].status.is_none());
        assert!(log.arrivals[1].delivered);
        assert_eq!(log.arrivals[1].body_len, 100);
        assert_eq!(log.arrivals[1].body_hash, fingerprint(body.as_bytes()));
    }

    #[test]
    fn deaths_come_at_every_point_and_the_log_knows() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::Die { probability: 1.0 });
        let mut complete = 0;
        for nth in 0..200 {
            let (text, end) = exchange(&vendor, &request("POST /echo", "", &format!("body {nth}")));
            complete += usize::from(end.is_ok() && text.ends_with('}'));
        }
        let log = vendor.log();
        let dead = |name: &str| {
            let fits = |one: &&Arrival| one.fault.as_deref() == Some(name);
            log.arrivals.iter().filter(fits).collect::<Vec<_>>()
        };
        let after_head = dead("death AfterHead");
        assert!(!after_head.is_empty() && after_head.iter().all(|one| !one.delivered));
        let after_body = dead("death AfterBody");
        assert!(!after_body.is_empty());
        assert!(after_body.iter().all(|one| one.delivered && one.status.is_none()));
        assert!(!dead("death InAnswer").is_empty());
        assert!(log.arrivals.len() < 200, "some are never read");
        let spared = log.arrivals.iter().filter(|one| one.fault.is_none()).count();
        assert!(complete >= spared && complete < 200);
    }

    #[test]
    fn late_counting_does_not_need_the_client_to_stay() {
        let latency = Latency { min: SECOND / 2, max: SECOND / 2 };
        let allowances = vec![Allowance::new(5, 60 * SECOND)];
        let counting = Counting::Late;
        let vendor =
            open(VendorSettings { latency, allowances, counting, ..VendorSettings::droplink() });
        let mut client = connect(&vendor);
        client.write_all(request("GET /echo", "", "").as_bytes()).unwrap();
        eventually(|| vendor.log().arrivals.len() == 1);
        drop(client);
        eventually(|| vendor.log().arrivals[0].counted_ns.is_some());
        eventually(|| vendor.now_ns() > vendor.log().arrivals[0].at_ns + 600_000_000);
        let gone = vendor.log().arrivals[0].clone();
        assert!(gone.status.is_none() && gone.counted_ns > Some(gone.at_ns));
    }

    #[test]
    fn a_stalled_request_is_read_and_never_answered() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::Order(Order::next(1, Act::Stall).method("GET")));
        let mut client = connect(&vendor);
        client.set_read_timeout(Some(SECOND / 5)).unwrap();
        client.write_all(request("GET /echo", "", "").as_bytes()).unwrap();
        let silence = client.read(&mut [0; 1]).unwrap_err().kind();
        assert!(matches!(silence, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        eventually(|| vendor.log().arrivals.first().is_some_and(|one| one.delivered));
        assert_eq!(ask(&vendor, "GET /echo", "", "").0, 200);
    }

    #[test]
    fn its_own_door_is_neither_logged_nor_counted() {
        let vendor = open(VendorSettings::droplink());
        let orders = r#"[{"deadlock":{"times":1}},{"latency":{"min_ms":1,"max_ms":2}}]"#;
        assert_eq!(ask(&vendor, "POST /_vendor/control", "", orders).0, 204);
        let (status, text) = ask(&vendor, "POST /_vendor/control", "", r#"{"dedlock":{}}"#);
        assert_eq!(status, 400);
        assert!(text.contains("unknown variant `dedlock`"), "{text}");
        assert_eq!(create(&vendor).0, 400);
        let (_, text) = ask(&vendor, "GET /_vendor/stats", "", "");
        assert!(text.contains(r#""arrivals":1,"#) && text.contains(r#"{"400":1}"#), "{text}");
        let (_, text) = ask(&vendor, "GET /_vendor/log?after=0", "", "");
        assert!(text.contains(r#""target":"/api/v1/drop/create""#), "{text}");
        let hash = fingerprint(br#"{"title":"a","content":"b"}"#);
        assert!(text.contains(&format!(r#""body_hash":"{hash:016x}""#)), "{text}");
        assert_eq!(ask(&vendor, "POST /_vendor/reset", "", "").0, 204);
        assert!(vendor.log().arrivals.is_empty());
    }

    #[test]
    fn plain_pages_are_what_they_say() {
        let vendor = open(VendorSettings::wordbee());
        for (line, headers, status, signs) in [
            ("PUT /api/echo?a=1", "X-A: b\r\n", 200, vec![r#"["x-a","b"]"#, r#""/api/echo?a=1""#]),
            ("GET /bytes/5", "", 200, vec!["content-length: 5\r\n", "etag: \"bytes-5\"\r\n"]),
            ("GET /bytes/500", "range: bytes=66-69\r\n", 206, vec!["bytes 66-69/500", "BCDE"]),
            ("GET /bytes/5", "if-none-match: \"bytes-5\"\r\n", 304, vec!["\r\n\r\n"]),
            ("GET /bytes/5", "range: bytes=9-\r\n", 416, vec!["bytes */5"]),
            ("HEAD /bytes/5", "", 200, vec!["content-length: 5\r\n"]),
            ("GET /stream/3?ms=1", "", 200, vec!["chunked", "line 1\n", "line 3\n"]),
            ("GET /events?n=2", "", 200, vec!["text/event-stream", "data: {\"tick\":2}\n\n"]),
            ("GET /trailers", "te: trailers\r\n", 200, vec!["0\r\nx-checksum: abc123\r\n\r\n"]),
            ("GET /gzip", "", 200, vec!["content-encoding: gzip\r\n"]),
            ("GET /status/204", "", 204, vec!["\r\n\r\n"]),
        ] {
            let (answered, text) = ask(&vendor, line, headers, "");
            assert_eq!(answered, status, "{line}");
            assert!(signs.iter().all(|sign| text.contains(sign)), "{line}: {text}");
        }
        let long = "x".repeat(3 * 1024 * 1024);
        let (_, text) = ask(&vendor, "POST /echo", "", &long);
        assert!(
            text.contains(r#""body_len":3145728,"#) && text.contains(r#""body":null"#),
            "{text}"
        );
        assert!(text.contains(&format!("{:016x}", fingerprint(long.as_bytes()))), "{text}");
        let (_, text) = ask(&vendor, "POST /mirror", "content-type: a/b\r\n", "as it came");
        assert!(text.contains("content-type: a/b\r\n") && text.contains("as it came"), "{text}");
    }

    #[test]
    fn it_speaks_http2_to_those_who_begin_so() {
        let vendor = open(VendorSettings::droplink());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let stream = TcpStream::connect(vendor.address()).await.unwrap();
            let io = TokioIo::new(stream);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let request = http::Request::get("http://vendor/status/202");
            let empty = http_body_util::Empty::<bytes::Bytes>::new();
            sender.send_request(request.body(empty).unwrap()).await.unwrap().status()
        });
        assert_eq!(status, 202);
        assert!(vendor.log().arrivals[0].delivered);
    }

    #[test]
    fn it_stops_when_told_and_when_nobody_holds_it() {
        let vendor = open(VendorSettings::droplink());
        let address = vendor.address();
        let mut client = connect(&vendor);
        vendor.stop();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
        eventually(|| Client::connect(address).is_err());
        let forgotten = open(VendorSettings::droplink()).address();
        eventually(|| Client::connect(forgotten).is_err());
    }
}
