//! Serves one request at a simulated vendor, from its head to its response.
//!
//! A request is logged and counted when its head arrives. Then its body is read, the latency
//! passes, and the first of these decides the response: the script, a maintenance window, the rate
//! limit, the endpoint. Scripted and random faults break the connection on the way.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, Request, Response, StatusCode, Version, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::faulty_stream::{ConnectionEnd, FaultControl};
use super::measured_body::MeasuredBody;
use super::message::{Content, EndpointRequest, ResponseBody, VendorResponse};
use super::request_log::{LimitExceeded, Limits, RequestHead, nanos};
use super::script::{Action, BreakPoint, RandomFault, ScriptedResponse};
use super::settings::{Allowance, Counting, ThrottleStyle, VendorKind};
use super::shared::{Shared, VendorState};
use super::{control, droplink, test_endpoints, wordbee};

/// The part of a body that endpoints can read; the rest is only measured and hashed.
const BODY_KEPT_MAX: usize = 1024 * 1024;
/// A break inside the head falls inside the status line.
const BREAK_IN_HEAD_BYTES: usize = 7;
/// A random fault in the response strikes before this many bytes.
const BREAK_IN_RESPONSE_BYTES: u64 = 200;
/// The account of requests without a credential.
const NO_ACCOUNT: &str = "(nobody)";

/// Responds to one request, or fails so that hyper ends the connection.
pub(super) async fn respond(
    shared: Arc<Shared>,
    fault: FaultControl,
    request: Request<Incoming>,
) -> io::Result<Response<ResponseBody>> {
    if control::is_control_path(request.uri().path()) {
        return Ok(control::respond(&shared, request).await);
    }
    let (head, body) = request.into_parts();
    Call::new(shared, fault, head).serve(body).await
}

struct Call {
    shared: Arc<Shared>,
    fault: FaultControl,
    head: Parts,
    account: String,
    number: u64,
    arrived_ns: u64,
    latency: Duration,
    action: Option<Action>,
    random_fault: Option<RandomFault>,
}

struct ReceivedBody {
    beginning: Vec<u8>,
    len: u64,
    hash: u64,
}

/// Whether the request exceeds a limit, which late counting decides while it is being served.
enum LimitCheck {
    Done(Option<LimitExceeded>),
    Pending(oneshot::Receiver<Option<LimitExceeded>>),
}

impl LimitCheck {
    async fn exceeded(self) -> Option<LimitExceeded> {
        match self {
            Self::Done(exceeded) => exceeded,
            Self::Pending(exceeded) => exceeded.await.ok().flatten(),
        }
    }
}

impl Call {
    fn new(shared: Arc<Shared>, fault: FaultControl, head: Parts) -> Self {
        let account = match shared.settings.kind {
            VendorKind::Droplink => droplink::account(&head.headers),
            VendorKind::Wordbee => wordbee::account(&head.headers),
        };
        let account = account.unwrap_or(NO_ACCOUNT).to_owned();
        let (action, random_fault, bounds) = {
            let mut script = shared.script();
            let action = script.take(head.method.as_str(), head.uri.path());
            (action, script.random_fault(shared.random.unit()), script.latency())
        };
        let entry = RequestHead {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            account: account.clone(),
            fault: match (random_fault, &action) {
                (Some(point), _) => Some(format!("random reset {point:?}")),
                (None, Some(action)) => Some(action.name().to_owned()),
                (None, None) => None,
            },
        };
        // The clock is read under the lock, so that arrivals are logged in order of time.
        let (number, arrived_ns) = {
            let mut recorder = shared.recorder();
            let now = shared.now_ns();
            (recorder.record(now, entry), now)
        };
        let spread = nanos(bounds.max.saturating_sub(bounds.min)).saturating_add(1);
        let delay = bounds.min + Duration::from_nanos(shared.random_below(spread));
        let latency = shared.settings.real(delay);
        Self { shared, fault, head, account, number, arrived_ns, latency, action, random_fault }
    }

