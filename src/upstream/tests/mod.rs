//! Exchanges over real sockets with upstreams that follow a script.

mod http1;
mod limits;
mod vendor;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use super::*;
use crate::clock::Clock;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Outgoing = UnsyncBoxBody<Bytes, BoxError>;
type Answer = Response<UpstreamBody<Outgoing>>;

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
        let exchange = self.upstreams.exchange(0, request, &self.progress);
        tokio::time::timeout(Duration::from_secs(5), exchange).await.expect("the exchange hangs")
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
    }
}

fn request(method: Method, path: &str, body: &'static str) -> Request<Outgoing> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(Into::into).boxed_unsync();
    Request::builder().method(method).uri(path).body(body).unwrap()
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
