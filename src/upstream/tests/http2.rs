//! HTTP/2 without TLS, by prior knowledge.

use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::vendor::{Peer, Vendor};
use super::*;
use crate::outcome::{Delivery, FailureKind};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const CANCEL: u32 = 8;
pub(super) const REFUSED_STREAM: u32 = 7;
const INTERNAL_ERROR: u32 = 2;
pub(super) const NO_ERROR: u32 = 0;

/// `:status 200` in HPACK.
const OK_HEAD: &[u8] = &[0x88];

pub(super) fn h2(port: u16) -> Settings {
    Settings { protocol: Protocol::Http2, ..settings(port) }
}

/// The upstream's end of a connection, frame by frame.
pub(super) struct Frames(TcpStream);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawFrame {
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frames {
    /// Exchanges prefaces and SETTINGS, with a limit of streams if one is given.
    pub(super) async fn accept(peer: Peer, streams_max: Option<u32>) -> Self {
        let mut frames = Self::read_preface(peer).await;
        frames.settings(streams_max).await;
        frames.send(SETTINGS, 1, 0, &[]).await;
        frames
    }

    /// Reads the client's preface and sends nothing.
    pub(super) async fn read_preface(mut peer: Peer) -> Self {
        let mut preface = [0; 24];
        peer.stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Self(peer.stream)
    }

    /// Sends SETTINGS, with a limit of streams if one is given.
    pub(super) async fn settings(&mut self, streams_max: Option<u32>) {
        let limit =
            streams_max.map_or(Vec::new(), |max| [&[0, 3], &max.to_be_bytes()[..]].concat());
        self.send(SETTINGS, 0, 0, &limit).await;
    }

    pub(super) async fn pong(&mut self, ping: &RawFrame) {
        self.send(PING, 1, 0, &ping.payload).await;
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.0.write_all(&frame).await;
    }

    pub(super) async fn next(&mut self) -> Option<RawFrame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(RawFrame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of `kind`.
    pub(super) async fn until(&mut self, kind: u8) -> Option<RawFrame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    pub(super) async fn respond(&mut self, stream: u32, body: &[u8]) {
        self.send(HEADERS, 4, stream, OK_HEAD).await;
        self.send(DATA, 1, stream, body).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, reason: u32) {
        self.send(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32, reason: u32) {
        let payload = [last.to_be_bytes(), reason.to_be_bytes()].concat();
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// Responds to every request with the number of the connection.
    pub(super) async fn serve(mut self, number: usize) {
        while let Some(head) = self.until(HEADERS).await {
            self.respond(head.stream, number.to_string().as_bytes()).await;
        }
    }
}

#[tokio::test]
async fn concurrent_first_calls_share_one_connection() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        Frames::accept(peer, None).await.serve(number).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let worker = Arc::new(worker);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let worker = Arc::clone(&worker);
            tokio::spawn(async move { worker.text("/").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "0");
    }
    assert_eq!(vendor.accepted(), 1);
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (1, 1));
}

#[tokio::test]
async fn a_connection_that_cannot_be_opened_fails_all_calls_that_wait_for_it() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let worker = Worker::new(h2(port));
    let (one, other) = tokio::join!(worker.get("/"), worker.get("/"));
    for failure in [one.unwrap_err(), other.unwrap_err()] {
        assert_eq!((failure.kind, failure.delivery), (FailureKind::Refused, Delivery::NotSent));
    }
}

#[tokio::test]
async fn another_connection_is_opened_when_the_stream_limit_is_reached() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, Some(2)).await;
        let first = frames.until(HEADERS).await.unwrap().stream;
        frames.respond(first, b"first").await;
        let mut open = Vec::new();
        while let Some(head) = frames.until(HEADERS).await {
            open.push(head.stream);
            assert!(open.len() <= 2);
            if open.len() == 2 {
                settle().await;
                for stream in open.drain(..) {
                    frames.respond(stream, number.to_string().as_bytes()).await;
                }
            }
        }
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    assert_eq!(worker.text("/").await, "first");
    settle().await;
    let (one, two, three) = tokio::join!(worker.text("/"), worker.text("/"), worker.text("/"));
    assert_eq!((&*one, &*two, &*three), ("0", "0", "first"));
    assert_eq!(vendor.accepted(), 2);
}

