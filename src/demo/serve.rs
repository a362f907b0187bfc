//! One request at a simulated vendor, from its head to its answer: arrive, count, perhaps die,
//! read, wait, answer, perhaps break.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode, Version, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

use super::answer::{Answer, AnswerBody, Content};
use super::arrivals::{Head, Over, nanos};
use super::script::{Act, Canned, Death, Point};
use super::settings::{Allowance, Counting, Kind, Throttling};
use super::vendor::Shared;
use super::wire::{End, Switch};
use super::wordbee::Visit;
use super::{Fingerprint, control, droplink, generic, wordbee};

/// Of a body, so much is kept for the pages; the rest is only hashed.
const BODY_KEPT_MAX: usize = 1024 * 1024;
/// A connection that breaks inside the status line breaks after so many bytes.
const IN_HEAD_BYTES: usize = 7;
/// Where chance breaks an answer: below so many bytes.
const IN_ANSWER_BYTES: u64 = 200;
/// Stands for whoever sends no credential.
const NOBODY: &str = "(nobody)";

/// Answers one request, or fails so that hyper ends the connection.
pub(super) async fn answer(
    shared: Arc<Shared>,
    switch: Switch,
    request: Request<Incoming>,
) -> io::Result<Response<AnswerBody>> {
    if control::is_meant(request.uri().path()) {
        return Ok(control::answer(&shared, request).await);
    }
    let (head, body) = request.into_parts();
    let call = Call::arrive(shared, switch, head);
    call.serve(body).await
}

/// A request on its way through the vendor.
struct Call {
    shared: Arc<Shared>,
    switch: Switch,
    head: Parts,
    number: u64,
    arrived_ns: u64,
    latency: Duration,
    act: Option<Act>,
    death: Option<Death>,
}

/// A request's body once it was read: its beginning, and what is known of the whole.
struct Received {
    kept: Vec<u8>,
    len: u64,
    hash: u64,
}

/// Whether the arrival was over a limit, known now or when it is counted.
enum Counted {
    Already(Option<Over>),
    Later(oneshot::Receiver<Option<Over>>),
}

impl Counted {
    async fn over(self) -> Option<Over> {
        match self {
            Self::Already(over) => over,
            Self::Later(verdict) => verdict.await.ok().flatten(),
        }
    }
}

impl Call {
    fn arrive(shared: Arc<Shared>, switch: Switch, head: Parts) -> Self {
        let entry = Head {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            account: account(shared.settings.kind, &head),
        };
        let (number, arrived_ns) = {
            let mut book = shared.book();
            let now = shared.now_ns();
            (book.arrive(now, entry), now)
        };
        let (act, death, bounds) = {
            let mut script = shared.script();
            let act = script.take(head.method.as_str(), head.uri.path());
            (act, script.death(shared.random.unit()), script.latency())
        };
        let spread = nanos(bounds.max.saturating_sub(bounds.min)).saturating_add(1);
        let drawn = bounds.min + Duration::from_nanos(shared.below(spread));
        let latency = shared.settings.real(drawn);
        let call = Self { shared, switch, head, number, arrived_ns, latency, act, death };
        call.note_fault();
        call
    }

    async fn serve(self, body: Incoming) -> io::Result<Response<AnswerBody>> {
        let counted = self.count();
        if self.death == Some(Death::AfterHead) {
            return Err(self.die());
        }
        if let Some(Act::Answer(canned)) = &self.act
            && canned.early
        {
            return Ok(self.send(canned_answer(canned)));
        }
        if self.head.uri.path().ends_with("/mirror") {
            counted.over().await;
            return Ok(self.mirror(body));
        }
        let body = self.read(body).await?;
        if self.death == Some(Death::AfterBody) {
            return Err(self.die());
        }
        let over = counted.over().await;
        self.wait().await;
        let answer = self.decide(&body, over);
        self.finish(answer)
    }

