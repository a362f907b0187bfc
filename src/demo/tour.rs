//! The guided tour: a plain client calls the simulated vendors through a gateway and goes through a
//! burst, a deadlock, a maintenance window and three vendor errors. What the client saw is printed
//! beside what the vendor logged.
//!
//! Every check is computed from these two views alone, so the tour can fail, and its tests run it
//! against a relay that fails every step.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::client::{Client, ClientRequest, ClientResponse, Progress};
use super::report::TourReport;
use super::request_log::{RequestLog, RequestRecord, nanos};
use super::script::{Action, Command, ScriptRule, ScriptedResponse};
use super::vendor::VendorHandle;
use crate::clock::Clock;

pub use super::client::TourError;
pub use super::report::{Check, OutputKind, TourOutput, TourResult, TourStep};

/// The burst has this many times the requests that one window allows.
const BURST_WINDOWS: usize = 4;
/// Calls that wait during the maintenance.
const WAITING_CALLS: usize = 12;
/// The wait that Droplink's documentation asks for.
const HOLD: Duration = Duration::from_secs(300);
/// Longer than one hold and shorter than two, so that exactly one probe fails.
const MAINTENANCE: Duration = Duration::from_secs(450);
/// The longest patience that a client can ask for.
const PATIENCE: &str = "wait=600";
/// That patience and a minute.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(660);
/// What a load balancer sends when the vendor behind it is down.
const BALANCER_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head>\
                             <body><h1>502 Bad Gateway</h1></body></html>";
/// Members that every problem must have.
const MEMBERS: [&str; 9] =
    ["type", "title", "status", "detail", "code", "source", "retryable", "request_id", "upstream"];
const NEW_DROP: &str = r#"{"title":"a","content":"b"}"#;
/// Progress lines during the maintenance, and the longest time between two of them.
const PROGRESS_LINES: u32 = 8;
const PROGRESS_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Runs the tour against the gateway at `gateway`, with `/droplink` and `/wordbee` routed to
/// these vendors. They must have no other clients meanwhile.
///
/// # Errors
/// When an exchange fails or the output cannot be written. A failed check is not an error.
pub async fn tour(
    gateway: SocketAddr,
    droplink: &VendorHandle,
    wordbee: &VendorHandle,
    scale: u32,
    output: TourOutput<'_>,
) -> Result<TourResult, TourError> {
    let tour = Tour { gateway, droplink, wordbee, scale: scale.max(1) };
    let mut report = TourReport::new(output);
    report.introduction(&format!(
        "You will see one client call two simulated vendors through the gateway: a burst, a\n\
         deadlock, a maintenance window and three errors. For each, what the client and the vendor\n\
         saw is shown and checked. The vendors' time runs {} times faster than yours.",
        tour.scale
    ))?;
    tour.burst(&mut report).await?;
    tour.deadlock(&mut report).await?;
    tour.maintenance(&mut report).await?;
    tour.errors(&mut report).await?;
    report.finish()
}

/// The progress line of the maintenance step, `since` its beginning. `closed` is the length of the
/// maintenance.
fn progress_text(calls: usize, since: Duration, closed: Duration, hold: Duration) -> String {
    let waiting =
        if calls == 1 { "1 call waits".to_owned() } else { format!("{calls} calls wait") };
    if calls < WAITING_CALLS {
        return format!("{waiting}; Droplink responds again, the others follow at its rate limit");
    }
    if let Some(left) = closed.checked_sub(since) {
        return format!("{waiting}; the maintenance ends in {}", seconds(left));
    }
    // The gateway may lengthen a hold by a tenth, so that the probes of several gateways spread.
    let hold = hold + hold / 10;
    let holds = nanos(since) / nanos(hold).max(1) + 1;
    let probe = hold.saturating_mul(u32::try_from(holds).unwrap_or(u32::MAX));
    let left = seconds(probe.saturating_sub(since));
    format!("{waiting}; the maintenance is over, the next probe is sent within {left}")
}

struct Tour<'a> {
    gateway: SocketAddr,
    droplink: &'a VendorHandle,
    wordbee: &'a VendorHandle,
    scale: u32,
}

