//! Exchanges over real sockets with upstreams that follow a script.

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
use http::{Method, Request};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;

type Outgoing = UnsyncBoxBody<Bytes, Left>;
type Answer = Response<UpstreamBody<Outgoing>>;

/// The client left.
#[derive(Debug)]
struct Left;

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the client left")
    }
}

impl std::error::Error for Left {}

/// One worker and its only upstream.
struct Worker {
    upstreams: Upstreams<Outgoing>,
    shared: Arc<Shared>,
    clock: Clock,
    progress: Progress,
}

impl Worker {
    fn new(settings: Settings) -> Self {
        let shared = Shared::new(std::slice::from_ref(&settings));
        Self::beside(settings, shared)
    }

    /// Another worker of the same program.
    fn beside(settings: Settings, shared: Arc<Shared>) -> Self {
        let clock = Clock::start();
        let upstreams = Upstreams::new(&[settings], Arc::clone(&shared), clock);
        Self { upstreams, shared, clock, progress: Progress::default() }
    }

    async fn send(&self, request: Request<Outgoing>) -> Result<Answer, Failure> {
        self.send_for(0, request).await
    }

    /// Sends for the client's connection of this number.
    async fn send_for(&self, client: u64, request: Request<Outgoing>) -> Result<Answer, Failure> {
        let (mut head, body) = parted(request);
        head.client = client;
        let exchange = self.upstreams.exchange(0, &head, body, &self.progress);
        tokio::time::timeout(Duration::from_secs(5), exchange).await.expect("the exchange hangs")
    }

    /// A GET that is given up after `limit`, and how far it got.
    async fn get_for(&self, limit: Duration) -> (Option<Result<Answer, Failure>>, Progress) {
        let progress = Progress::default();
        let (head, body) = parted(request(Method::GET, "/", ""));
        let exchange = self.upstreams.exchange(0, &head, body, &progress);
        let outcome = tokio::time::timeout(limit, exchange).await.ok();
        (outcome, progress)
    }

    async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(request(Method::GET, path, "")).await
    }

    /// The body of the answer to a GET.
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
        answer_bounds: AnswerBounds { head_bytes_max: 64 * 1024, headers_max: 256 },
    }
}

fn request(method: Method, path: &str, body: &'static str) -> Request<Outgoing> {
    Request::builder().method(method).uri(path).body(full(body)).unwrap()
}

fn parted(request: Request<Outgoing>) -> (RequestHead, Outgoing) {
    let (head, body) = request.into_parts();
    let target = head.uri.into_parts().path_and_query.unwrap();
    let spelling = HeaderCase::default();
    (RequestHead { method: head.method, target, headers: head.headers, client: 0, spelling }, body)
}

fn full(body: impl Into<Bytes>) -> Outgoing {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A request's body that the test feeds by hand.
struct Fed(mpsc::Receiver<Result<Frame<Bytes>, Left>>);

impl Body for Fed {
    type Data = Bytes;
    type Error = Left;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Left>>> {
        self.0.poll_recv(cx)
    }
}

fn fed(method: Method) -> (mpsc::Sender<Result<Frame<Bytes>, Left>>, Request<Outgoing>) {
    let (sender, receiver) = mpsc::channel(4);
    let request = Request::builder().method(method).uri("/fed");
    (sender, request.body(Fed(receiver).boxed_unsync()).unwrap())
}

fn data(text: &'static str) -> Result<Frame<Bytes>, Left> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn read(answer: Answer) -> Result<String, Failure> {
    let collected = tokio::time::timeout(Duration::from_secs(5), answer.into_body().collect());
    let bytes = collected.await.expect("the body hangs")?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// Lets everything that was sent arrive.
async fn settle() {
    let clock = Clock::start();
    clock.sleep_until(clock.now().plus(Duration::from_millis(20))).await;
}