    /// Counts now or, even if the client has left by then, a little later.
    fn count(&self) -> Counted {
        if self.is_exempt() {
            return Counted::Already(None);
        }
        let delay = match self.shared.settings.counting {
            Counting::AtArrival => Duration::ZERO,
            Counting::Late => Duration::from_nanos(self.shared.below(nanos(self.latency))),
        };
        let (shared, number) = (Arc::clone(&self.shared), self.number);
        let account = account(shared.settings.kind, &self.head);
        if delay.is_zero() {
            return Counted::Already(count(&shared, number, &account));
        }
        let (tell, verdict) = oneshot::channel();
        tokio::spawn(async move {
            shared.clock.sleep_until(shared.clock.now().plus(delay)).await;
            // Nobody listens any more when the client has left; it counts all the same.
            let _ = tell.send(count(&shared, number, &account));
        });
        Counted::Later(verdict)
    }

    /// Wordbee's authentication calls are not counted.
    fn is_exempt(&self) -> bool {
        match self.shared.settings.kind {
            Kind::Droplink => false,
            Kind::Wordbee => self.inside() == Some(wordbee::TOKEN_PATH),
        }
    }

    /// The path after the vendor's base, if it is under it.
    fn inside(&self) -> Option<&str> {
        let base = match self.shared.settings.kind {
            Kind::Droplink => droplink::BASE,
            Kind::Wordbee => wordbee::BASE,
        };
        self.head.uri.path().strip_prefix(base).filter(|rest| rest.starts_with('/'))
    }