impl Tour<'_> {
    async fn burst(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        let Some(allowance) = self.droplink.allowances().first().copied() else {
            return Ok(());
        };
        let (limit, window) = (allowance.limit, allowance.window);
        let calls = limit * BURST_WINDOWS;
        report.begin_step("A burst within the rate limit")?;
        report.line(format!(
            "Droplink allows {limit} requests in {}; {calls} are made at once.",
            seconds(window)
        ))?;
        report.table_header()?;
        let mark = self.droplink.log().last_number();
        let direct = ClientRequest::post("/api/v1/drop/create", NEW_DROP);
        let direct = direct.header("x-api-key", "direct-key");
        let responses = client(self.droplink.address()).send_concurrently(&direct, calls).await?;
        let seen = VendorView::since(self.droplink, mark, "direct-key");
        report.row("without the gateway", summary(&responses), seen.busiest(window))?;
        let mark = self.droplink.log().last_number();
        let responses = client(self.gateway).send_concurrently(&new_drop(), calls).await?;
        let seen = VendorView::since(self.droplink, mark, "demo-key");
        report.row("through the gateway", summary(&responses), seen.busiest(window))?;
        let worst = seen.log.worst_window(window);
        let (sent, throttled) = (seen.arrivals().len(), seen.with_status(429).count());
        report.check(
            responses.iter().all(|response| response.status == 200),
            format!("the client got {calls} successes and no 429"),
        )?;
        report.check(
            worst <= limit,
            format!("no window had more than {limit} requests: at most {worst}"),
        )?;
        report.check(throttled == 0, format!("the vendor refused {throttled} of them"))?;
        report.check(sent == calls, format!("{sent} requests were sent for {calls} calls"))
    }

    async fn deadlock(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        report.begin_step("A database deadlock")?;
        report.line(
            "Droplink's next write fails: \"Please resend the request a short time later\".",
        )?;
        report.table_header()?;
        let mark = self.droplink.log().last_number();
        self.droplink.control(&Command::Deadlock { times: 1 });
        let response = client(self.gateway).send(new_drop()).await?;
        let seen = VendorView::since(self.droplink, mark, "demo-key");
        let summary = summary(std::slice::from_ref(&response));
        report.row("POST /drop/create", summary, seen.statuses())?;
        report.check(response.status == 200, format!("the client got {}", response.status))?;
        let statuses: Vec<_> = seen.arrivals().iter().map(|record| record.status).collect();
        let resent = statuses == [Some(400), Some(200)];
        report.check(resent, format!("the vendor got {} requests", statuses.len()))?;
        let mut bodies: Vec<_> =
            seen.arrivals().iter().map(|record| (record.body_len, record.body_hash)).collect();
        bodies.dedup();
        report.check(bodies.len() == 1 && resent, "both had the same body")
    }

    async fn maintenance(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        let (hold, closed) = (HOLD / self.scale, MAINTENANCE / self.scale);
        report.begin_step("A maintenance window")?;
        report.line(format!(
            "Droplink is down for {} and says \"sleep for 5 minutes\", which is {} here.",
            seconds(closed),
            seconds(hold)
        ))?;
        let mark = self.droplink.log().last_number();
        let for_ms = u64::try_from(MAINTENANCE.as_millis()).unwrap_or(u64::MAX);
        self.droplink.control(&Command::Maintenance { for_ms, retry_after_s: None });
        let clock = Clock::start();
        let mut show_waiting = |calls: usize| {
            let since = Duration::from_nanos(clock.now().as_nanos());
            report.progress(progress_text(calls, since, closed, hold))
        };
        let interval = (closed / PROGRESS_LINES).min(PROGRESS_INTERVAL_MAX);
        let progress = Progress { interval, report: &mut show_waiting };
        let responses =
            client(self.gateway).send_with_progress(&new_drop(), WAITING_CALLS, progress).await?;
        report.table_header()?;
        let timeline =
            MaintenanceTimeline::new(&VendorView::since(self.droplink, mark, "demo-key"));
        let what = format!("{WAITING_CALLS} calls at once");
        let mut lines = timeline.lines().into_iter();
        report.row(&what, summary(&responses), lines.next().unwrap_or_default())?;
        for line in lines {
            report.row("", "", line)?;
        }
        report.check(
            responses.iter().all(|response| response.status == 200),
            "every waiting call succeeded",
        )?;
        let holds = usize::try_from(nanos(closed) / nanos(hold).max(1)).unwrap_or(usize::MAX);
        let probes = timeline.failed_probes.len();
        let plural = if probes == 1 { "probe was" } else { "probes were" };
        report.check(
            probes <= holds,
            format!("{probes} {plural} sent during the maintenance, at most one for each hold"),
        )?;
        report.check(
            timeline.first_success_was_alone,
            "the first successful probe was sent alone; the other calls followed its response",
        )
    }

    async fn errors(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        report.begin_step("Three vendor errors in one format")?;
        let examples = [
            self.unknown_endpoint().await?,
            self.missing_file().await?,
            self.balancer_page().await?,
        ];
        for example in &examples {
            example.print(report)?;
        }
        for example in &examples {
            example.check(report)?;
        }
        Ok(())
    }

    async fn unknown_endpoint(&self) -> Result<ErrorExample, TourError> {
        let direct = ClientRequest::get("/api/v1/nowhere").header("x-api-key", "direct-key");
        let original = client(self.droplink.address()).send(direct).await?;
        let request = ClientRequest::get("/droplink/nowhere").header("x-api-key", "demo-key");
        let received = client(self.gateway).send(request).await?;
        Ok(ErrorExample {
            sender: "Droplink",
            status: original.status,
            body: original.text(),
            received,
            code: "endpoint_not_found",
            detail: original.json()["error"].as_str().map(str::to_owned),
        })
    }

    async fn missing_file(&self) -> Result<ErrorExample, TourError> {
        let direct = client(self.wordbee.address());
        let session = Session::open(direct, "/api", "direct").await?;
        let request = session.sign(ClientRequest::get("/api/documents/404"));
        let original = direct.send(request).await?;
        let gateway = client(self.gateway);
        let session = Session::open(gateway, "/wordbee", "demo").await?;
        let request = session.sign(ClientRequest::get("/wordbee/documents/404"));
        let received = gateway.send(request).await?;
        let detail = original.json().pointer("/error/title").map(plain);
        let (status, body) = (original.status, original.text());
        Ok(ErrorExample { sender: "Wordbee", status, body, received, code: "not_found", detail })
    }

    /// The request is a POST, so that the gateway does not retry the 502.
    async fn balancer_page(&self) -> Result<ErrorExample, TourError> {
        let gateway = client(self.gateway);
        let session = Session::open(gateway, "/wordbee", "demo").await?;
        let page = ScriptedResponse::new(502, "text/html", BALANCER_PAGE);
        let rule = ScriptRule::next(1, Action::Answer(page));
        let rule = rule.method("POST").path("/api/documents");
        self.wordbee.control(&Command::Script(rule));
        let request = r#"{"name":"a.docx","content":"a"}"#;
        let request = session.sign(ClientRequest::post("/wordbee/documents", request));
        Ok(ErrorExample {
            sender: "A load balancer",
            status: 502,
            body: BALANCER_PAGE.to_owned(),
            received: gateway.send(request).await?,
            code: "upstream_error",
            detail: None,
        })
    }
}