    async fn serve(self, body: Incoming) -> io::Result<Response<ResponseBody>> {
        let limit_check = self.check_limit();
        if self.random_fault == Some(RandomFault::AfterHead) {
            return Err(self.reset_connection());
        }
        if let Some(Action::Answer(scripted)) = &self.action
            && scripted.early
        {
            return Ok(self.send(scripted_response(scripted)));
        }
        if self.head.uri.path().ends_with("/mirror") {
            limit_check.exceeded().await;
            return Ok(self.mirror(body));
        }
        let body = self.read(body).await?;
        if self.random_fault == Some(RandomFault::AfterBody) {
            return Err(self.reset_connection());
        }
        let exceeded = limit_check.exceeded().await;
        self.wait().await;
        let response = self.choose_response(&body, exceeded);
        self.send_with_faults(response)
    }

    /// Counts the request at once or, with late counting, in a task of its own, so that it counts
    /// even when the client disconnects before.
    fn check_limit(&self) -> LimitCheck {
        let exempt = self.shared.settings.kind == VendorKind::Wordbee
            && self.path_in_api() == Some(wordbee::TOKEN_PATH);
        if exempt {
            return LimitCheck::Done(None);
        }
        let delay = match self.shared.settings.counting {
            Counting::AtArrival => Duration::ZERO,
            Counting::Late => Duration::from_nanos(self.shared.random_below(nanos(self.latency))),
        };
        let (shared, number, account) =
            (Arc::clone(&self.shared), self.number, self.account.clone());
        if delay.is_zero() {
            return LimitCheck::Done(count(&shared, number, &account));
        }
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            shared.clock.sleep_until(shared.clock.now().plus(delay)).await;
            // The receiver is gone when the client has disconnected.
            let _ = sender.send(count(&shared, number, &account));
        });
        LimitCheck::Pending(receiver)
    }

    /// The path below the vendor's base path.
    fn path_in_api(&self) -> Option<&str> {
        let base = match self.shared.settings.kind {
            VendorKind::Droplink => droplink::BASE,
            VendorKind::Wordbee => wordbee::BASE,
        };
        self.head.uri.path().strip_prefix(base).filter(|rest| rest.starts_with('/'))
    }

    async fn read(&self, body: Incoming) -> io::Result<ReceivedBody> {
        let mut measured = MeasuredBody::new(Arc::clone(&self.shared), self.number, body);
        let mut beginning = Vec::new();
        while let Some(frame) = measured.frame().await {
            if let Ok(data) = frame?.into_data() {
                let room = BODY_KEPT_MAX - beginning.len();
                beginning.extend_from_slice(&data[..data.len().min(room)]);
            }
        }
        let (len, hash) = (measured.len(), measured.hash());
        Ok(ReceivedBody { beginning, len, hash })
    }

    /// Sends the request body back while it is received.
    fn mirror(&self, body: Incoming) -> Response<ResponseBody> {
        let mut response = VendorResponse::empty(StatusCode::OK);
        if let Some(media_type) = self.head.headers.get(CONTENT_TYPE) {
            response = response.header(CONTENT_TYPE, media_type.clone());
        }
        let measured = MeasuredBody::new(Arc::clone(&self.shared), self.number, body);
        response.body = Content::Streamed(BodyExt::boxed(measured));
        self.send(response)
    }

    /// Waits for what remains of the latency after reading the body, and for a scripted delay.
    async fn wait(&self) {
        let mut span = nanos(self.latency);
        if let Some(Action::Delay { ms }) = &self.action {
            let extra = self.shared.settings.real(Duration::from_millis(*ms));
            span = span.saturating_add(nanos(extra));
        }
        let passed = self.shared.now_ns().saturating_sub(self.arrived_ns);
        if let Some(left) = span.checked_sub(passed).filter(|left| *left > 0) {
            let clock = self.shared.clock;
            clock.sleep_until(clock.now().plus(Duration::from_nanos(left))).await;
        }
        if self.action == Some(Action::Stall) {
            std::future::pending::<()>().await;
        }
    }

    fn choose_response(
        &self,
        body: &ReceivedBody,
        exceeded: Option<LimitExceeded>,
    ) -> VendorResponse {
        if let Some(response) = self.scripted() {
            return response;
        }
        let maintenance = self.shared.script().maintenance(self.shared.now_ns());
        if let Some(maintenance) = maintenance {
            let response = self.failure(StatusCode::SERVICE_UNAVAILABLE);
            return match maintenance.retry_after_s {
                Some(seconds) => response.header(RETRY_AFTER, seconds),
                None => response,
            };
        }
        match exceeded {
            Some(exceeded) => self.throttled(self.shared.settings.throttling, exceeded),
            None => self.call_endpoint(body),
        }
    }

    fn scripted(&self) -> Option<VendorResponse> {
        match self.action.as_ref()? {
            Action::Answer(scripted) => Some(scripted_response(scripted)),
            Action::Fail(status) => Some(self.failure(StatusCode::from_u16(*status).ok()?)),
            Action::Deadlock => Some(match self.shared.settings.kind {
                VendorKind::Droplink => droplink::deadlock(),
                VendorKind::Wordbee => wordbee::deadlock(self.shared.clock.wall()),
            }),
            Action::Throttle(style) => {
                // A vendor without an allowance names Wordbee's documented one.
                let hourly = Allowance::new(1000, Duration::from_secs(3600));
                let default = || hourly.scaled(self.shared.settings.scale);
                let allowance = self.shared.allowances.first().copied().unwrap_or_else(default);
                let exceeded = LimitExceeded { allowance, retry_in: allowance.window };
                Some(self.throttled(*style, exceeded))
            }
            Action::Stall
            | Action::Break { .. }
            | Action::Garbage(_)
            | Action::Drip { .. }
            | Action::Delay { .. } => None,
        }
    }

    fn throttled(&self, style: ThrottleStyle, exceeded: LimitExceeded) -> VendorResponse {
        let disguised = style == ThrottleStyle::Disguised;
        let status =
            if disguised { StatusCode::BAD_REQUEST } else { StatusCode::TOO_MANY_REQUESTS };
        let response = match self.shared.settings.kind {
            VendorKind::Droplink if disguised => droplink::over_limit(),
            VendorKind::Droplink => droplink::failure(status),
            VendorKind::Wordbee => wordbee::throttled(status, &exceeded.allowance),
        };
        let wait = exceeded.retry_in;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        match style {
            ThrottleStyle::Plain | ThrottleStyle::Disguised => response,
            ThrottleStyle::RetryAfter => response.header(RETRY_AFTER, seconds),
            ThrottleStyle::ClockText => {
                let text = wordbee::time_span(Duration::from_secs(seconds));
                response.text_header(RETRY_AFTER, &text)
            }
        }
    }

    fn failure(&self, status: StatusCode) -> VendorResponse {
        match self.shared.settings.kind {
            VendorKind::Droplink => droplink::failure(status),
            VendorKind::Wordbee => wordbee::failure(status, self.shared.clock.wall()),
        }
    }

    fn call_endpoint(&self, body: &ReceivedBody) -> VendorResponse {
        let path_in_api = self.path_in_api();
        let request = EndpointRequest {
            method: self.head.method.as_str(),
            path: path_in_api.unwrap_or(self.head.uri.path()),
            query: self.head.uri.query().unwrap_or_default(),
            headers: &self.head.headers,
            body: &body.beginning,
            body_len: body.len,
            body_hash: body.hash,
            now: self.shared.now(),
            wall: self.shared.clock.wall(),
        };
        if let Some(response) = test_endpoints::respond(request, &self.head.uri.to_string()) {
            let vendor_error =
                response.status.as_u16() >= 400 && request.path.starts_with("/status/");
            return if vendor_error { self.failure(response.status) } else { response };
        }
        if path_in_api.is_none() {
            return self.failure(StatusCode::NOT_FOUND);
        }
        let mut state = self.shared.state();
        let VendorState { droplink, wordbee, credentials } = &mut *state;
        match self.shared.settings.kind {
            VendorKind::Droplink => droplink::rejection(request.headers, credentials)
                .unwrap_or_else(|| droplink.respond(request)),
            VendorKind::Wordbee if request.path == wordbee::TOKEN_PATH => {
                wordbee.token(request, credentials, self.shared.random.bytes16())
            }
            VendorKind::Wordbee => {
                wordbee.rejection(request).unwrap_or_else(|| wordbee.respond(request))
            }
        }
    }

    fn send_with_faults(&self, response: VendorResponse) -> io::Result<Response<ResponseBody>> {
        let Some(action) = &self.action else {
            return Ok(self.send(response));
        };
        let response = match action {
            Action::Break { at: BreakPoint::BeforeAnswer, how } => {
                self.fault.end_after(0, *how);
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Action::Break { at, how } => self.break_at(*at, *how, response),
            Action::Garbage(text) => {
                self.fault.send_instead(Bytes::from(text.clone()));
                response
            }
            Action::Drip { bytes, pause_ms } => {
                let pause = self.shared.settings.real(Duration::from_millis(*pause_ms));
                response.slowed(*bytes, pause)
            }
            Action::Answer(_)
            | Action::Fail(_)
            | Action::Deadlock
            | Action::Throttle(_)
            | Action::Stall
            | Action::Delay { .. } => response,
        };
        Ok(self.send(response))
    }

    /// Breaks HTTP/1.1 in the stream. HTTP/2 heads cannot be found there by a blank line, so on
    /// HTTP/2 the response body ends in an error instead.
    fn break_at(
        &self,
        at: BreakPoint,
        how: ConnectionEnd,
        response: VendorResponse,
    ) -> VendorResponse {
        let half = response.body_len() / 2;
        let http1 = self.head.version != Version::HTTP_2;
        match at {
            BreakPoint::BeforeAnswer => self.fault.end_after(0, how),
            BreakPoint::InHead => self.fault.end_after(BREAK_IN_HEAD_BYTES, how),
            BreakPoint::AfterHead if http1 => self.fault.end_in_body(0, how),
            BreakPoint::InBody if http1 => self.fault.end_in_body(half, how),
            BreakPoint::AfterHead => return response.truncated(0),
            BreakPoint::InBody => return response.truncated(half),
        }
        response
    }

    fn send(&self, response: VendorResponse) -> Response<ResponseBody> {
        let (now, status) = (self.shared.now_ns(), response.status.as_u16());
        self.shared.recorder().update(self.number, |record| {
            record.answered_ns = Some(now);
            record.status = Some(status);
        });
        if self.random_fault == Some(RandomFault::InResponse) {
            let bytes = self.shared.random_below(BREAK_IN_RESPONSE_BYTES);
            self.fault.end_after(usize::try_from(bytes).unwrap_or(0), ConnectionEnd::Reset);
        } else if self.action.is_none() {
            self.shared.maybe_reset_unread(&self.fault);
        }
        response.into_response(self.shared.clock)
    }

    fn reset_connection(&self) -> io::Error {
        self.fault.end_after(0, ConnectionEnd::Reset);
        io::ErrorKind::ConnectionReset.into()
    }
}

/// The clock is read under the lock, so that counted arrivals are in order of time.
fn count(shared: &Shared, number: u64, account: &str) -> Option<LimitExceeded> {
    let mut recorder = shared.recorder();
    let now = shared.now_ns();
    let settings = &shared.settings;
    let limits = Limits { allowances: &shared.allowances, refused: settings.refused };
    recorder.count(number, now, account, limits)
}

fn scripted_response(scripted: &ScriptedResponse) -> VendorResponse {
    let status = StatusCode::from_u16(scripted.status);
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = VendorResponse::new(status, "", scripted.body.clone());
    for (name, value) in &scripted.headers {
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            response = response.text_header(name, value);
        }
    }
    response
}
