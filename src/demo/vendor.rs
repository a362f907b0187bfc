//! A simulated vendor: a listener, the connections it accepts, and a handle to control it.
//!
//! It runs on the caller's runtime or on a thread of its own, and stops when the last
//! [`VendorHandle`] is dropped. It counts requests as they arrive, on its own clock.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::faulty_stream::{FaultControl, FaultyStream};
use super::request_log::RequestLog;
use super::script::Command;
use super::serve;
use super::settings::{Allowance, VendorSettings};
use super::shared::Shared;

/// Starts simulated vendors.
#[derive(Debug)]
pub struct Vendor;

impl Vendor {
    /// Starts a vendor on the caller's runtime.
    ///
    /// # Errors
    /// When the listener cannot be made non-blocking.
    pub fn spawn(settings: VendorSettings, listener: TcpListener) -> io::Result<VendorHandle> {
        let (handle, acceptor) = Acceptor::new(settings, listener)?;
        tokio::spawn(acceptor.run());
        Ok(handle)
    }

    /// Starts a vendor on the caller's runtime, at a free loopback port.
    ///
    /// # Errors
    /// When no port is free.
    pub fn bind(settings: VendorSettings) -> io::Result<VendorHandle> {
        Self::spawn(settings, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?)
    }

    /// Starts a vendor on a thread and runtime of its own, so that its observations do not depend
    /// on the scheduling of the program under test.
    ///
    /// # Errors
    /// When the runtime or the thread cannot be created.
    pub fn on_thread(settings: VendorSettings, listener: TcpListener) -> io::Result<VendorHandle> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, acceptor) = {
            let _entered = runtime.enter();
            Acceptor::new(settings, listener)?
        };
        let thread = std::thread::Builder::new().name("vendor".to_owned());
        thread.spawn(move || runtime.block_on(acceptor.run()))?;
        Ok(handle)
    }
}

/// Controls a running vendor, which stops when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct VendorHandle {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Arc<watch::Sender<bool>>,
}

impl VendorHandle {
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn log(&self) -> RequestLog {
        self.shared.log()
    }

    /// The most counted arrivals of one account in any half-open window of this (real) length.
    #[must_use]
    pub fn worst_window(&self, window: Duration) -> usize {
        self.log().worst_window(window)
    }

    /// The allowances, with windows in real time.
    #[must_use]
    pub fn allowances(&self) -> &[Allowance] {
        &self.shared.allowances
    }

    /// How many connections were marked to be reset without reading their next request.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.shared.unread()
    }

    /// Nanoseconds since the vendor started.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.shared.now_ns()
    }

    pub fn control(&self, command: &Command) {
        self.shared.execute(command);
    }

    /// Clears the log, the counts and the script; documents, jobs and tokens stay.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Closes the listener and aborts every connection.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

struct Acceptor {
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
}

impl Acceptor {
    fn new(settings: VendorSettings, listener: TcpListener) -> io::Result<(VendorHandle, Self)> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let shared = Arc::new(Shared::new(settings));
        let (sender, stop) = watch::channel(false);
        let handle = VendorHandle { shared: Arc::clone(&shared), address, stop: Arc::new(sender) };
        Ok((handle, Self { listener, shared, stop }))
    }

    /// Accepts connections until stopped; dropping the task set aborts those still open.
    async fn run(mut self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = self.stop.changed() => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept(),
                    if connections.len() < self.shared.settings.connections_max =>
                {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(serve_connection(Arc::clone(&self.shared), stream));
                    }
                }
            }
        }
    }
}