#[tokio::test]
async fn target_and_authority_are_sent_as_pseudo_headers_without_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut heads) = mpsc::channel(8);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = ::h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            sender.send(request.map(|_| ())).await.unwrap();
            let mut response = respond.send_response(Response::new(()), false).unwrap();
            response.send_data(Bytes::from_static(b"ok"), false).unwrap();
            let sum = ("x-sum".parse().unwrap(), HeaderValue::from_static("2"));
            response.send_trailers(HeaderMap::from_iter([sum])).unwrap();
        }
    });
    let worker = Worker::new(h2(port));
    for target in ["/", "/?", "/a//b?c?d", "/%2f/../x;y=z"] {
        let mut request = request(Method::GET, target, "");
        request.headers_mut().insert("host", HeaderValue::from_static("client.example"));
        let collected = worker.send(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "2");
        let head = heads.recv().await.unwrap();
        assert_eq!(head.uri().path_and_query().unwrap(), target);
        assert_eq!(head.uri().authority().unwrap().as_str(), format!("127.0.0.1:{port}"));
        assert_eq!(head.uri().scheme_str(), Some("http"));
        assert!(!head.headers().contains_key("host"));
    }
}

/// The failure of a GET when the vendor runs `script` after its head.
async fn failure_after<F>(
    script: impl Fn(Frames, u32) -> F + Copy + Send + Sync + 'static,
) -> Failure
where
    F: Future<Output = ()> + Send,
{
    let vendor = Vendor::start(move |peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        let stream = frames.until(HEADERS).await.unwrap().stream;
        script(frames, stream).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let failure = match worker.get("/").await {
        Err(failure) => failure,
        Ok(response) => read(response).await.expect_err("the response is not complete"),
    };
    assert_eq!(vendor.accepted(), 1, "nothing is sent twice");
    failure
}

#[tokio::test]
async fn a_refused_stream_was_not_processed() {
    let failure = failure_after(|mut frames, stream| async move {
        frames.reset(stream, REFUSED_STREAM).await;
        settle().await;
    })
    .await;
    let seen = (failure.kind, failure.delivery);
    assert_eq!(seen, (FailureKind::RefusedStream, Delivery::Refused), "{failure}");
}

#[tokio::test]
async fn a_goaway_below_our_stream_means_it_was_not_processed() {
    for reason in [NO_ERROR, INTERNAL_ERROR] {
        let failure = failure_after(move |mut frames, stream| async move {
            assert_eq!(stream, 1);
            frames.go_away(0, reason).await;
            settle().await;
        })
        .await;
        let seen = (failure.kind, failure.delivery);
        assert_eq!(seen, (FailureKind::RefusedStream, Delivery::Refused), "{failure}");
    }
}

#[tokio::test]
async fn a_goaway_at_our_stream_leaves_open_whether_it_was_processed() {
    for reason in [NO_ERROR, INTERNAL_ERROR] {
        let failure = failure_after(move |mut frames, stream| async move {
            frames.go_away(stream, reason).await;
            settle().await;
        })
        .await;
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Reset, Delivery::Uncertain),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_request_whose_stream_is_reset_may_have_been_processed() {
    let failure = failure_after(|frames, _| async move { drop(frames) }).await;
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Reset, Delivery::Uncertain),
        "{failure}"
    );
    for reason in [INTERNAL_ERROR, CANCEL] {
        let failure = failure_after(move |mut frames, stream| async move {
            frames.reset(stream, reason).await;
            settle().await;
        })
        .await;
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Reset, Delivery::Uncertain),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn invalid_frames_are_a_protocol_failure() {
    let failure = failure_after(|mut frames, stream| async move {
        frames.send(HEADERS, 4, stream, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).await;
        settle().await;
    })
    .await;
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Protocol, Delivery::Uncertain),
        "{failure}"
    );
    let failure = failure_after(|mut frames, _| async move {
        let _ = frames.0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        settle().await;
    })
    .await;
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Protocol, Delivery::Uncertain),
        "{failure}"
    );
}

#[tokio::test]
async fn a_101_over_http2_is_a_protocol_failure() {
    let failure = failure_after(|mut frames, stream| async move {
        frames.send(HEADERS, 4, stream, &[0x08, 3, b'1', b'0', b'1']).await;
        frames.respond(stream, b"ok").await;
        settle().await;
    })
    .await;
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Protocol, Delivery::Uncertain),
        "{failure}"
    );
}

#[tokio::test]
async fn blanks_around_a_header_value_are_removed() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        let stream = frames.until(HEADERS).await.unwrap().stream;
        frames.send(HEADERS, 5, stream, &[0x88, 0x00, 1, b'x', 3, b' ', b'a', b'\t']).await;
        settle().await;
    })
    .await;
    let response = Worker::new(h2(vendor.port)).get("/").await.unwrap();
    assert_eq!(response.headers()["x"], "a");
}

