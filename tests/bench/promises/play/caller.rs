//! A client without cleverness: one connection, one request after the other, nothing sent again.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A client on a connection of its own, which it makes when it needs one.
#[derive(Debug)]
pub(crate) struct Caller {
    address: SocketAddr,
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Line {
    /// Closes the socket at once, whatever is under way on it.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// What a client asks.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Ask {
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

/// What came back.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// An answer from head to end.
    Whole { status: u16, headers: HeaderMap, body: Bytes },
    /// A head, and a body that broke off.
    CutOff { status: u16 },
    /// No answer.
    Nothing,
}

impl Answer {
    /// The status, if there was a head.
    pub(crate) const fn status(&self) -> Option<u16> {
        match self {
            Self::Whole { status, .. } | Self::CutOff { status } => Some(*status),
            Self::Nothing => None,
        }
    }

    /// The gateway's problem, if it is one.
    pub(crate) fn problem(&self) -> Option<Value> {
        let Self::Whole { headers, body, .. } = self else { return None };
        let kind = headers.get(http::header::CONTENT_TYPE)?.as_bytes();
        (kind == b"application/problem+json").then(|| serde_json::from_slice(body).ok())?
    }

    /// The code of that problem.
    pub(crate) fn code(&self) -> Option<String> {
        self.problem()?["code"].as_str().map(str::to_owned)
    }
}

impl Caller {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, line: None }
    }

    /// Sends it once and reads what comes.
    pub(crate) async fn call(&mut self, ask: Ask) -> Answer {
        match self.exchange(ask).await {
            Some(answer) => answer,
            None => {
                self.leave();
                Answer::Nothing
            }
        }
    }

    /// Breaks the connection.
    pub(crate) fn leave(&mut self) {
        self.line = None;
    }

    async fn exchange(&mut self, ask: Ask) -> Option<Answer> {
        let host = self.address.to_string();
        let line = match self.line.take() {
            Some(line) if !line.sender.is_closed() => line,
            Some(_) | None => open(self.address).await?,
        };
        let sender = &mut self.line.insert(line).sender;
        sender.ready().await.ok()?;
        let answer = sender.send_request(request(ask, &host)?).await;
        let (head, body) = answer.ok()?.into_parts();
        let status = head.status.as_u16();
        match body.collect().await {
            Ok(body) => {
                Some(Answer::Whole { status, headers: head.headers, body: body.to_bytes() })
            }
            Err(_) => {
                self.leave();
                Some(Answer::CutOff { status })
            }
        }
    }
}

async fn open(address: SocketAddr) -> Option<Line> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // How the connection ended is seen by the exchange on it.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Some(Line { sender, driver })
}

fn request(ask: Ask, host: &str) -> Option<Request<Full<Bytes>>> {
    let request = Request::builder().method(ask.method).uri(ask.target).header("host", host);
    let headers = ask.headers.into_iter();
    let request = headers.fold(request, |request, (name, value)| request.header(name, value));
    request.body(Full::new(ask.body)).ok()
}

/// Runs clients on one thread until they are done.
pub(crate) fn on_one_thread<T>(clients: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(clients)
}
