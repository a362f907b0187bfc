//! The tour's HTTP client. It opens a connection for each request and has no retries and no rate
//! limit, so that the tour shows what any client would see.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock::Clock;

/// Why the tour could not be completed.
#[derive(Debug)]
pub enum TourError {
    Connect(SocketAddr, io::Error),
    Exchange(SocketAddr, hyper::Error),
    Timeout(SocketAddr, Duration),
    InvalidRequest(http::Error),
    /// Wordbee opened no session; the body of its response.
    NoSession(String),
    /// The task of a concurrent request ended without a result.
    TaskFailed,
    Output(io::Error),
}

impl fmt::Display for TourError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(address, error) => write!(f, "cannot connect to {address}: {error}"),
            Self::Exchange(address, error) => {
                write!(f, "the HTTP exchange with {address} failed: {error}")
            }
            Self::Timeout(address, span) => write!(f, "no response from {address} in {span:?}"),
            Self::InvalidRequest(error) => write!(f, "the request is not valid: {error}"),
            Self::NoSession(body) => write!(f, "Wordbee opened no session: {body}"),
            Self::TaskFailed => write!(f, "a concurrent request ended without a result"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

impl std::error::Error for TourError {}

#[derive(Clone, Debug)]
pub(super) struct ClientRequest {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl ClientRequest {
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

#[derive(Clone, Debug)]
pub(super) struct ClientResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) took: Duration,
}

impl ClientResponse {
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

/// Reports how many concurrent requests still wait for their response.
pub(super) struct Progress<'a> {
    pub(super) interval: Duration,
    pub(super) report: &'a mut (dyn FnMut(usize) -> Result<(), TourError> + Send),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) timeout: Duration,
}

impl Client {
    pub(super) async fn send(self, request: ClientRequest) -> Result<ClientResponse, TourError> {
        let timed_out = |_| TourError::Timeout(self.address, self.timeout);
        tokio::time::timeout(self.timeout, self.exchange(request)).await.map_err(timed_out)?
    }

    /// Sends the same request `count` times at once and returns the responses as they came.
    pub(super) async fn send_concurrently(
        self,
        request: &ClientRequest,
        count: usize,
    ) -> Result<Vec<ClientResponse>, TourError> {
        let silent = Progress { interval: Duration::MAX, report: &mut |_| Ok(()) };
        self.send_with_progress(request, count, silent).await
    }

    pub(super) async fn send_with_progress(
        self,
        request: &ClientRequest,
        count: usize,
        progress: Progress<'_>,
    ) -> Result<Vec<ClientResponse>, TourError> {
        let mut requests = JoinSet::new();
        for _ in 0..count {
            requests.spawn(self.send(request.clone()));
        }
        let clock = Clock::start();
        let mut due = clock.now().plus(progress.interval);
        let mut responses = Vec::with_capacity(count);
        loop {
            match tokio::time::timeout_at(clock.instant(due), requests.join_next()).await {
                Ok(Some(response)) => {
                    responses.push(response.map_err(|_| TourError::TaskFailed)??);
                }
                Ok(None) => return Ok(responses),
                Err(_) => {
                    (progress.report)(count - responses.len())?;
                    due = clock.now().plus(progress.interval);
                }
            }
        }
    }

    async fn exchange(self, request: ClientRequest) -> Result<ClientResponse, TourError> {
        let failed = |error| TourError::Exchange(self.address, error);
        let clock = Clock::start();
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| TourError::Connect(self.address, error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let mut builder = Request::builder().method(request.method).uri(request.path);
        builder = builder.header("host", self.address.to_string());
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let request =
            builder.body(Full::<Bytes>::from(request.body)).map_err(TourError::InvalidRequest)?;
        let response = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok((head, body.collect().await?.to_bytes()))
        };
        // The connection must be polled for the exchange to proceed; it may end after it.
        let (head, body) = tokio::select! {
            response = response => response,
            Err(error) = connection => Err(error),
        }
        .map_err(failed)?;
        let took = Duration::from_nanos(clock.now().as_nanos());
        Ok(ClientResponse { status: head.status.as_u16(), headers: head.headers, body, took })
    }
}
