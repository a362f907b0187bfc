//! A scripted upstream in place of connections.
//!
//! Like a real connection, it reports only bytes that it has read as written; how far a failed
//! request got is derived from that.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

use crate::clock::Clock;
use crate::gateway::RequestBody;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;
use crate::upstream::{self, Exchange, Progress, RequestHead};

pub(super) type Headers = &'static [(&'static str, &'static str)];

/// What the upstream does with one attempt: connects, takes the request, then responds, fails or
/// stays silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExchangeScript {
    connect_ms: u64,
    upload: Upload,
    /// Between the upload and the outcome.
    delay_ms: u64,
    outcome: Outcome,
}

/// How much of the request it takes.
#[derive(Clone, Copy, Debug)]
enum Upload {
    /// No byte: there is no connection.
    Nothing,
    /// The head, and after so many milliseconds the body.
    Whole { ms: u64 },
    /// The head and so many bytes of the body.
    Bytes(usize),
    /// The head, then a piece of the body every so many milliseconds.
    Paced { ms: u64 },
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Respond { status: u16, headers: Headers, body: ResponseScript },
    Fail(FailureKind),
    Silence,
}

#[derive(Clone, Copy, Debug)]
struct ResponseScript {
    text: &'static str,
    media_type: Option<&'static str>,
    /// How long after the head the first byte comes; without this the body comes with the head.
    silence_ms: Option<u64>,
    breaks_after: Option<usize>,
}

impl ExchangeScript {
    /// Takes the request and responds after so many milliseconds.
    pub(super) const fn respond(
        delay_ms: u64,
        status: u16,
        headers: Headers,
        text: &'static str,
    ) -> Self {
        let body = ResponseScript { text, media_type: None, silence_ms: None, breaks_after: None };
        let outcome = Outcome::Respond { status, headers, body };
        Self { connect_ms: 0, upload: Upload::Whole { ms: 0 }, delay_ms, outcome }
    }

    /// Takes the request and never responds.
    pub(super) const SILENCE: Self = Self {
        connect_ms: 0,
        upload: Upload::Whole { ms: 0 },
        delay_ms: 0,
        outcome: Outcome::Silence,
    };

    /// Takes the request and responds at once with a head whose body does not come.
    pub(super) fn stalled(status: u16, headers: Headers) -> Self {
        Self::respond(0, status, headers, "late").silent_for(3_600_000)
    }

    /// Takes the request and fails after so many milliseconds.
    pub(super) const fn fail(delay_ms: u64, kind: FailureKind) -> Self {
        Self { delay_ms, outcome: Outcome::Fail(kind), ..Self::SILENCE }
    }

    /// Fails after so many milliseconds, before a byte of the request is written.
    pub(super) const fn fail_to_connect(delay_ms: u64, kind: FailureKind) -> Self {
        Self { upload: Upload::Nothing, ..Self::fail(delay_ms, kind) }
    }

    /// It takes so long to connect.
    pub(super) const fn connecting(self, connect_ms: u64) -> Self {
        Self { connect_ms, ..self }
    }

    /// It takes so long from the first byte of the request to the last.
    pub(super) const fn uploading(self, ms: u64) -> Self {
        Self { upload: Upload::Whole { ms }, ..self }
    }

    /// It takes only so many bytes of the request's body.
    pub(super) const fn taking(self, bytes: usize) -> Self {
        Self { upload: Upload::Bytes(bytes), ..self }
    }

    /// It takes a piece of the request's body every so many milliseconds.
    pub(super) const fn pacing(self, ms: u64) -> Self {
        Self { upload: Upload::Paced { ms }, ..self }
    }

    /// The body of the response is silent for so long first.
    pub(super) fn silent_for(self, silence_ms: u64) -> Self {
        self.with_body(|body| ResponseScript { silence_ms: Some(silence_ms), ..body })
    }

    /// The body of the response breaks off after so many bytes.
    pub(super) fn breaking_after(self, bytes: usize) -> Self {
        self.with_body(|body| ResponseScript { breaks_after: Some(bytes), ..body })
    }

    pub(super) fn media_type(self, media_type: &'static str) -> Self {
        self.with_body(|body| ResponseScript { media_type: Some(media_type), ..body })
    }

    fn with_body(self, change: impl FnOnce(ResponseScript) -> ResponseScript) -> Self {
        let Outcome::Respond { status, headers, body } = self.outcome else {
            panic!("only a response has a body")
        };
        Self { outcome: Outcome::Respond { status, headers, body: change(body) }, ..self }
    }
}

/// One attempt as the upstream saw it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) at: Moment,
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    /// What was taken of the body.
    pub(super) body: Bytes,
}

#[derive(Clone, Debug)]
pub(super) struct ScriptedUpstream(Arc<State>);

#[derive(Debug)]
struct State {
    clock: Clock,
    scripts: Mutex<VecDeque<ExchangeScript>>,
    /// Repeated when all others are used up.
    last: ExchangeScript,
    attempts: Mutex<Vec<Attempt>>,
    /// Requests whose path begins like this get a 500 and leave the script alone.
    broken_path: Mutex<Option<&'static str>>,
}

impl ScriptedUpstream {
    pub(super) fn new(scripts: &[ExchangeScript], clock: Clock) -> Self {
        Self(Arc::new(State {
            clock,
            scripts: Mutex::new(scripts.iter().copied().collect()),
            last: *scripts.last().expect("a script has a script"),
            attempts: Mutex::default(),
            broken_path: Mutex::default(),
        }))
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.0.attempts.lock().unwrap().clone()
    }