    async fn read(&self, body: Incoming) -> io::Result<Received> {
        let mut metered = Metered::new(Arc::clone(&self.shared), self.number, body);
        let mut kept = Vec::new();
        while let Some(frame) = metered.frame().await {
            if let Ok(data) = frame?.into_data() {
                let room = BODY_KEPT_MAX - kept.len();
                kept.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        Ok(Received { kept, len: metered.read, hash: metered.hash.value() })
    }

    /// Sends the body back while it comes in.
    fn mirror(&self, body: Incoming) -> Response<AnswerBody> {
        let mut answer = Answer::empty(StatusCode::OK);
        if let Some(kind) = self.head.headers.get(http::header::CONTENT_TYPE) {
            answer = answer.header(http::header::CONTENT_TYPE, kind.clone());
        }
        let metered = Metered::new(Arc::clone(&self.shared), self.number, body);
        answer.body = Content::Passed(BodyExt::boxed(metered));
        self.send(answer)
    }

    async fn wait(&self) {
        let mut span = nanos(self.latency);
        if let Some(Act::Delay { ms }) = &self.act {
            let extra = self.shared.settings.real(Duration::from_millis(*ms));
            span = span.saturating_add(nanos(extra));
        }
        let passed = self.shared.now_ns().saturating_sub(self.arrived_ns);
        if let Some(left) = span.checked_sub(passed).filter(|left| *left > 0) {
            let clock = self.shared.clock;
            clock.sleep_until(clock.now().plus(Duration::from_nanos(left))).await;
        }
        if self.act == Some(Act::Stall) {
            std::future::pending::<()>().await;
        }
    }

    /// A script goes before maintenance, maintenance before the limit, the limit before the page.
    fn decide(&self, body: &Received, over: Option<Over>) -> Answer {
        if let Some(answer) = self.scripted() {
            return answer;
        }
        let maintenance = self.shared.script().maintenance(self.shared.now_ns());
        if let Some(window) = maintenance {
            let down = self.failure(StatusCode::SERVICE_UNAVAILABLE);
            let told = window.retry_after_s.map(HeaderValue::from);
            return told.into_iter().fold(down, |down, wait| down.header(RETRY_AFTER, wait));
        }
        match over {
            Some(over) => self.throttled(self.shared.settings.throttling, over),
            None => self.page(body),
        }
    }

    fn scripted(&self) -> Option<Answer> {
        match self.act.as_ref()? {
            Act::Answer(canned) => Some(canned_answer(canned)),
            Act::Fail(status) => Some(self.failure(StatusCode::from_u16(*status).ok()?)),
            Act::Deadlock => Some(match self.shared.settings.kind {
                Kind::Droplink => droplink::deadlock(),
                Kind::Wordbee => wordbee::deadlock(self.shared.clock.wall()),
            }),
            Act::Throttle(style) => Some(self.throttled(*style, self.pretended())),
            Act::Stall
            | Act::Break { .. }
            | Act::Garbage(_)
            | Act::Drip { .. }
            | Act::Delay { .. } => None,
        }
    }

    /// A limit for a scripted refusal to speak of: the vendor's first, else Wordbee's own.
    fn pretended(&self) -> Over {
        let hourly = Allowance::new(1000, Duration::from_secs(3600));
        let scaled = || hourly.scaled(self.shared.settings.scale);
        let allowance = self.shared.allowances().first().copied().unwrap_or_else(scaled);
        Over { allowance, room_in: allowance.window }
    }

    fn throttled(&self, style: Throttling, over: Over) -> Answer {
        let disguised = style == Throttling::Disguised;
        let status =
            if disguised { StatusCode::BAD_REQUEST } else { StatusCode::TOO_MANY_REQUESTS };
        let answer = match self.shared.settings.kind {
            Kind::Droplink if disguised => droplink::over_limit(),
            Kind::Droplink => droplink::failure(status),
            Kind::Wordbee => wordbee::throttled(status, &over.allowance),
        };
        let seconds = over.room_in.as_secs() + u64::from(over.room_in.subsec_nanos() > 0);
        match style {
            Throttling::Plain | Throttling::Disguised => answer,
            Throttling::RetryAfter => answer.header(RETRY_AFTER, seconds),
            Throttling::ClockText => {
                let text = wordbee::time_span(Duration::from_secs(seconds));
                answer.text_header(RETRY_AFTER, &text)
            }
        }
    }

    fn failure(&self, status: StatusCode) -> Answer {
        match self.shared.settings.kind {
            Kind::Droplink => droplink::failure(status),
            Kind::Wordbee => wordbee::failure(status, self.shared.clock.wall()),
        }
    }

    fn page(&self, body: &Received) -> Answer {
        let target = self.head.uri.to_string();
        let inside = self.inside();
        let path = inside.unwrap_or(self.head.uri.path());
        let visit = self.visit(path, body);
        if let Some(answer) = generic::answer(visit, &target) {
            let bare = answer.status.as_u16() < 400 || !path.starts_with("/status/");
            return if bare { answer } else { self.failure(answer.status) };
        }
        match (self.shared.settings.kind, inside) {
            (_, None) => self.failure(StatusCode::NOT_FOUND),
            (Kind::Droplink, Some(_)) => self.droplink(visit),
            (Kind::Wordbee, Some(_)) => self.wordbee(visit),
        }
    }

    fn droplink(&self, visit: Visit<'_>) -> Answer {
        let mut pages = self.shared.pages();
        let refusal = droplink::refusal(visit.headers, &pages.credentials);
        let route = (visit.method, visit.path);
        refusal.unwrap_or_else(|| pages.droplink.answer(route, visit.body, visit.now))
    }

    fn wordbee(&self, visit: Visit<'_>) -> Answer {
        let mut pages = self.shared.pages();
        let super::vendor::Pages { wordbee, credentials, .. } = &mut *pages;
        if visit.path == wordbee::TOKEN_PATH {
            return wordbee.token(visit, credentials, self.shared.random.bytes16());
        }
        wordbee.refusal(visit).unwrap_or_else(|| wordbee.answer(visit))
    }

    fn visit<'a>(&'a self, path: &'a str, body: &'a Received) -> Visit<'a> {
        Visit {
            method: self.head.method.as_str(),
            path,
            query: self.head.uri.query().unwrap_or_default(),
            headers: &self.head.headers,
            body: &body.kept,
            body_len: body.len,
            body_hash: body.hash,
            now: self.shared.now(),
            wall: self.shared.clock.wall(),
        }
    }

