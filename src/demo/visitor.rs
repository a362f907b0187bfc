//! A client with no cleverness at all: one connection for each call, no retry, no pace. Whatever
//! it sees is what any program would see.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock::Clock;

/// Why a tour could not be played to its end.
#[derive(Debug)]
pub enum TourFault {
    /// Nobody listens there.
    Unreachable(SocketAddr, io::Error),
    /// The connection broke or spoke no HTTP.
    Broken(SocketAddr, hyper::Error),
    /// No answer came in this time.
    Silent(SocketAddr, Duration),
    /// The request cannot be written down as HTTP.
    Unspeakable(http::Error),
    /// Wordbee opened no session; what it said instead.
    NoSession(String),
    /// A concurrent call ended without a result.
    Lost,
    /// The story cannot be printed.
    Unprintable(io::Error),
}

impl fmt::Display for TourFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(address, error) => write!(f, "cannot reach {address}: {error}"),
            Self::Broken(address, error) => write!(f, "exchange with {address} broke: {error}"),
            Self::Silent(address, span) => write!(f, "{address} was silent for {span:?}"),
            Self::Unspeakable(error) => write!(f, "not a request: {error}"),
            Self::NoSession(said) => write!(f, "no Wordbee session: {said}"),
            Self::Lost => write!(f, "a concurrent call ended without a result"),
            Self::Unprintable(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for TourFault {}

/// A request to be made.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Letter {
    pub(super) fn get(path: &str) -> Self {
        Self { method: "GET", path: path.to_owned(), headers: Vec::new(), body: String::new() }
    }

    pub(super) fn post(path: &str, body: &str) -> Self {
        Self { method: "POST", body: body.to_owned(), ..Self::get(path) }
            .header("content-type", "application/json")
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) took: Duration,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The client itself, bound to one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub(super) address: SocketAddr,
    /// It gives up after so long.
    pub(super) silence_max: Duration,
}

impl Visitor {
    pub(super) async fn send(self, letter: Letter) -> Result<Reply, TourFault> {
        let silent = |_| TourFault::Silent(self.address, self.silence_max);
        tokio::time::timeout(self.silence_max, self.exchange(letter)).await.map_err(silent)?
    }

    /// Sends the same letter `count` times at once; the replies in the order they came.
    pub(super) async fn send_at_once(
        self,
        letter: &Letter,
        count: usize,
    ) -> Result<Vec<Reply>, TourFault> {
        self.send_and_watch(letter, count, (Duration::MAX, &mut |_| Ok(()))).await
    }

    /// The same, and `tell` hears how many still wait, once in every `pause`.
    pub(super) async fn send_and_watch(
        self,
        letter: &Letter,
        count: usize,
        (pause, tell): (Duration, &mut (dyn FnMut(usize) -> Result<(), TourFault> + Send)),
    ) -> Result<Vec<Reply>, TourFault> {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..count {
            calls.spawn(self.send(letter.clone()));
        }
        let clock = Clock::start();
        let mut due = clock.now().plus(pause);
        let mut replies = Vec::with_capacity(count);
        loop {
            match tokio::time::timeout_at(clock.instant(due), calls.join_next()).await {
                Ok(Some(reply)) => replies.push(reply.map_err(|_| TourFault::Lost)??),
                Ok(None) => return Ok(replies),
                Err(_) => {
                    tell(count - replies.len())?;
                    due = clock.now().plus(pause);
                }
            }
        }
    }

    async fn exchange(self, letter: Letter) -> Result<Reply, TourFault> {
        let broken = |error| TourFault::Broken(self.address, error);
        let clock = Clock::start();
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| TourFault::Unreachable(self.address, error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = self.request(letter).map_err(TourFault::Unspeakable)?;
        let answered = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok((head, body.collect().await?.to_bytes()))
        };
        // The connection does the work and ends with the exchange or after it.
        let (head, body) = tokio::select! {
            answer = answered => answer,
            Err(error) = connection => Err(error),
        }
        .map_err(broken)?;
        let took = Duration::from_nanos(clock.now().as_nanos());
        Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, took })
    }

    fn request(self, letter: Letter) -> Result<Request<Full<Bytes>>, http::Error> {
        let request = Request::builder().method(letter.method).uri(letter.path);
        let request = request.header("host", self.address.to_string());
        let headers = letter.headers.into_iter();
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        request.body(Full::from(letter.body))
    }
}
