//! Exchanges over real sockets with scripted upstreams.

mod http1;
mod http2;
mod limits;
mod sharing;
mod streams;
mod tls;
mod vendor;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;

type TestBody = UnsyncBoxBody<Bytes, ClientLeft>;
type UpstreamResponse = Response<UpstreamBody<TestBody>>;

/// The error of a request body whose client closed its connection.
#[derive(Debug)]
struct ClientLeft;

impl std::fmt::Display for ClientLeft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client left")
    }
}

impl std::error::Error for ClientLeft {}

/// One worker with one upstream.
/// The lease of what it takes ended before its first byte.
const TOO_LATE: (FailureKind, Delivery) = (FailureKind::ConnectionLimit, Delivery::NotSent);

struct Worker {
    upstreams: Upstreams<TestBody>,
    shared: Arc<Shared>,
    clock: Clock,
    progress: Progress,
}

impl Worker {
    fn new(settings: Settings) -> Self {
        let shared = Shared::new(std::slice::from_ref(&settings));
        Self::sharing(settings, shared)
    }

    /// Another worker of the same gateway.
    fn sharing(settings: Settings, shared: Arc<Shared>) -> Self {
        let clock = Clock::start();
        let upstreams = Upstreams::new(&[settings], Arc::clone(&shared), clock);
        Self { upstreams, shared, clock, progress: Progress::default() }
    }

    async fn send(&self, request: Request<TestBody>) -> Result<UpstreamResponse, Failure> {
        self.send_for(0, request).await
    }

    /// Sends for the client connection of this number.
    async fn send_for(
        &self,
        client: u64,
        request: Request<TestBody>,
    ) -> Result<UpstreamResponse, Failure> {
        let (mut head, body) = split(request);
        head.client = client;
        let exchange = self.upstreams.exchange(0, &head, body, &self.progress);
        tokio::time::timeout(Duration::from_secs(5), exchange).await.expect("the exchange hangs")
    }

    /// A GET that is abandoned after `limit`, and its progress.
    async fn get_for(
        &self,
        limit: Duration,
    ) -> (Option<Result<UpstreamResponse, Failure>>, Progress) {
        let progress = Progress::default();
        let (head, body) = split(request(Method::GET, "/", ""));
        let exchange = self.upstreams.exchange(0, &head, body, &progress);
        let outcome = tokio::time::timeout(limit, exchange).await.ok();
        (outcome, progress)
    }

    async fn get(&self, path: &str) -> Result<UpstreamResponse, Failure> {
        self.send(request(Method::GET, path, "")).await
    }

    /// Reads the certificates before an exchange, so that the connect timeout is not spent on it.
    fn load_certificates(&self) -> Result<(), Failure> {
        let upstream = self.shared.upstream(0);
        upstream.tls.as_ref().expect("an upstream with TLS").load().map(drop)
    }

    /// The body of the response to a GET.
    async fn text(&self, path: &str) -> String {
        read(self.get(path).await.unwrap()).await.unwrap()
    }
}

fn settings(port: u16) -> Settings {
    Settings {
        name: "vendor".into(),
        origin: Origin {
            scheme: Scheme::Http,
            authority: format!("127.0.0.1:{port}").parse().unwrap(),
            host: "127.0.0.1".into(),
            port,
        },
        protocol: Protocol::Auto,
        roots: TlsRoots::System,
        connect_timeout: Duration::from_millis(500),
        connections_max: 8,
        idle_timeout: Duration::from_secs(60),
        response_limits: ResponseLimits { head_bytes_max: 64 * 1024, headers_max: 256 },
    }
}

fn request(method: Method, path: &str, body: &'static str) -> Request<TestBody> {
    Request::builder().method(method).uri(path).body(full(body)).unwrap()
}

fn split(request: Request<TestBody>) -> (RequestHead, TestBody) {
    let (head, body) = request.into_parts();
    let target = head.uri.into_parts().path_and_query.unwrap();
    let spelling = HeaderCase::default();
    (RequestHead { method: head.method, target, headers: head.headers, client: 0, spelling }, body)
}

fn full(body: impl Into<Bytes>) -> TestBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request body that the test sends frame by frame.
struct ChannelBody(mpsc::Receiver<Result<Frame<Bytes>, ClientLeft>>);

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = ClientLeft;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientLeft>>> {
        self.0.poll_recv(cx)
    }
}

fn streamed_request(
    method: Method,
) -> (mpsc::Sender<Result<Frame<Bytes>, ClientLeft>>, Request<TestBody>) {
    let (sender, receiver) = mpsc::channel(4);
    let request = Request::builder().method(method).uri("/streamed");
    (sender, request.body(ChannelBody(receiver).boxed_unsync()).unwrap())
}

fn data(text: &'static str) -> Result<Frame<Bytes>, ClientLeft> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn read(response: UpstreamResponse) -> Result<String, Failure> {
    let collected = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect());
    let bytes = collected.await.expect("the body hangs")?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Waits until everything that was sent has arrived.
async fn settle() {
    let clock = Clock::start();
    clock.sleep_until(clock.now().plus(Duration::from_millis(20))).await;
}