    /// Lets the answer go out, or what the script makes of it.
    fn finish(&self, answer: Answer) -> io::Result<Response<AnswerBody>> {
        let Some(act) = &self.act else {
            return Ok(self.send(answer));
        };
        let answer = match act {
            Act::Break { at: Point::BeforeAnswer, how } => {
                self.switch.cut(0, *how);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Act::Break { at, how } => self.break_at(*at, *how, answer),
            Act::Garbage(text) => {
                self.switch.send_instead(Bytes::from(text.clone()));
                answer
            }
            Act::Drip { bytes, pause_ms } => {
                let pause = self.shared.settings.real(Duration::from_millis(*pause_ms));
                answer.dripping(*bytes, pause)
            }
            Act::Answer(_)
            | Act::Fail(_)
            | Act::Deadlock
            | Act::Throttle(_)
            | Act::Stall
            | Act::Delay { .. } => answer,
        };
        Ok(self.send(answer))
    }

    /// HTTP/1 breaks on the wire; on HTTP/2 the head is no text, so there the body fails.
    fn break_at(&self, at: Point, how: End, answer: Answer) -> Answer {
        let half = answer.body_len() / 2;
        let text = self.head.version != Version::HTTP_2;
        match at {
            Point::BeforeAnswer => self.switch.cut(0, how),
            Point::InHead => self.switch.cut(IN_HEAD_BYTES, how),
            Point::AfterHead if text => self.switch.cut_body(0, how),
            Point::InBody if text => self.switch.cut_body(half, how),
            Point::AfterHead => return answer.broken(0),
            Point::InBody => return answer.broken(half),
        }
        answer
    }

    fn send(&self, answer: Answer) -> Response<AnswerBody> {
        let (now, status) = (self.shared.now_ns(), answer.status.as_u16());
        self.shared.book().note(self.number, |one| {
            one.answered_ns = Some(now);
            one.status = Some(status);
        });
        if self.death == Some(Death::InAnswer) {
            let bytes = usize::try_from(self.shared.below(IN_ANSWER_BYTES)).unwrap_or(0);
            self.switch.cut(bytes, End::Reset);
        } else if self.act.is_none() {
            self.shared.perhaps_leave_unread(&self.switch);
        }
        answer.into_response(self.shared.clock)
    }

    fn die(&self) -> io::Error {
        self.switch.cut(0, End::Reset);
        io::ErrorKind::ConnectionReset.into()
    }

    fn note_fault(&self) {
        let fault = match (self.death, &self.act) {
            (Some(death), _) => Some(format!("death {death:?}")),
            (None, Some(act)) => serde_json::to_value(act).ok().map(|act| first_key(&act)),
            (None, None) => None,
        };
        if fault.is_some() {
            self.shared.book().note(self.number, |one| one.fault = fault);
        }
    }
}

/// The name of an act: enough for a log.
fn first_key(act: &serde_json::Value) -> String {
    let named = act.as_object().and_then(|object| object.keys().next()).map(String::as_str);
    named.or(act.as_str()).unwrap_or_default().to_owned()
}

fn account(kind: Kind, head: &Parts) -> String {
    let account = match kind {
        Kind::Droplink => droplink::account(&head.headers),
        Kind::Wordbee => wordbee::account(&head.headers),
    };
    account.unwrap_or(NOBODY).to_owned()
}

/// The clock is read under the lock, so that counted moments never go back.
fn count(shared: &Shared, number: u64, account: &str) -> Option<Over> {
    let mut book = shared.book();
    let now = shared.now_ns();
    book.count((number, now), account, shared.allowances(), shared.settings.refused)
}

fn canned_answer(canned: &Canned) -> Answer {
    let status = StatusCode::from_u16(canned.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let answer = Answer::new(status, "", canned.body.clone());
    canned.headers.iter().fold(answer, |answer, (name, value)| {
        match http::HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => answer.text_header(name, value),
            Err(_) => answer,
        }
    })
}

/// A request's body, weighed and hashed as it is read. What was read to the end was delivered.
struct Metered {
    body: Incoming,
    shared: Arc<Shared>,
    number: u64,
    read: u64,
    hash: Fingerprint,
}

impl Metered {
    fn new(shared: Arc<Shared>, number: u64, body: Incoming) -> Self {
        let metered = Self { body, shared, number, read: 0, hash: Fingerprint::default() };
        // hyper does not ask for the end of a body that is known to be empty.
        if metered.body.is_end_stream() {
            metered.note_delivered();
        }
        metered
    }

    fn note_delivered(&self) {
        self.shared.book().note(self.number, |one| {
            one.delivered = true;
            one.body_len = self.read;
            one.body_hash = self.hash.value();
        });
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.read += data.len() as u64;
            self.hash.update(data);
        }
        if frame.is_none() || self.body.is_end_stream() && matches!(frame, Some(Ok(_))) {
            self.note_delivered();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
