//! The demo's story, played by a simple client against a gateway: a burst, a deadlock, a
//! maintenance window, three foreign errors. The client's view is printed beside the vendor's.
//!
//! Every claim is computed from the client's answers and the vendors' logs, and is a value: the
//! tour can fail, and says so. Refuses to look inside the gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::arrivals::{Arrival, nanos};
use super::playbook::Playbook;
use super::script::{Act, Canned, Command, Order};
use super::vendor::Handle;
use super::visitor::{Letter, Reply, Visitor};
use crate::clock::Clock;

pub use super::playbook::{Check, Scene, Screen, ScreenKind, TourVerdict};
pub use super::visitor::TourFault;

/// The burst is so many times what one window grants.
const BURST_WINDOWS: usize = 4;
/// Calls that wait through the maintenance.
const WAITING_CALLS: usize = 12;
/// What Droplink's page asks for: five minutes of sleep.
const HOLD: Duration = Duration::from_secs(300);
/// The maintenance outlasts one such sleep, not two: one probe must fail.
const MAINTENANCE: Duration = Duration::from_secs(450);
/// The longest patience a client can ask for.
const PATIENCE: &str = "wait=600";
/// The client gives up after that patience and a minute.
const SILENCE_MAX: Duration = Duration::from_secs(660);
/// The page of a balancer in front of a vendor that is gone.
const BALANCER_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head>\
                             <body><h1>502 Bad Gateway</h1></body></html>";
/// Members without which a problem is not in our shape.
const MEMBERS: [&str; 9] =
    ["type", "title", "status", "detail", "code", "source", "retryable", "request_id", "upstream"];
/// A new drop.
const DROP: &str = r#"{"title":"a","content":"b"}"#;

/// Plays the story against the gateway at `gateway`, with `/droplink` and `/wordbee` routed to
/// these vendors. Nobody else should call them meanwhile.
///
/// # Errors
/// When an exchange cannot be made or the story not be printed; a false claim is no error.
pub async fn tour(
    gateway: SocketAddr,
    droplink: &Handle,
    wordbee: &Handle,
    scale: u32,
    screen: Screen<'_>,
) -> Result<TourVerdict, TourFault> {
    let stage = Stage { gateway, droplink, wordbee, scale: scale.max(1) };
    let mut book = Playbook::new(screen);
    book.foreword(&opening(stage.scale))?;
    stage.burst(&mut book).await?;
    stage.deadlock(&mut book).await?;
    stage.maintenance(&mut book).await?;
    stage.errors(&mut book).await?;
    book.close()
}

/// What will be seen, in one sentence.
fn opening(scale: u32) -> String {
    format!(
        "You will see one client call two simulated vendors through the gateway: a burst, a\n\
         deadlock, a maintenance window and three errors, what client and vendor saw of each, and\n\
         which claims hold; the vendors' time runs {scale} times faster than yours."
    )
}

/// Signs of life during a wait: so many, and no further apart than this.
const SIGNS: u32 = 8;
const SIGN_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What goes on while the vendor is closed, so long after it closed.
fn waiting(calls: usize, since: Duration, closed: Duration, hold: Duration) -> String {
    let waiting =
        if calls == 1 { "1 call waits".to_owned() } else { format!("{calls} calls wait") };
    if calls < WAITING_CALLS {
        return format!(
            "{waiting}; a probe found Droplink open, and the others follow at its pace"
        );
    }
    if let Some(left) = closed.checked_sub(since) {
        return format!("{waiting}; Droplink opens again in {}", seconds(left));
    }
    // A hold may be a tenth longer than the vendor said, so that probes of many do not meet.
    let hold = hold + hold / 10;
    let holds = nanos(since) / nanos(hold).max(1) + 1;
    let probe = hold.saturating_mul(u32::try_from(holds).unwrap_or(u32::MAX));
    let left = seconds(probe.saturating_sub(since));
    format!("{waiting}; Droplink is open again, the next probe finds it in {left} or less")
}

