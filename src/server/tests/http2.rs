//! HTTP/2 clients with prior knowledge.

use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::*;

async fn connect(
    address: SocketAddr,
) -> (SendRequest<Full<Bytes>>, tokio::task::JoinHandle<hyper::Result<()>>) {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (send, connection) = handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    (send, tokio::spawn(connection))
}

async fn send_request(
    send: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
) -> (u16, String) {
    send.ready().await.unwrap();
    let response = send.send_request(request.body(Full::default()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn http2_heads_are_checked_like_http1_heads() {
    let server = running(settings());
    server.runtime.block_on(async {
        let (mut send, _) = connect(server.address).await;
        let get = |path: &str| Request::builder().uri(format!("http://h{path}"));
        assert_eq!(send_request(&mut send, get("/a?b")).await, (200, "GET /a?b ".to_owned()));
        let long = get(&format!("/{}", "x".repeat(9000)));
        assert_eq!(send_request(&mut send, long).await, (414, "target_too_long".to_owned()));
        let other = get("/").header("host", "other");
        assert_eq!(send_request(&mut send, other).await, (400, "invalid_request".to_owned()));
        let large = get("/").header("x", "y".repeat(33_000));
        assert_eq!(send_request(&mut send, large).await, (431, "headers_too_large".to_owned()));
        assert_eq!(send_request(&mut send, get("/a")).await.0, 200);
    });
}

/// The response head to one request, and the length of its body.
async fn response_to(
    send: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> (Response<()>, usize) {
    send.ready().await.unwrap();
    let (head, body) = send.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), body.len())
}

#[test]
fn a_response_that_ends_with_its_head_has_no_body() {
    let server = running(settings());
    server.runtime.block_on(async {
        let (mut send, _) = connect(server.address).await;
        let rejected = Request::head("http://h/").header("host", "other");
        let (head, bytes) = response_to(&mut send, rejected.body(Full::default()).unwrap()).await;
        assert_eq!((head.status().as_u16(), bytes), (400, 0));
        assert_eq!(
            head.headers()["content-length"],
            "15",
            "the length of the body that GET would get"
        );
        for path in ["/a", "/204", "/304"] {
            let method = if path == "/a" { "HEAD" } else { "GET" };
            let request = Request::builder().method(method).uri(format!("http://h{path}"));
            let (head, bytes) =
                response_to(&mut send, request.body(Full::default()).unwrap()).await;
            assert_eq!(bytes, 0, "{path}");
            let length = head.headers().contains_key("content-length");
            assert_eq!(length, head.status() != 204, "{path}");
        }
        assert_eq!(send_request(&mut send, Request::builder().uri("http://h/a")).await.0, 200);
    });
}

#[test]
fn the_length_of_a_small_body_is_determined() {
    let server = running(settings());
    let length = |method: &str, body: Vec<&'static str>, pause| {
        server.runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
            let io = TokioIo::new(socket);
            let (mut send, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            let request = Request::builder().method(method).uri("http://h/length");
            let request =
                request.body(PausedFrames(body.into(), (server.clock, pause), None)).unwrap();
            let answer = send.send_request(request).await.unwrap();
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(text.to_vec()).unwrap()
        })
    };
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(length(method, vec![], ms(0)), "Some(\"0\") Some(0)", "{method}");
    }
    assert_eq!(length("DELETE", vec![], ms(0)), "None Some(0)");
    // The buffering timeout is real time, which a busy machine may exceed: hence the repetition.
    let small = || length("POST", vec!["small", "", " and whole"], ms(0));
    assert!((0..20).any(|_| small() == "None Some(15)"), "frames sent at once make one body");
    assert_eq!(length("POST", vec!["slow", "er"], ms(60)), "None None");
}

/// A body of unknown length, with a pause before each frame.
struct PausedFrames(std::collections::VecDeque<&'static str>, (Clock, Duration), Option<Timer>);

type Timer = std::pin::Pin<Box<tokio::time::Sleep>>;

impl http_body::Body for PausedFrames {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let Self(pieces, (clock, pause), timer) = &mut *self;
        if pieces.is_empty() {
            return std::task::Poll::Ready(None);
        }
        if !pause.is_zero() {
            let timer =
                timer.get_or_insert_with(|| Box::pin(clock.sleep_until(clock.now().plus(*pause))));
            std::task::ready!(timer.as_mut().poll(cx));
        }
        self.2 = None;
        let piece = self.0.pop_front().unwrap_or_default();
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(
            piece.as_bytes(),
        )))))
    }
}

