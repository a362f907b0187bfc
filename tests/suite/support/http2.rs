//! HTTP/2 on either side: a client, and an upstream that answers by a function.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, request, response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// A body of the upstream's answers.
pub(crate) type Answering = BoxBody<Bytes, Infallible>;

/// An answer as an HTTP/2 client sees it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: response::Parts,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
    /// Whether its stream was reset before the end.
    pub(crate) broken: bool,
}

/// One request over HTTP/2 with prior knowledge.
pub(crate) fn call(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    runtime().block_on(async {
        let stream = TcpStream::connect(address).await.unwrap();
        let io = TokioIo::new(stream);
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        read(head, body).await
    })
}

/// One request whose response is read only after a pause.
pub(crate) fn call_and_pause(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
    pause: Duration,
) -> Answer {
    const WINDOW_BYTES: u32 = 64 << 10;
    runtime().block_on(async {
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(WINDOW_BYTES);
        let (mut sender, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        tokio::task::spawn_blocking(move || std::thread::sleep(pause)).await.unwrap();
        read(head, body).await
    })
}

/// Sends a request and disconnects after this time.
pub(crate) fn call_and_leave(address: SocketAddr, request: Request<Full<Bytes>>, after: Duration) {
    let leaving = std::thread::spawn(move || {
        let runtime = runtime();
        runtime.spawn(async move {
            let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        });
        runtime.block_on(async move {
            tokio::task::spawn_blocking(move || std::thread::sleep(after)).await
        })
    });
    leaving.join().unwrap().unwrap();
}

async fn read(head: response::Parts, mut incoming: Incoming) -> Answer {
    let (mut body, mut trailers, mut broken) = (Vec::new(), HeaderMap::new(), false);
    while let Some(frame) = incoming.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(frame)) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    Answer { head, body: body.into(), trailers, broken }
}

/// An upstream that speaks HTTP/2 only, with prior knowledge.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: request::Parts,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Upstream {
    /// Answers every request by this function.
    pub(crate) fn start(
        answer: impl Fn(&Seen) -> Response<Answering> + Send + Sync + 'static,
    ) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        // The thread runs until the suite ends.
        std::thread::spawn(move || {
            runtime.block_on(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                    tokio::spawn(serve(stream, seen, answer));
                }
            });
        });
        Self { address, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve<F>(stream: TcpStream, seen: Arc<Mutex<Vec<Seen>>>, answer: Arc<F>)
where
    F: Fn(&Seen) -> Response<Answering> + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let collected = body.collect().await?;
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let request = Seen { head, body: collected.to_bytes(), trailers };
            seen.lock().unwrap().push(request.clone());
            Ok::<_, hyper::Error>(answer(&request))
        }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // Tests that care how a connection ends observe it themselves.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A body that is these bytes.
pub(crate) fn bytes(bytes: &'static [u8]) -> Answering {
    Full::new(Bytes::from_static(bytes)).boxed()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