    pub(super) fn break_path(&self, prefix: &'static str) {
        *self.0.broken_path.lock().unwrap() = Some(prefix);
    }

    async fn wait(&self, ms: u64) {
        let clock = self.0.clock;
        clock.sleep_until(clock.now().plus(Duration::from_millis(ms))).await;
    }

    /// Takes what the script takes of a request, and reports it as written. Returns the body's
    /// bytes.
    async fn take(
        &self,
        upload: Upload,
        mut body: RequestBody,
        progress: &Progress,
    ) -> Result<Vec<u8>, Failure> {
        let clock = self.0.clock;
        let (pause_ms, bytes_max) = match upload {
            Upload::Nothing => return Ok(Vec::new()),
            Upload::Whole { .. } => (0, usize::MAX),
            Upload::Bytes(bytes) => (0, bytes),
            Upload::Paced { ms } => (ms, usize::MAX),
        };
        progress.wrote(clock.now());
        if let Upload::Whole { ms } = upload {
            self.wait(ms).await;
        }
        let mut taken = Vec::new();
        let mut cut = false;
        while taken.len() < bytes_max {
            let Some(frame) = body.frame().await else { break };
            let broke =
                |_| Failure::new(FailureKind::Reset, progress.delivery(), "the upload broke");
            let Ok(data) = frame.map_err(broke)?.into_data() else { continue };
            let room = bytes_max - taken.len();
            cut = room < data.len();
            taken.extend_from_slice(&data[..data.len().min(room)]);
            progress.wrote(clock.now());
            self.wait(pause_ms).await;
        }
        if !cut && (taken.len() < bytes_max || body.size_hint().exact() == Some(0)) {
            progress.finished(clock.now());
        }
        Ok(taken)
    }
}

impl Exchange<RequestBody> for ScriptedUpstream {
    type Body = ScriptedBody;

    async fn exchange(
        &self,
        _upstream: usize,
        head: &RequestHead,
        body: RequestBody,
        progress: &Progress,
    ) -> Result<Response<ScriptedBody>, Failure> {
        let State { clock, .. } = *self.0;
        let broken = *self.0.broken_path.lock().unwrap();
        let script = match broken.filter(|prefix| head.target.as_str().starts_with(prefix)) {
            Some(_) => ExchangeScript::respond(10, 500, &[], "{}"),
            None => self.0.scripts.lock().unwrap().pop_front().unwrap_or(self.0.last),
        };
        let number = {
            let mut attempts = self.0.attempts.lock().unwrap();
            attempts.push(Attempt {
                at: clock.now(),
                method: head.method.clone(),
                target: head.target.to_string(),
                headers: head.headers.clone(),
                body: Bytes::new(),
            });
            attempts.len() - 1
        };
        self.wait(script.connect_ms).await;
        let taken = self.take(script.upload, body, progress).await?;
        self.0.attempts.lock().unwrap()[number].body = taken.into();
        self.wait(script.delay_ms).await;
        match script.outcome {
            Outcome::Respond { status, headers, body } => {
                let mut response = Response::builder().status(status);
                let media_type = body.media_type.map(|value| ("content-type", value));
                for (name, value) in headers.iter().copied().chain(media_type) {
                    response = response.header(name, value);
                }
                Ok(response.body(ScriptedBody::new(body, clock)).unwrap())
            }
            Outcome::Fail(kind) => {
                let refused = kind == FailureKind::RefusedStream;
                let delivery = if refused { Delivery::Refused } else { progress.delivery() };
                Err(Failure::new(kind, delivery, "scripted"))
            }
            Outcome::Silence => std::future::pending().await,
        }
    }

    fn recycle_headers(&self, _upstream: usize, headers: &mut HeaderMap) {
        headers.clear();
    }
}

/// The body of a scripted response.
pub(super) struct ScriptedBody {
    text: Option<Bytes>,
    silence: Option<Pin<Box<tokio::time::Sleep>>>,
    breaks: bool,
}

impl ScriptedBody {
    fn new(script: ResponseScript, clock: Clock) -> Self {
        let text = &script.text.as_bytes()[..script.breaks_after.unwrap_or(script.text.len())];
        let silence = script.silence_ms.map(|ms| {
            let until = clock.now().plus(Duration::from_millis(ms));
            Box::pin(clock.sleep_until(until))
        });
        let text = Some(Bytes::from_static(text)).filter(|text| !text.is_empty());
        Self { text, silence, breaks: script.breaks_after.is_some() }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(silence) = &mut self.silence {
            std::task::ready!(silence.as_mut().poll(context));
            self.silence = None;
        }
        if let Some(text) = self.text.take() {
            return Poll::Ready(Some(Ok(Frame::data(text))));
        }
        let failure = || Failure::new(FailureKind::Truncated, Delivery::Uncertain, "scripted");
        Poll::Ready(std::mem::take(&mut self.breaks).then(|| Err(failure())))
    }
}

impl upstream::ExchangeBody for ScriptedBody {
    fn take_whole(&mut self) -> Option<Bytes> {
        let whole = self.silence.is_none() && !self.breaks;
        whole.then(|| self.text.take().unwrap_or_default())
    }
}