/// Sends requests with these header blocks and optional trailers, each on its own stream. Returns
/// the frames received until each stream has a response or reset.
fn exchange_frames(
    server: &Running,
    streams: &[(&[u8], Option<&[u8]>)],
) -> Vec<(u8, u32, Vec<u8>)> {
    let frame = |kind: u8, flags: u8, stream: usize, payload: &[u8]| {
        let head = [0, 0, u8::try_from(payload.len()).unwrap(), kind, flags, 0, 0, 0];
        [&head[..], &[u8::try_from(stream).unwrap()], payload].concat()
    };
    let mut socket = server.connect();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    socket.write_all(&frame(4, 0, 0, &[])).unwrap();
    for (number, (head, trailers)) in streams.iter().enumerate() {
        let stream = 2 * number + 1;
        let flags = if trailers.is_some() { 4 } else { 5 };
        socket.write_all(&frame(1, flags, stream, head)).unwrap();
        if let Some(trailers) = trailers {
            socket.write_all(&frame(0, 0, stream, b"body")).unwrap();
            socket.write_all(&frame(1, 5, stream, trailers)).unwrap();
        }
    }
    let mut frames: Vec<(u8, u32, Vec<u8>)> = Vec::new();
    // Heads and resets of all streams, or GOAWAY.
    while frames.iter().filter(|(kind, ..)| [1, 3].contains(kind)).count() < streams.len() {
        let mut head = [0; 9];
        socket.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        socket.read_exact(&mut payload).unwrap();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        frames.push((head[3], stream, payload));
        assert_ne!(head[3], 7, "GOAWAY: {frames:?}");
    }
    frames
}

#[test]
fn malformed_requests_that_hyper_overlooks_reset_their_stream_and_no_other() {
    const RST_STREAM: u8 = 3;
    const PROTOCOL_ERROR: [u8; 4] = [0, 0, 0, 1];
    let good: &[u8] = b"\x82\x86\x41\x01h\x04\x02/a";
    let fragment: &[u8] = b"\x82\x86\x01\x01h\x44\x04/a#b";
    let server = running(settings());
    let streams = [
        (good, None),
        (fragment, None),
        (&b"\x82\x86\xbf\xbe"[..], None),
        (good, Some(&b"\x00\x05x-sum\x011"[..])),
        (good, Some(&b"\x00\x07:status\x03200"[..])),
        (good, None),
    ];
    let frames = exchange_frames(&server, &streams);
    let resets: Vec<_> = frames
        .iter()
        .filter(|(kind, ..)| *kind == RST_STREAM)
        .map(|(_, stream, code)| (*stream, &code[..]))
        .collect();
    let expected = [3, 5, 9].map(|stream| (stream, &PROTOCOL_ERROR[..]));
    assert_eq!(resets, expected, "{frames:?}");
    assert!(server.requests().iter().all(|request| !request.contains("b")));
}

#[test]
fn an_idle_connection_gets_goaway() {
    let server = running(Settings { idle_timeout: ms(200), ..settings() });
    server.runtime.block_on(async {
        let (mut send, ended) = connect(server.address).await;
        send_request(&mut send, Request::builder().uri("http://h/")).await;
        let ended =
            tokio::time::timeout(ms(3000), ended).await.expect("GOAWAY ends the connection");
        assert!(ended.unwrap().is_ok());
    });
}

#[test]
fn a_drain_lets_streams_in_progress_end() {
    let server = running(settings());
    server.runtime.block_on(async {
        let (mut send, ended) = connect(server.address).await;
        let slow = tokio::spawn(async move {
            send_request(&mut send, Request::builder().uri("http://h/slow")).await
        });
        tokio::time::timeout(ms(100), std::future::pending::<()>()).await.unwrap_err();
        server.drain.begin(server.clock.now().plus(ms(3000)));
        assert_eq!(slow.await.unwrap(), (200, "GET /slow ".to_owned()));
        let ended =
            tokio::time::timeout(ms(2000), ended).await.expect("GOAWAY ends the connection");
        assert!(ended.unwrap().is_ok());
    });
}

#[test]
fn idle_connections_get_goaway_when_a_stop_is_announced() {
    let server = running(settings());
    server.runtime.block_on(async {
        let (mut used, used_ended) = connect(server.address).await;
        send_request(&mut used, Request::builder().uri("http://h/")).await;
        server.drain.announce();
        let ended =
            tokio::time::timeout(ms(1500), used_ended).await.expect("GOAWAY ends the connection");
        assert!(ended.unwrap().is_ok());
        let (mut late, ended) = connect(server.address).await;
        let slow = Request::builder().uri("http://h/slow");
        assert_eq!(send_request(&mut late, slow).await, (200, "GET /slow ".to_owned()));
        tokio::time::timeout(ms(1500), ended)
            .await
            .expect("GOAWAY ends the connection")
            .unwrap()
            .unwrap();
    });
}

#[test]
fn an_upload_in_tiny_frames_is_not_treated_as_an_attack() {
    const HEAD: &[u8] = b"\0\0\x09\x01\x04\0\0\0\x01\x83\x86\x44\x02/b\x41\x01h";
    const FRAMES: usize = 20_000;
    let server = running(settings());
    let mut socket = server.connect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    socket.write_all(&[&preface[..], HEAD].concat()).unwrap();
    socket.write_all(&b"\0\0\x01\0\0\0\0\0\x01x".repeat(FRAMES)).unwrap();
    socket.write_all(b"\0\0\0\0\x01\0\0\0\x01").unwrap();
    let (mut got, mut bytes) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&got).contains(&"x".repeat(FRAMES / 2)) {
        let read = socket.read(&mut bytes).unwrap();
        let tail = String::from_utf8_lossy(&got[got.len().saturating_sub(200)..]).into_owned();
        assert!(read > 0, "the connection ended: {tail:?}");
        got.extend_from_slice(&bytes[..read]);
    }
}