fn client(address: SocketAddr) -> Client {
    Client { address, timeout: CLIENT_TIMEOUT }
}

fn new_drop() -> ClientRequest {
    ClientRequest::post("/droplink/drop/create", NEW_DROP)
        .header("x-api-key", "demo-key")
        .header("prefer", PATIENCE)
}

/// A Wordbee session.
struct Session {
    account: &'static str,
    token: String,
}

impl Session {
    async fn open(client: Client, base: &str, account: &'static str) -> Result<Self, TourError> {
        let body = format!(r#"{{"accountid":"{account}","key":"{account}-key"}}"#);
        let request = ClientRequest::post(&format!("{base}/auth/token"), &body);
        let response = client.send(request.header("x-auth-accountid", account)).await?;
        match response.json().as_str() {
            Some(token) if response.status == 200 => Ok(Self { account, token: token.to_owned() }),
            Some(_) | None => Err(TourError::NoSession(response.text())),
        }
    }

    fn sign(&self, request: ClientRequest) -> ClientRequest {
        request.header("x-auth-accountid", self.account).header("x-auth-token", &self.token)
    }
}

/// The requests of one account that a vendor logged after a mark.
struct VendorView {
    log: RequestLog,
}

impl VendorView {
    fn since(vendor: &VendorHandle, mark: u64, account: &str) -> Self {
        let mut log = vendor.log().after(mark);
        log.arrivals.retain(|record| record.account == account);
        Self { log }
    }

