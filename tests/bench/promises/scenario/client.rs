//! A simple client: one connection, one request after the other, no retries.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A client that opens its connection when it needs one.
#[derive(Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    /// Closes the socket at once, even during an exchange.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ClientRequest {
    method: &'static str,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl ClientRequest {
    pub(crate) fn get(target: &str) -> Self {
        Self { method: "GET", target: target.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn post(target: &str, body: Bytes) -> Self {
        Self { method: "POST", body, ..Self::get(target) }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Complete {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    },
    /// The head arrived, the body broke off.
    CutOff {
        status: u16,
    },
    Missing,
}

impl Answer {
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Complete { status, .. } | Self::CutOff { status } => Some(*status),
            Self::Missing => None,
        }
    }

    /// The body as JSON, if the answer is a problem.
    pub(crate) fn problem(&self) -> Option<Value> {
        let Self::Complete { headers, body, .. } = self else { return None };
        let media_type = headers.get(http::header::CONTENT_TYPE)?.as_bytes();
        (media_type == b"application/problem+json").then(|| serde_json::from_slice(body).ok())?
    }

    /// The `code` of the problem.
    pub(crate) fn code(&self) -> Option<String> {
        self.problem()?["code"].as_str().map(str::to_owned)
    }
}

impl Client {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, connection: None }
    }

    /// Sends the request once.
    pub(crate) async fn call(&mut self, request: ClientRequest) -> Answer {
        match self.exchange(request).await {
            Some(answer) => answer,
            None => {
                self.disconnect();
                Answer::Missing
            }
        }
    }

    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn exchange(&mut self, request: ClientRequest) -> Option<Answer> {
        let ClientRequest { method, target, headers, body } = request;
        let host = self.address.to_string();
        let connection = match self.connection.take() {
            Some(connection) if !connection.sender.is_closed() => connection,
            Some(_) | None => connect(self.address).await?,
        };
        let sender = &mut self.connection.insert(connection).sender;
        sender.ready().await.ok()?;
        let head = Request::builder().method(method).uri(target).header("host", host);
        let head = headers.into_iter().fold(head, |head, (name, value)| head.header(name, value));
        let response = sender.send_request(head.body(Full::new(body)).ok()?).await.ok()?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        match body.collect().await {
            Ok(body) => {
                Some(Answer::Complete { status, headers: head.headers, body: body.to_bytes() })
            }
            Err(_) => {
                self.disconnect();
                Some(Answer::CutOff { status })
            }
        }
    }
}

async fn connect(address: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // A connection error also fails the exchange, which reports it.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Some(Connection { sender, driver })
}

/// Runs clients on a runtime of their own, on this thread.
pub(crate) fn on_one_thread<T>(clients: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(clients)
}