/// Who takes part.
struct Stage<'a> {
    gateway: SocketAddr,
    droplink: &'a Handle,
    wordbee: &'a Handle,
    scale: u32,
}

impl Stage<'_> {
    async fn burst(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        let Some(granted) = self.droplink.allowances().first().copied() else {
            return Ok(());
        };
        let calls = granted.limit * BURST_WINDOWS;
        book.open("A burst that all succeeds")?;
        book.say(format!(
            "Droplink grants {} calls in {}; {calls} are made at once.",
            granted.limit,
            seconds(granted.window)
        ))?;
        book.columns()?;
        let mark = self.droplink.log().last_number();
        let past = Letter::post("/api/v1/drop/create", DROP).header("x-api-key", "direct-key");
        let replies = self.visitor(self.droplink.address()).send_at_once(&past, calls).await?;
        let seen = Seen::by(self.droplink, mark, "direct-key");
        book.row("past the gateway", tally(&replies), seen.busiest(granted.window))?;
        let mark = self.droplink.log().last_number();
        let replies = self.visitor(self.gateway).send_at_once(&self.drop(), calls).await?;
        let seen = Seen::by(self.droplink, mark, "demo-key");
        book.row("through the gateway", tally(&replies), seen.busiest(granted.window))?;
        let worst = seen.worst_window(granted.window);
        let throttled = seen.arrivals.iter().filter(|one| one.status == Some(429)).count();
        book.claim(
            replies.iter().all(|reply| reply.status == 200),
            format!("the client got {calls} successes and no throttle"),
        )?;
        book.claim(
            worst <= granted.limit,
            format!("no window held more than {} arrivals: at most {worst}", granted.limit),
        )?;
        book.claim(throttled == 0, format!("the vendor throttled {throttled} of them"))?;
        let sent = seen.arrivals.len();
        book.claim(sent == calls, format!("{sent} sends for {calls} calls"))
    }

    async fn deadlock(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        book.open("A deadlock that disappears")?;
        book.say(
            "Droplink's next write meets a database deadlock: \"resend a short time later\".",
        )?;
        book.columns()?;
        let mark = self.droplink.log().last_number();
        self.droplink.control(&Command::Deadlock { times: 1 });
        let reply = self.visitor(self.gateway).send(self.drop()).await?;
        let seen = Seen::by(self.droplink, mark, "demo-key");
        book.row("POST /drop/create", tally(std::slice::from_ref(&reply)), seen.statuses())?;
        book.claim(reply.status == 200, format!("the client got {}", reply.status))?;
        let statuses: Vec<_> = seen.arrivals.iter().map(|one| one.status).collect();
        let resent = statuses == [Some(400), Some(200)];
        book.claim(resent, format!("the vendor saw {} arrivals", statuses.len()))?;
        let hashes = seen.arrivals.iter().map(|one| (one.body_len, one.body_hash));
        let mut hashes: Vec<_> = hashes.collect();
        hashes.dedup();
        book.claim(hashes.len() == 1 && resent, "both carried the same body")
    }

    async fn maintenance(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        let (hold, closed) = (HOLD / self.scale, MAINTENANCE / self.scale);
        book.open("A maintenance window")?;
        book.say(format!(
            "Droplink closes for {} and says \"sleep for 5 minutes\", here {}.",
            seconds(closed),
            seconds(hold)
        ))?;
        let mark = self.droplink.log().last_number();
        let for_ms = u64::try_from(MAINTENANCE.as_millis()).unwrap_or(u64::MAX);
        self.droplink.control(&Command::Maintenance { for_ms, retry_after_s: None });
        let gateway = self.visitor(self.gateway);
        let clock = Clock::start();
        let pause = (closed / SIGNS).min(SIGN_PAUSE_MAX);
        let mut tell = |calls: usize| {
            let since = Duration::from_nanos(clock.now().as_nanos());
            book.now(waiting(calls, since, closed, hold))
        };
        let letter = self.drop();
        let replies = gateway.send_and_watch(&letter, WAITING_CALLS, (pause, &mut tell)).await?;
        book.columns()?;
        let seen = Seen::by(self.droplink, mark, "demo-key");
        let door = Doorstep::of(&seen);
        let what = format!("{WAITING_CALLS} calls at once");
        let story = door.story();
        let mut lines = story.iter();
        book.row(&what, tally(&replies), lines.next().cloned().unwrap_or_default())?;
        for line in lines {
            book.row("", "", line)?;
        }
        book.claim(
            replies.iter().all(|reply| reply.status == 200),
            "every waiting call was served",
        )?;
        let holds = usize::try_from(nanos(closed) / nanos(hold).max(1)).unwrap_or(usize::MAX);
        book.claim(
            door.failed_probes.len() <= holds,
            match door.failed_probes.len() {
                1 => "1 probe met the closed door, one for each hold".to_owned(),
                probes => format!("{probes} probes met the closed door, one for each hold"),
            },
        )?;
        book.claim(
            door.opener_was_alone,
            "the probe that found it open went alone; the others followed its answer",
        )
    }

    async fn errors(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        book.open("Three foreign errors in one shape")?;
        let trials = [
            self.unknown_endpoint().await?,
            self.missing_file().await?,
            self.balancer_page().await?,
        ];
        for trial in &trials {
            trial.print(book)?;
        }
        for trial in &trials {
            trial.judge(book)?;
        }
        Ok(())
    }

    async fn unknown_endpoint(&self) -> Result<Trial, TourFault> {
        let direct = Letter::get("/api/v1/nowhere").header("x-api-key", "direct-key");
        let said = self.visitor(self.droplink.address()).send(direct).await?;
        let through = Letter::get("/droplink/nowhere").header("x-api-key", "demo-key");
        let read = self.visitor(self.gateway).send(through).await?;
        let detail = said.json()["error"].as_str().map(str::to_owned);
        let said = (said.status, said.text());
        Ok(Trial { who: "Droplink", said, read, code: "endpoint_not_found", detail })
    }

    async fn missing_file(&self) -> Result<Trial, TourFault> {
        let at = self.visitor(self.wordbee.address());
        let session = open_session(at, "/api", "direct").await?;
        let said = at.send(session.sign(Letter::get("/api/documents/404"))).await?;
        let gateway = self.visitor(self.gateway);
        let session = open_session(gateway, "/wordbee", "demo").await?;
        let read = gateway.send(session.sign(Letter::get("/wordbee/documents/404"))).await?;
        let detail = said.json().pointer("/error/title").and_then(Value::as_str).map(str::to_owned);
        let said = (said.status, said.text());
        Ok(Trial { who: "Wordbee", said, read, code: "not_found", detail })
    }

    /// A write, so that nobody may try again on his own account.
    async fn balancer_page(&self) -> Result<Trial, TourFault> {
        let gateway = self.visitor(self.gateway);
        let session = open_session(gateway, "/wordbee", "demo").await?;
        let page = Canned::new(502, "text/html", BALANCER_PAGE);
        let order = Order::next(1, Act::Answer(page)).method("POST").path("/api/documents");
        self.wordbee.control(&Command::Order(order));
        let write = Letter::post("/wordbee/documents", r#"{"name":"a.docx","content":"a"}"#);
        let read = gateway.send(session.sign(write)).await?;
        let said = (502, BALANCER_PAGE.to_owned());
        Ok(Trial { who: "a balancer", said, read, code: "upstream_error", detail: None })
    }

    fn visitor(&self, address: SocketAddr) -> Visitor {
        Visitor { address, silence_max: SILENCE_MAX }
    }

    fn drop(&self) -> Letter {
        Letter::post("/droplink/drop/create", DROP)
            .header("x-api-key", "demo-key")
            .header("prefer", PATIENCE)
    }
}