    fn arrivals(&self) -> &[RequestRecord] {
        &self.log.arrivals
    }

    fn with_status(&self, status: u16) -> impl Iterator<Item = &RequestRecord> {
        self.arrivals().iter().filter(move |record| record.status == Some(status))
    }

    fn busiest(&self, window: Duration) -> String {
        let (count, worst) = (self.arrivals().len(), self.log.worst_window(window));
        format!("{count} requests, at most {worst} in {}", seconds(window))
    }

    fn statuses(&self) -> String {
        let text = |record: &RequestRecord| match record.status {
            Some(status) => status.to_string(),
            None => "no response".to_owned(),
        };
        self.arrivals().iter().map(text).collect::<Vec<_>>().join(", then ")
    }
}

/// What the vendor got during and after the maintenance; moments are nanoseconds after the first
/// request.
struct MaintenanceTimeline {
    /// Requests sent before the gateway had received the first 503.
    in_flight: Vec<u64>,
    failed_probes: Vec<u64>,
    first_success: Option<u64>,
    first_success_was_alone: bool,
    later_successes: usize,
}

impl MaintenanceTimeline {
    fn new(seen: &VendorView) -> Self {
        let start = seen.arrivals().first().map_or(0, |record| record.at_ns);
        let since_start = |record: &RequestRecord| record.at_ns - start;
        let first_503 = seen.with_status(503).filter_map(|record| record.answered_ns).min();
        let first_503 = first_503.unwrap_or(u64::MAX);
        let (in_flight, probes): (Vec<_>, Vec<_>) =
            seen.with_status(503).partition(|record| record.at_ns <= first_503);
        let success = seen.with_status(200).next();
        let alone = success.is_some_and(|first| {
            let answered = first.answered_ns.unwrap_or(u64::MAX);
            let concurrent =
                |other: &RequestRecord| other.at_ns > first.at_ns && other.at_ns < answered;
            !seen.arrivals().iter().any(concurrent)
        });
        Self {
            in_flight: in_flight.into_iter().map(since_start).collect(),
            failed_probes: probes.into_iter().map(since_start).collect(),
            first_success: success.map(since_start),
            first_success_was_alone: alone,
            later_successes: seen.with_status(200).count().saturating_sub(1),
        }
    }

    fn lines(&self) -> Vec<String> {
        let at = |ns: &u64| seconds(Duration::from_nanos(*ns));
        let in_flight = self.in_flight.iter().map(|ns| format!("{} 503", at(ns)));
        let failed = self.failed_probes.iter().map(|ns| format!("{} 503 to a probe", at(ns)));
        let success = self.first_success.iter().map(|ns| format!("{} 200 to a probe", at(ns)));
        let rest = std::iter::once(format!("then {} × 200", self.later_successes));
        in_flight.chain(failed).chain(success).chain(rest).collect()
    }
}

/// One vendor error: the original, and the problem that the client received.
struct ErrorExample {
    sender: &'static str,
    status: u16,
    body: String,
    received: ClientResponse,
    code: &'static str,
    /// The vendor's message, which the problem's detail must repeat.
    detail: Option<String>,
}

impl ErrorExample {
    fn print(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        let problem = self.received.json();
        let member = |name: &str| truncated(plain(&problem[name]), 60);
        let upstream = plain(problem.pointer("/upstream/status").unwrap_or(&Value::Null));
        let body = truncated(self.body.clone(), 72);
        report.line(format!("{} sent {} {body}", self.sender, self.status))?;
        report.line(format!(
            "  the client received {} {}",
            self.received.status,
            self.media_type()
        ))?;
        report.line(format!(
            "    code {} · status {} · source {} · upstream.status {upstream}",
            member("code"),
            member("status"),
            member("source")
        ))?;
        report.line(format!("    detail {}", member("detail")))?;
        report.line("")
    }