async fn serve_connection(shared: Arc<Shared>, stream: TcpStream) {
    // Without TCP_NODELAY small responses arrive later; nothing else depends on it.
    drop(stream.set_nodelay(true));
    let fault = FaultControl::new();
    shared.maybe_reset_unread(&fault);
    let io = TokioIo::new(FaultyStream::new(stream, fault.clone()));
    let service = service_fn(|request| serve::respond(Arc::clone(&shared), fault.clone(), request));
    let builder = auto::Builder::new(TokioExecutor::new());
    // The request log shows how each request ended, so the connection's error is not needed.
    drop(builder.serve_connection(io, service).await);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;

    use super::super::faulty_stream::ConnectionEnd;
    use super::super::script::{Action, BreakPoint, ScriptRule, ScriptedResponse};
    use super::super::settings::{Allowance, Counting, Latency, ThrottleStyle, WindowKind};
    use super::super::{RequestRecord, fingerprint};
    use super::*;
    use crate::clock::Clock;

    type TcpClient = std::net::TcpStream;

    const SECOND: Duration = Duration::from_secs(1);

    fn open(settings: VendorSettings) -> VendorHandle {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Vendor::on_thread(VendorSettings { seed: Some(5), ..settings }, listener).unwrap()
    }

    fn connect(vendor: &VendorHandle) -> TcpClient {
        let client = TcpClient::connect(vendor.address()).unwrap();
        client.set_read_timeout(Some(5 * SECOND)).unwrap();
        client
    }

    fn request(line: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "{line} HTTP/1.1\r\nhost: vendor\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
    }

    /// Everything read until the connection ends, and whether it ended in an error.
    fn exchange(vendor: &VendorHandle, text: &str) -> (String, io::Result<()>) {
        let mut client = connect(vendor);
        let mut read = Vec::new();
        let end = client.write_all(text.as_bytes()).and_then(|()| client.read_to_end(&mut read));
        (String::from_utf8_lossy(&read).into_owned(), end.map(drop))
    }

    fn send(vendor: &VendorHandle, line: &str, headers: &str, body: &str) -> (u16, String) {
        let (text, end) = exchange(vendor, &request(line, headers, body));
        end.unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text)
    }

    fn create(vendor: &VendorHandle) -> (u16, String) {
        let drop = r#"{"title":"a","content":"b"}"#;
        send(vendor, "POST /api/v1/drop/create", KEY, drop)
    }

    fn statuses(vendor: &VendorHandle) -> Vec<Option<u16>> {
        vendor.log().arrivals.iter().map(|one| one.status).collect()
    }

    /// Waits until the vendor's thread has recorded the expected state.
    fn eventually(holds: impl Fn() -> bool) {
        let clock = Clock::start();
        while !holds() {
            assert!(
                clock.now().as_nanos() < 5_000_000_000,
                "the expected state was not reached within 5 s"
            );
            std::thread::yield_now();
        }
    }

    const KEY: &str = "x-api-key: demo-key\r\n";

    #[test]
    fn droplink_sends_the_error_messages_of_its_documentation() {
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
            let (answered, text) = send(&vendor, line, headers, body);
            assert_eq!(answered, status, "{line}: {text}");
            assert!(text.contains(sentence), "{line}: {text}");
        }
    }

    fn session(vendor: &VendorHandle) -> String {
        let body = r#"{"accountid":"demo","key":"demo-key"}"#;
        let (status, text) = send(vendor, "POST /api/auth/token", "", body);
        let token = text.split('"').nth_back(1).unwrap();
        assert_eq!((status, token.len()), (200, 32));
        format!("x-auth-accountid: demo\r\nx-auth-token: {token}\r\n")
    }

    #[test]
    fn wordbee_sends_the_error_messages_of_its_documentation() {
        let vendor = open(VendorSettings::wordbee());
        let session = session(&vendor);
        let wrong = r#"{"accountid":"demo","key":"x"}"#;
        let other_account = session.replace("demo", "other");
        for (line, headers, body, status, sentence) in [
            ("GET /api/documents/1", session.as_str(), "", 200, "Welcome.docx"),
            ("GET /api/documents/7", &session, "", 400, "The requested file does not exist."),
            ("GET /api/documents/abc", &session, "", 404, "a URL parameter is missing or invalid"),
            ("POST /api/auth/token", "", wrong, 400, "Invalid private key."),
            ("GET /api/documents/1", "", "", 400, "Token invalid or expired."),
            ("GET /api/documents/1", &other_account, "", 400, "Token invalid or expired."),
            ("POST /api/documents", &session, r#"{"name":"a.docx"}"#, 200, r#""status":"Waiting""#),
            ("GET /api/trm/status?requestid=2", &session, "", 200, r#""requestid":"2""#),
            ("GET /api/trm/status?requestid=3", &session, "", 404, "does not exist"),
            ("DELETE /api/auth/token", &session, "", 204, ""),
            ("GET /api/documents/1", &session, "", 400, "Token invalid or expired."),
        ] {
            let (answered, text) = send(&vendor, line, headers, body);
            assert_eq!(answered, status, "{line}: {text}");
            assert!(text.contains(sentence), "{line}: {text}");
        }
    }

    #[test]
    fn authentication_requests_are_not_counted_and_a_429_names_the_limit() {
        let allowances = vec![Allowance::new(2, 3600 * SECOND)];
        let vendor = open(VendorSettings { allowances, ..VendorSettings::wordbee() });
        let session = session(&vendor);
        let get = || send(&vendor, "GET /api/documents/1", &session, "");
        assert_eq!([get().0, get().0], [200, 200]);
        let (status, text) = get();
        assert_eq!(status, 429);
        assert!(text.contains("Requests throttled. Maximum allowed 2 per 01:00:00."), "{text}");
        self::session(&vendor);
        let counted = |one: &RequestRecord| one.counted_ns.is_some();
        let counts: Vec<bool> = vendor.log().arrivals.iter().map(counted).collect();
        assert_eq!(counts, [false, true, true, true, false]);
        assert_eq!(vendor.worst_window(3600 * SECOND), 3);
    }

    #[test]
    fn a_token_expires_when_idle_or_on_command() {
        let vendor = open(VendorSettings { scale: 3_600, ..VendorSettings::wordbee() });
        let session = session(&vendor);
        let get = || send(&vendor, "GET /api/documents/1", &session, "").0;
        assert_eq!(get(), 200);
        let used = vendor.now_ns();
        eventually(|| vendor.now_ns() > used + 700_000_000);
        assert_eq!(get(), 400);
        let fresh = self::session(&vendor);
        vendor.control(&Command::ExpireTokens);
        assert_eq!(send(&vendor, "GET /api/documents/1", &fresh, "").0, 400);
    }

    #[test]
    fn the_time_scale_shortens_the_window() {
        let window =
            Allowance { window_kind: WindowKind::Rolling, ..Allowance::new(1, 60 * SECOND) };
        let allowances = vec![window];
        let vendor = open(VendorSettings { allowances, scale: 120, ..VendorSettings::droplink() });
        assert_eq!([create(&vendor).0, create(&vendor).0], [200, 429]);
        let refused = vendor.log().arrivals[1].at_ns;
        eventually(|| vendor.now_ns() > refused + 510_000_000);
        assert_eq!(create(&vendor).0, 200);
        assert_eq!(vendor.worst_window(vendor.allowances()[0].window), 2);
    }

    #[test]
    fn each_throttle_style_has_its_status_and_header() {
        for (style, status, sign) in [
            (ThrottleStyle::Plain, 429, "slow the rate"),
            (ThrottleStyle::RetryAfter, 429, "retry-after: 60\r\n"),
            (ThrottleStyle::ClockText, 429, "retry-after: 00:01:00\r\n"),
            (ThrottleStyle::Disguised, 400, "exceed the request limit."),
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
    fn deadlock_and_maintenance_end() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::Deadlock { times: 1 });
        assert_eq!(send(&vendor, "GET /api/v1/drop/1", KEY, "").0, 400);
        let (status, text) = create(&vendor);
        assert_eq!(status, 400);
        assert!(text.contains("database deadlock"), "{text}");
        assert_eq!(create(&vendor).0, 200);
        vendor.control(&Command::Maintenance { for_ms: 3_600_000, retry_after_s: Some(300) });
        let (status, text) = create(&vendor);
        assert_eq!(status, 503);
        assert!(text.contains("down for maintenance") && text.contains("retry-after: 300\r\n"));
        vendor.control(&Command::EndMaintenance);
        assert_eq!(create(&vendor).0, 200);
        assert_eq!(statuses(&vendor), [400, 400, 200, 503, 200].map(Some));
    }

    #[test]
    fn connections_break_at_the_scripted_point() {
        let vendor = open(VendorSettings::droplink());
        for (at, starts, ends) in [
            (BreakPoint::BeforeAnswer, "", ""),
            (BreakPoint::InHead, "HTTP/1.", "HTTP/1."),
            (BreakPoint::AfterHead, "HTTP/1.1 200 OK", "\r\n\r\n"),
            (BreakPoint::InBody, "HTTP/1.1 200 OK", "{\"statu"),
        ] {
            for how in [ConnectionEnd::Close, ConnectionEnd::Reset] {
                vendor.control(&Command::Script(ScriptRule::next(1, Action::Break { at, how })));
                let (text, end) = exchange(&vendor, &request("GET /status/200", "", ""));
                // A reset may overtake what was sent before it.
                if how == ConnectionEnd::Close {
                    assert!(text.starts_with(starts) && text.ends_with(ends), "{at:?}: {text}");
                } else {
                    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset, "{at:?}");
                }
            }
        }
        assert!(vendor.log().arrivals.iter().all(|one| one.delivered));
    }

    #[test]
    fn garbage_slow_bodies_and_scripted_responses_are_sent() {
        let vendor = open(VendorSettings::droplink());
        let plain = request("GET /status/200", "", "");
        vendor.control(&Command::Script(ScriptRule::next(
            1,
            Action::Garbage("\0not http\n".to_owned()),
        )));
        assert_eq!(exchange(&vendor, &plain).0, "\0not http\n");
        vendor
            .control(&Command::Script(ScriptRule::next(1, Action::Drip { bytes: 3, pause_ms: 5 })));
        let started = vendor.now_ns();
        let (text, _) = exchange(&vendor, &plain);
        assert!(
            text.contains("content-length: 14") && text.ends_with(r#"{"status":200}"#),
            "{text}"
        );
        assert!(vendor.now_ns() - started >= 20_000_000);
        let canned =
            ScriptedResponse::new(502, "text/html", "<h1>Bad Gateway</h1>").header("x-lb", "7");
        vendor.control(&Command::Script(ScriptRule::next(1, Action::Answer(canned))));
        let (status, text) = send(&vendor, "GET /echo", "", "");
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
    fn random_faults_strike_at_every_point_and_are_logged() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::RandomFaults { probability: 1.0 });
        let mut complete = 0;
        for nth in 0..200 {
            let (text, end) = exchange(&vendor, &request("POST /echo", "", &format!("body {nth}")));
            complete += usize::from(end.is_ok() && text.ends_with('}'));
        }
        let log = vendor.log();
        let with_fault = |name: &str| {
            let fits = |one: &&RequestRecord| one.fault.as_deref() == Some(name);
            log.arrivals.iter().filter(fits).collect::<Vec<_>>()
        };
        let after_head = with_fault("random reset AfterHead");
        assert!(!after_head.is_empty() && after_head.iter().all(|one| !one.delivered));
        let after_body = with_fault("random reset AfterBody");
        assert!(!after_body.is_empty());
        assert!(after_body.iter().all(|one| one.delivered && one.status.is_none()));
        assert!(!with_fault("random reset InResponse").is_empty());
        assert!(log.arrivals.len() < 200, "some requests are never read");
        let without_fault = log.arrivals.iter().filter(|one| one.fault.is_none()).count();
        assert!(complete >= without_fault && complete < 200);
    }

    #[test]
    fn late_counting_happens_even_when_the_client_disconnects() {
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
        let record = vendor.log().arrivals[0].clone();
        assert!(record.status.is_none() && record.counted_ns > Some(record.at_ns));
    }

    #[test]
    fn a_stalled_request_is_read_and_never_answered() {
        let vendor = open(VendorSettings::droplink());
        vendor.control(&Command::Script(ScriptRule::next(1, Action::Stall).method("GET")));
        let mut client = connect(&vendor);
        client.set_read_timeout(Some(SECOND / 5)).unwrap();
        client.write_all(request("GET /echo", "", "").as_bytes()).unwrap();
        let silence = client.read(&mut [0; 1]).unwrap_err().kind();
        assert!(matches!(silence, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        eventually(|| vendor.log().arrivals.first().is_some_and(|one| one.delivered));
        assert_eq!(send(&vendor, "GET /echo", "", "").0, 200);
    }

    #[test]
    fn control_requests_are_neither_logged_nor_counted() {
        let vendor = open(VendorSettings::droplink());
        let commands = r#"[{"deadlock":{"times":1}},{"latency":{"min_ms":1,"max_ms":2}}]"#;
        assert_eq!(send(&vendor, "POST /_vendor/control", "", commands).0, 204);
        let (status, text) = send(&vendor, "POST /_vendor/control", "", r#"{"dedlock":{}}"#);
        assert_eq!(status, 400);
        assert!(text.contains("unknown variant `dedlock`"), "{text}");
        assert_eq!(create(&vendor).0, 400);
        let (_, text) = send(&vendor, "GET /_vendor/stats", "", "");
        assert!(text.contains(r#""arrivals":1,"#) && text.contains(r#"{"400":1}"#), "{text}");
        let (_, text) = send(&vendor, "GET /_vendor/log?after=0", "", "");
        assert!(text.contains(r#""target":"/api/v1/drop/create""#), "{text}");
        let hash = fingerprint(br#"{"title":"a","content":"b"}"#);
        assert!(text.contains(&format!(r#""body_hash":"{hash:016x}""#)), "{text}");
        assert_eq!(send(&vendor, "POST /_vendor/reset", "", "").0, 204);
        assert!(vendor.log().arrivals.is_empty());
    }

    #[test]
    fn test_endpoints_respond_as_documented() {
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
            let (answered, text) = send(&vendor, line, headers, "");
            assert_eq!(answered, status, "{line}");
            assert!(signs.iter().all(|sign| text.contains(sign)), "{line}: {text}");
        }
        let long = "x".repeat(3 * 1024 * 1024);
        let (_, text) = send(&vendor, "POST /echo", "", &long);
        assert!(
            text.contains(r#""body_len":3145728,"#) && text.contains(r#""body":null"#),
            "{text}"
        );
        assert!(text.contains(&format!("{:016x}", fingerprint(long.as_bytes()))), "{text}");
        let (_, text) = send(&vendor, "POST /mirror", "content-type: a/b\r\n", "as it came");
        assert!(text.contains("content-type: a/b\r\n") && text.contains("as it came"), "{text}");
    }

    #[test]
    fn a_client_preface_starts_http2() {
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
    fn a_vendor_stops_on_request_and_when_its_last_handle_is_dropped() {
        let vendor = open(VendorSettings::droplink());
        let address = vendor.address();
        let mut client = connect(&vendor);
        vendor.stop();
        assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
        eventually(|| TcpClient::connect(address).is_err());
        let dropped = open(VendorSettings::droplink()).address();
        eventually(|| TcpClient::connect(dropped).is_err());
    }
}