#[tokio::test]
async fn a_head_over_our_limits_is_not_a_protocol_failure() {
    for bytes in [66_000_usize, 200_000] {
        let failure = failure_after(move |mut frames, stream| async move {
            // A literal without indexing; the length of its value is an HPACK integer.
            let mut block = vec![0x88, 0x00, 1, b'a', 0x7f];
            let mut rest = bytes - 0x7f;
            while rest >= 0x80 {
                block.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
                rest /= 0x80;
            }
            block.push(u8::try_from(rest).unwrap());
            block.resize(block.len() + bytes, b'y');
            let parts: Vec<_> = block.chunks(16_000).collect();
            for (number, part) in parts.iter().enumerate() {
                let kind = if number == 0 { HEADERS } else { CONTINUATION };
                let flags = if number + 1 == parts.len() { 4 } else { 0 };
                frames.send(kind, flags, stream, part).await;
            }
            settle().await;
        })
        .await;
        assert_eq!(failure.kind, FailureKind::HeadTooLarge, "{failure}");
    }
}

#[tokio::test]
async fn a_response_body_that_breaks_off_is_a_failure() {
    let failure = failure_after(|mut frames, stream| async move {
        frames.send(HEADERS, 4, stream, OK_HEAD).await;
        frames.send(DATA, 0, stream, b"half").await;
        settle().await;
    })
    .await;
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Reset, Delivery::Uncertain),
        "{failure}"
    );
    for reason in [INTERNAL_ERROR, REFUSED_STREAM] {
        let failure = failure_after(move |mut frames, stream| async move {
            frames.send(HEADERS, 4, stream, OK_HEAD).await;
            frames.send(DATA, 0, stream, b"half").await;
            frames.reset(stream, reason).await;
            settle().await;
        })
        .await;
        assert_eq!(
            (failure.kind, failure.delivery),
            (FailureKind::Reset, Delivery::Uncertain),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn a_connection_with_a_goaway_while_idle_is_replaced_without_an_error() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, None).await;
        if number == 0 {
            let stream = frames.until(HEADERS).await.unwrap().stream;
            frames.respond(stream, b"first").await;
            return frames.go_away(stream, NO_ERROR).await;
        }
        frames.serve(number).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    assert_eq!(worker.text("/").await, "first");
    settle().await;
    assert_eq!(worker.text("/").await, "1");
}

/// A worker whose vendor sends `response` and reports the first reset that it receives.
async fn with_reset_report(response: &'static [u8]) -> (Worker, mpsc::Receiver<u32>) {
    let (sender, resets) = mpsc::channel(1);
    let vendor = Vendor::start(move |peer: Peer, _| {
        let sender = sender.clone();
        async move {
            let mut frames = Frames::accept(peer, None).await;
            let stream = frames.until(HEADERS).await.unwrap().stream;
            if !response.is_empty() {
                frames.send(HEADERS, 4, stream, OK_HEAD).await;
                frames.send(DATA, 0, stream, response).await;
            }
            let reset = frames.until(RST_STREAM).await.unwrap();
            assert_eq!(reset.stream, stream);
            let reason = u32::from_be_bytes(reset.payload.try_into().unwrap());
            sender.send(reason).await.unwrap();
            settle().await;
        }
    })
    .await;
    (Worker::new(h2(vendor.port)), resets)
}

#[tokio::test]
async fn an_abandoned_exchange_resets_its_stream_and_reports_what_was_sent() {
    let (worker, mut resets) = with_reset_report(b"").await;
    {
        let (head, body) = split(request(Method::GET, "/", ""));
        let exchange = worker.upstreams.exchange(0, &head, body, &worker.progress);
        tokio::time::timeout(Duration::from_millis(100), exchange).await.unwrap_err();
    }
    assert_eq!(resets.recv().await, Some(CANCEL));
    assert_eq!(worker.progress.delivery(), Delivery::Uncertain);
    assert!(worker.progress.sent().is_some());
    assert_eq!(worker.shared.open(0), 1, "the connection stays open");
}

#[tokio::test]
async fn a_response_body_dropped_half_way_resets_its_stream() {
    let (worker, mut resets) = with_reset_report(b"half").await;
    let mut response = worker.get("/").await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    drop(response);
    assert_eq!(resets.recv().await, Some(CANCEL));
}