    fn check(&self, report: &mut TourReport<'_>) -> Result<(), TourError> {
        let problem = self.received.json();
        let format_correct = MEMBERS.iter().all(|name| problem.get(name).is_some())
            && self.media_type().starts_with("application/problem+json")
            && problem["status"] == self.received.status;
        let meaning_correct = problem["code"] == self.code
            && problem["source"] == "upstream"
            && problem.pointer("/upstream/status").is_some_and(|status| *status == self.status);
        let detail_correct = match &self.detail {
            Some(message) => problem["detail"] == message.as_str(),
            None => problem["detail"].as_str().is_some_and(|text| !text.is_empty()),
        };
        let claim = format!("{}: a complete problem with the right code and detail", self.sender);
        report.check(format_correct && meaning_correct && detail_correct, claim)
    }

    fn media_type(&self) -> &str {
        self.received.header("content-type").unwrap_or("(no media type)")
    }
}

/// Responses by status, and the time of the last one.
fn summary(responses: &[ClientResponse]) -> String {
    let mut counts = BTreeMap::<u16, usize>::new();
    responses.iter().for_each(|response| *counts.entry(response.status).or_default() += 1);
    let each = counts.iter().map(|(status, count)| format!("{count} × {status}"));
    let last = responses.iter().map(|response| response.took).max().unwrap_or_default();
    format!("{} in {}", each.collect::<Vec<_>>().join(", "), seconds(last))
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

/// A string without quotes, any other value as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn truncated(text: String, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text;
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::body::{Bytes, Incoming};
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use serde_json::json;
    use tokio::sync::Mutex;

    use super::super::{DemoSettings, Vendor, VendorSettings};
    use super::*;

    /// Makes Droplink's window a fifth of a second.
    const SCALE: u32 = 300;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum FakeBehaviour {
        /// Forwards every request and response unchanged.
        Relay,
        /// Sends one request at a time with pauses, and retries and waits as the vendors document.
        Careful,
    }

    /// A small substitute for the gateway, to test what the tour finds out about it.
    struct FakeGateway {
        behaviour: FakeBehaviour,
        droplink: SocketAddr,
        wordbee: SocketAddr,
        one_at_a_time: Mutex<()>,
    }

    impl FakeGateway {
        async fn start(self) -> SocketAddr {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let shared = Arc::new(self);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    let serve = service_fn(move |request| Arc::clone(&shared).answer(request));
                    let builder = hyper::server::conn::http1::Builder::new();
                    tokio::spawn(builder.serve_connection(TokioIo::new(stream), serve));
                }
            });
            address
        }

        async fn answer(
            self: Arc<Self>,
            request: Request<Incoming>,
        ) -> Result<Response<Full<Bytes>>, hyper::Error> {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let path = head.uri.path();
            let (address, path) = match path.strip_prefix("/droplink") {
                Some(rest) => (self.droplink, format!("/api/v1{rest}")),
                None => (self.wordbee, path.replacen("/wordbee", "/api", 1)),
            };
            let text = std::str::from_utf8(&body).unwrap();
            let method = if head.method == "POST" { "POST" } else { "GET" };
            let mut request = ClientRequest { method, ..ClientRequest::post(&path, text) };
            for name in ["x-api-key", "x-auth-accountid", "x-auth-token"] {
                if let Some(value) = head.headers.get(name) {
                    request = request.header(name, value.to_str().unwrap());
                }
            }
            let client = client(address);
            let response = match self.behaviour {
                FakeBehaviour::Relay => client.send(request).await.unwrap(),
                FakeBehaviour::Careful => self.send_carefully(client, request).await,
            };
            let is_error = self.behaviour == FakeBehaviour::Careful && response.status >= 400;
            Ok(if is_error { problem(&response) } else { unchanged(&response) })
        }

        async fn send_carefully(&self, client: Client, request: ClientRequest) -> ClientResponse {
            let _guard = self.one_at_a_time.lock().await;
            loop {
                let response = client.send(request.clone()).await.unwrap();
                pause(Duration::from_millis(6000) / SCALE).await;
                match response.status {
                    503 => pause(HOLD / SCALE).await,
                    400 if response.text().contains("deadlock") => {}
                    _ => return response,
                }
            }
        }
    }

    async fn pause(span: Duration) {
        let clock = Clock::start();
        clock.sleep_until(clock.now().plus(span)).await;
    }

    fn unchanged(received: &ClientResponse) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(received.body.clone()));
        *response.status_mut() = received.status.try_into().unwrap();
        response
    }

    fn problem(received: &ClientResponse) -> Response<Full<Bytes>> {
        let original = received.json();
        let title = original.pointer("/error/title").and_then(Value::as_str);
        let message = original["error"].as_str().or(title);
        let (code, status) = match received.status {
            404 => ("endpoint_not_found", 404),
            400 => ("not_found", 404),
            _ => ("upstream_error", 502),
        };
        let body = json!({"type": "urn:x", "title": code, "status": status, "code": code,
            "detail": message.unwrap_or("502 Bad Gateway"), "source": "upstream",
            "retryable": false, "request_id": "1", "upstream": {"status": received.status}});
        let response = Response::builder().status(status);
        let response = response.header("content-type", "application/problem+json");
        response.body(Full::from(body.to_string())).unwrap()
    }

    fn vendor(settings: VendorSettings) -> VendorHandle {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Vendor::on_thread(settings, listener).unwrap()
    }

    fn run_tour(behaviour: FakeBehaviour) -> (TourResult, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = DemoSettings { scale: SCALE, ..DemoSettings::default() };
        let (droplink, wordbee) =
            (vendor(settings.droplink_settings()), vendor(settings.wordbee_settings()));
        let fake_gateway = FakeGateway {
            behaviour,
            droplink: droplink.address(),
            wordbee: wordbee.address(),
            one_at_a_time: Mutex::new(()),
        };
        let mut printed = Vec::new();
        let result = runtime.block_on(async {
            let gateway = fake_gateway.start().await;
            let output = TourOutput { out: &mut printed, kind: OutputKind::Plain };
            tour(gateway, &droplink, &wordbee, SCALE, output).await.unwrap()
        });
        (result, String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_careful_gateway_passes_the_tour() {
        let (result, printed) = run_tour(FakeBehaviour::Careful);
        assert!(result.passed(), "{printed}");
        assert!(printed.contains("40 requests, at most 40 in 0.2 s"), "{printed}");
        assert!(printed.contains("503 to a probe"), "{printed}");
        assert!(printed.contains("13 of 13 checks passed"), "{printed}");
        assert!(printed.starts_with("You will see"), "{printed}");
        assert!(printed.contains("… 12 calls wait; the maintenance ends in 1."), "{printed}");
        let widest = printed.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?}: {printed}");
    }

    #[test]
    fn a_relay_fails_every_step() {
        let (result, printed) = run_tour(FakeBehaviour::Relay);
        assert!(!result.passed());
        for step in &result.steps {
            assert!(step.checks.iter().any(|check| !check.holds), "{}: {printed}", step.title);
        }
        assert_eq!(result.steps.len(), 4);
    }

    #[test]
    fn progress_lines_say_how_many_calls_wait_and_for_what() {
        let (closed, hold) = (Duration::from_millis(7_500), Duration::from_secs(5));
        let rows = [
            (12, 1_000, "12 calls wait; the maintenance ends in 6.5 s"),
            (
                12,
                8_000,
                "12 calls wait; the maintenance is over, the next probe is sent within 3.0 s",
            ),
            (12, 10_900, "the next probe is sent within 0.1 s"),
            (9, 11_500, "9 calls wait; Droplink responds again, the others follow"),
            (1, 12_000, "1 call waits; Droplink responds again"),
        ];
        for (calls, millis, expected) in rows {
            let text = progress_text(calls, Duration::from_millis(millis), closed, hold);
            assert!(text.contains(expected), "{text}");
            assert!(text.len() <= 90, "{text}");
        }
    }
}