/// A Wordbee session.
struct Session {
    account: &'static str,
    token: String,
}

impl Session {
    fn sign(&self, letter: Letter) -> Letter {
        letter.header("x-auth-accountid", self.account).header("x-auth-token", &self.token)
    }
}

async fn open_session(
    visitor: Visitor,
    base: &str,
    account: &'static str,
) -> Result<Session, TourFault> {
    let asked = format!(r#"{{"accountid":"{account}","key":"{account}-key"}}"#);
    let letter = Letter::post(&format!("{base}/auth/token"), &asked);
    let reply = visitor.send(letter.header("x-auth-accountid", account)).await?;
    match reply.json().as_str() {
        Some(token) if reply.status == 200 => Ok(Session { account, token: token.to_owned() }),
        Some(_) | None => Err(TourFault::NoSession(reply.text())),
    }
}

/// What one account's vendor saw since a mark.
struct Seen {
    arrivals: Vec<Arrival>,
    log: super::Log,
}

impl Seen {
    fn by(vendor: &Handle, mark: u64, account: &str) -> Self {
        let mut log = vendor.log().after(mark);
        log.arrivals.retain(|one| one.account == account);
        Self { arrivals: log.arrivals.clone(), log }
    }

    fn worst_window(&self, window: Duration) -> usize {
        self.log.worst_window(window)
    }

    fn busiest(&self, window: Duration) -> String {
        let (count, worst) = (self.arrivals.len(), self.worst_window(window));
        format!("{count} arrivals, {worst} in its busiest {}", seconds(window))
    }

    fn statuses(&self) -> String {
        let words = |one: &Arrival| match one.status {
            Some(status) => status.to_string(),
            None => "no answer".to_owned(),
        };
        self.arrivals.iter().map(words).collect::<Vec<_>>().join(", then ")
    }
}

/// What happened at a closed door.
struct Doorstep {
    /// Nanoseconds after the first arrival.
    under_way: Vec<u64>,
    failed_probes: Vec<u64>,
    opener: Option<u64>,
    opener_was_alone: bool,
    followers: usize,
}

impl Doorstep {
    fn of(seen: &Seen) -> Self {
        let start = seen.arrivals.first().map_or(0, |one| one.at_ns);
        let refused = || seen.arrivals.iter().filter(|one| one.status == Some(503));
        let known = refused().filter_map(|one| one.answered_ns).min().unwrap_or(u64::MAX);
        let since = |one: &Arrival| one.at_ns - start;
        let opener = seen.arrivals.iter().find(|one| one.status == Some(200));
        let alone = opener.is_some_and(|first| {
            let done = first.answered_ns.unwrap_or(u64::MAX);
            let beside = |one: &&Arrival| one.at_ns > first.at_ns && one.at_ns < done;
            seen.arrivals.iter().filter(beside).count() == 0
        });
        let served = seen.arrivals.iter().filter(|one| one.status == Some(200)).count();
        Self {
            under_way: refused().filter(|one| one.at_ns <= known).map(since).collect(),
            failed_probes: refused().filter(|one| one.at_ns > known).map(since).collect(),
            opener: opener.map(since),
            opener_was_alone: alone,
            followers: served.saturating_sub(1),
        }
    }

    fn story(&self) -> Vec<String> {
        let at = |ns: &u64| seconds(Duration::from_nanos(*ns));
        let met = self.under_way.iter().map(|ns| format!("{} 503", at(ns)));
        let probes = self.failed_probes.iter().map(|ns| format!("{} 503 to a probe", at(ns)));
        let opener = self.opener.iter().map(|ns| format!("{} 200 to a probe", at(ns)));
        let rest = std::iter::once(format!("then {} × 200", self.followers));
        met.chain(probes).chain(opener).chain(rest).collect()
    }
}

/// One foreign error: what the vendor said, what the client read, what it should mean.
struct Trial {
    who: &'static str,
    said: (u16, String),
    read: Reply,
    code: &'static str,
    detail: Option<String>,
}

impl Trial {
    fn print(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        let problem = self.read.json();
        let text = |name: &str| brief(plain(&problem[name]), 60);
        let upstream = plain(problem.pointer("/upstream/status").unwrap_or(&Value::Null));
        book.say(format!(
            "{} said    {} {}",
            self.who,
            self.said.0,
            brief(self.said.1.clone(), 74)
        ))?;
        book.say(format!("  the client read: {} {}", self.read.status, self.media_type()))?;
        book.say(format!(
            "    code {} · status {} · source {} · upstream.status {upstream}",
            text("code"),
            text("status"),
            text("source")
        ))?;
        book.say(format!("    detail {}", text("detail")))?;
        book.say("")
    }

    fn judge(&self, book: &mut Playbook<'_>) -> Result<(), TourFault> {
        let problem = self.read.json();
        let complete = MEMBERS.iter().all(|name| problem.get(name).is_some());
        let shaped = complete
            && self.media_type().starts_with("application/problem+json")
            && problem["status"] == self.read.status;
        let meant = problem["code"] == self.code
            && problem["source"] == "upstream"
            && problem.pointer("/upstream/status").is_some_and(|status| *status == self.said.0);
        let worded = match &self.detail {
            Some(sentence) => problem["detail"] == sentence.as_str(),
            None => problem["detail"].as_str().is_some_and(|text| !text.is_empty()),
        };
        let claim =
            format!("{}: the one shape, the right meaning, the vendor's sentence", self.who);
        book.claim(shaped && meant && worded, claim)
    }

    fn media_type(&self) -> &str {
        self.read.header("content-type").unwrap_or("(no media type)")
    }
}

/// Replies by status, and when the last one came.
fn tally(replies: &[Reply]) -> String {
    let mut counts = BTreeMap::<u16, usize>::new();
    replies.iter().for_each(|reply| *counts.entry(reply.status).or_default() += 1);
    let each = counts.iter().map(|(status, count)| format!("{count} × {status}"));
    let last = replies.iter().map(|reply| reply.took).max().unwrap_or_default();
    format!("{} in {}", each.collect::<Vec<_>>().join(", "), seconds(last))
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

/// A JSON value as a person writes it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// At most `max` characters of a text, on one line.
fn brief(text: String, max: usize) -> String {
    if text.chars().count() <= max {
        return text;
    }
    text.chars().take(max - 1).chain(['…']).collect()
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

    /// A window of Droplink's is a fifth of a second.
    const SCALE: u32 = 300;

    /// How the program between client and vendors behaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Manner {
        /// It passes on whatever it is given.
        Relay,
        /// One send at a time, spaced; it resends and sleeps as the documents say.
        Careful,
    }

    /// Something that stands where the gateway would, to see that the tour can tell.
    struct StandIn {
        manner: Manner,
        droplink: SocketAddr,
        wordbee: SocketAddr,
        gate: Mutex<()>,
    }

    impl StandIn {
        async fn open(self) -> SocketAddr {
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
            let mut letter = Letter { method, ..Letter::post(&path, text) };
            for name in ["x-api-key", "x-auth-accountid", "x-auth-token"] {
                if let Some(value) = head.headers.get(name) {
                    letter = letter.header(name, value.to_str().unwrap());
                }
            }
            let visitor = Visitor { address, silence_max: SILENCE_MAX };
            let reply = match self.manner {
                Manner::Relay => visitor.send(letter).await.unwrap(),
                Manner::Careful => self.carefully(visitor, letter).await,
            };
            let normal = self.manner == Manner::Careful && reply.status >= 400;
            Ok(if normal { problem(&reply) } else { as_it_is(&reply) })
        }

        async fn carefully(&self, visitor: Visitor, letter: Letter) -> Reply {
            let _alone = self.gate.lock().await;
            loop {
                let reply = visitor.send(letter.clone()).await.unwrap();
                pause(Duration::from_millis(6000) / SCALE).await;
                match reply.status {
                    503 => pause(HOLD / SCALE).await,
                    400 if reply.text().contains("deadlock") => {}
                    _ => return reply,
                }
            }
        }
    }

    async fn pause(span: Duration) {
        let clock = Clock::start();
        clock.sleep_until(clock.now().plus(span)).await;
    }

    fn as_it_is(reply: &Reply) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(reply.body.clone()));
        *response.status_mut() = reply.status.try_into().unwrap();
        response
    }

    fn problem(reply: &Reply) -> Response<Full<Bytes>> {
        let said = reply.json();
        let sentence =
            said["error"].as_str().or(said.pointer("/error/title").and_then(Value::as_str));
        let (code, status) = match reply.status {
            404 => ("endpoint_not_found", 404),
            400 => ("not_found", 404),
            _ => ("upstream_error", 502),
        };
        let body = json!({"type": "urn:x", "title": code, "status": status, "code": code,
            "detail": sentence.unwrap_or("502 Bad Gateway"), "source": "upstream",
            "retryable": false, "request_id": "1", "upstream": {"status": reply.status}});
        let response = Response::builder().status(status);
        let response = response.header("content-type", "application/problem+json");
        response.body(Full::from(body.to_string())).unwrap()
    }

    fn vendor(settings: VendorSettings) -> Handle {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Vendor::on_thread(settings, listener).unwrap()
    }

    fn played(manner: Manner) -> (TourVerdict, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = DemoSettings { scale: SCALE, ..DemoSettings::default() };
        let (droplink, wordbee) =
            (vendor(settings.droplink_settings()), vendor(settings.wordbee_settings()));
        let stand_in = StandIn {
            manner,
            droplink: droplink.address(),
            wordbee: wordbee.address(),
            gate: Mutex::new(()),
        };
        let mut printed = Vec::new();
        let verdict = runtime.block_on(async {
            let gateway = stand_in.open().await;
            let screen = Screen { out: &mut printed, kind: ScreenKind::Plain };
            tour(gateway, &droplink, &wordbee, SCALE, screen).await.unwrap()
        });
        (verdict, String::from_utf8(printed).unwrap())
    }

    #[test]
    fn a_careful_program_passes_the_tour() {
        let (verdict, printed) = played(Manner::Careful);
        assert!(verdict.passed(), "{printed}");
        assert!(printed.contains("40 arrivals, 40 in its busiest 0.2 s"), "{printed}");
        assert!(printed.contains("503 to a probe"), "{printed}");
        assert!(printed.contains("13 of 13 claims hold"), "{printed}");
        assert!(printed.starts_with("You will see"), "{printed}");
        assert!(printed.contains("… 12 calls wait; Droplink opens again in 1."), "{printed}");
        let widest = printed.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?}: {printed}");
    }

    #[test]
    fn a_plain_relay_fails_every_scene() {
        let (verdict, printed) = played(Manner::Relay);
        assert!(!verdict.passed());
        for scene in &verdict.scenes {
            assert!(scene.checks.iter().any(|check| !check.holds), "{}: {printed}", scene.title);
        }
        assert_eq!(verdict.scenes.len(), 4);
    }

    #[test]
    fn what_goes_on_meanwhile_is_said_in_whole_sentences() {
        let (closed, hold) = (Duration::from_millis(7_500), Duration::from_secs(5));
        let rows = [
            (12, 1_000, "12 calls wait; Droplink opens again in 6.5 s"),
            (12, 8_000, "12 calls wait; Droplink is open again, the next probe finds it in 3.0 s"),
            (12, 10_900, "the next probe finds it in 0.1 s or less"),
            (9, 11_500, "9 calls wait; a probe found Droplink open, and the others follow"),
            (1, 12_000, "1 call waits; a probe found Droplink open"),
        ];
        for (calls, millis, words) in rows {
            let text = waiting(calls, Duration::from_millis(millis), closed, hold);
            assert!(text.contains(words), "{text}");
            assert!(text.len() <= 90, "{text}");
        }
    }

    #[test]
    fn a_verdict_without_scenes_has_not_passed() {
        assert!(!TourVerdict::default().passed());
    }
}