#[tokio::test]
async fn a_response_body_dropped_half_way_ends_the_upload() {
    let (worker, mut resets) = with_reset_report(b"half").await;
    let (sender, request) = streamed_request(Method::POST);
    let response = worker.send(request).await.unwrap();
    drop(response);
    assert!(resets.recv().await.is_some());
    sender.closed().await;
}

#[tokio::test]
async fn no_stream_is_opened_once_it_is_too_late_to_start() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        let head = frames.until(HEADERS).await.unwrap();
        assert_eq!(head.stream, 1, "the late one was not opened");
        frames.respond(head.stream, b"done").await;
        settle().await;
    })
    .await;
    let mut worker = Worker::new(h2(vendor.port));
    worker.progress = Progress::default().with_start_by(Moment::START);
    let failure = worker.send(request(Method::GET, "/", "")).await.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), TOO_LATE);
    worker.progress = Progress::default().with_start_by(Moment::NEVER);
    assert_eq!(worker.text("/").await, "done");
}

#[tokio::test]
async fn progress_reports_writes_and_the_end_of_the_request() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        let head = frames.until(HEADERS).await.unwrap();
        assert_eq!(frames.until(DATA).await.unwrap().payload, b"abc");
        while frames.until(DATA).await.unwrap().flags & 1 == 0 {}
        frames.respond(head.stream, b"done").await;
        settle().await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let (sender, request) = streamed_request(Method::POST);
    let watch = async {
        settle().await;
        let first = worker.progress.last_write().expect("the h2 crate has taken the head");
        assert_eq!(worker.progress.sent(), None);
        sender.send(data("abc")).await.unwrap();
        settle().await;
        assert!(worker.progress.last_write().unwrap() > first);
        assert_eq!(worker.progress.sent(), None);
        drop(sender);
        settle().await;
    };
    let (response, ()) = tokio::join!(worker.send(request), watch);
    assert_eq!(read(response.unwrap()).await.unwrap(), "done");
    assert!(worker.progress.sent().is_some());
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_not_blamed_on_the_upstream() {
    let (worker, mut resets) = with_reset_report(b"").await;
    let (sender, request) = streamed_request(Method::POST);
    let leave = async {
        settle().await;
        sender.send(Err(ClientLeft)).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(worker.send(request), leave);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::Reset, Delivery::Uncertain));
    assert!(failure.detail.starts_with("the request's body"), "{failure}");
    assert!(resets.recv().await.is_some());
}

#[tokio::test]
async fn large_bodies_stream_in_both_directions() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let echo =
            hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
                Ok::<_, hyper::Error>(Response::new(request.into_body()))
            });
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        hyper::server::conn::http2::Builder::new(executor).serve_connection(io, echo).await
    });
    let worker = Worker::new(h2(port));
    let body = full(vec![b'x'; LENGTH]);
    let response = worker.send(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(LENGTH as u64));
    assert_eq!(read(response).await.unwrap().len(), LENGTH);
}

#[tokio::test]
async fn a_connection_without_streams_is_closed_after_the_idle_timeout() {
    let (sender, mut ended) = mpsc::channel(1);
    let vendor = Vendor::start(move |peer: Peer, number| {
        let sender = sender.clone();
        async move {
            Frames::accept(peer, None).await.serve(number).await;
            sender.send(()).await.unwrap();
        }
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    assert_eq!(worker.text("/").await, "0");
    let now = worker.clock.now();
    worker.upstreams.sweep(now.plus(Duration::from_secs(59)));
    assert_eq!(worker.shared.idle(0), 1);
    worker.upstreams.sweep(now.plus(Duration::from_secs(61)));
    ended.recv().await.unwrap();
    settle().await;
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (0, 0));
}

#[tokio::test]
async fn the_connection_limit_holds_over_http2() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, Some(2)).await;
        while let Some(head) = frames.until(HEADERS).await {
            settle().await;
            frames.respond(head.stream, b"ok").await;
        }
    })
    .await;
    let worker = Worker::new(Settings { connections_max: 1, ..h2(vendor.port) });
    assert_eq!(worker.text("/").await, "ok");
    settle().await;
    let calls = tokio::join!(
        worker.text("/"),
        worker.text("/"),
        worker.text("/"),
        worker.text("/"),
        worker.text("/")
    );
    assert_eq!(calls, ["ok"; 5].map(String::from).into());
    assert_eq!(vendor.accepted(), 1);
}
