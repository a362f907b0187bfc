//! The same front door for clients that speak HTTP/2 without having asked.

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

async fn ask(
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
fn prior_knowledge_is_enough_and_heads_are_checked_alike() {
    let door = running(settings());
    door.runtime.block_on(async {
        let (mut send, _) = connect(door.address).await;
        let get = |path: &str| Request::builder().uri(format!("http://h{path}"));
        assert_eq!(ask(&mut send, get("/a?b")).await, (200, "GET /a?b ".to_owned()));
        let long = get(&format!("/{}", "x".repeat(9000)));
        assert_eq!(ask(&mut send, long).await, (414, "target_too_long".to_owned()));
        let other = get("/").header("host", "other");
        assert_eq!(ask(&mut send, other).await, (400, "invalid_request".to_owned()));
        let large = get("/").header("x", "y".repeat(33_000));
        assert_eq!(ask(&mut send, large).await, (431, "headers_too_large".to_owned()));
        assert_eq!(ask(&mut send, get("/a")).await.0, 200);
    });
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let door = running(Settings { idle_timeout: ms(200), ..settings() });
    door.runtime.block_on(async {
        let (mut send, ended) = connect(door.address).await;
        ask(&mut send, Request::builder().uri("http://h/")).await;
        let ended = tokio::time::timeout(ms(3000), ended).await.expect("told to go");
        assert!(ended.unwrap().is_ok());
    });
}

#[test]
fn a_drain_lets_streams_end() {
    let door = running(settings());
    door.runtime.block_on(async {
        let (mut send, ended) = connect(door.address).await;
        let slow =
            tokio::spawn(
                async move { ask(&mut send, Request::builder().uri("http://h/slow")).await },
            );
        tokio::time::timeout(ms(100), std::future::pending::<()>()).await.unwrap_err();
        door.drain.begin(door.clock.now().plus(ms(3000)));
        assert_eq!(slow.await.unwrap(), (200, "GET /slow ".to_owned()));
        let ended = tokio::time::timeout(ms(2000), ended).await.expect("told to go");
        assert!(ended.unwrap().is_ok());
    });
}

#[test]
fn idle_connections_are_told_to_go_when_the_stop_is_announced() {
    let door = running(settings());
    door.runtime.block_on(async {
        let (mut used, used_ended) = connect(door.address).await;
        ask(&mut used, Request::builder().uri("http://h/")).await;
        door.drain.announce();
        let ended = tokio::time::timeout(ms(1500), used_ended).await.expect("told to go");
        assert!(ended.unwrap().is_ok());
        let (mut late, ended) = connect(door.address).await;
        let slow = Request::builder().uri("http://h/slow");
        assert_eq!(ask(&mut late, slow).await, (200, "GET /slow ".to_owned()));
        tokio::time::timeout(ms(1500), ended).await.expect("told to go").unwrap().unwrap();
    });
}

#[test]
fn an_upload_in_tiny_frames_is_no_attack() {
    const HEAD: &[u8] = b"\0\0\x09\x01\x04\0\0\0\x01\x83\x86\x44\x02/b\x41\x01h";
    const FRAMES: usize = 20_000;
    let door = running(settings());
    let mut socket = door.connect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    socket.write_all(&[&preface[..], HEAD].concat()).unwrap();
    socket.write_all(&b"\0\0\x01\0\0\0\0\0\x01x".repeat(FRAMES)).unwrap();
    socket.write_all(b"\0\0\0\0\x01\0\0\0\x01").unwrap();
    let (mut got, mut bytes) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&got).contains(&"x".repeat(FRAMES / 2)) {
        let read = socket.read(&mut bytes).unwrap();
        let said = String::from_utf8_lossy(&got[got.len().saturating_sub(200)..]).into_owned();
        assert!(read > 0, "the connection ended: {said:?}");
        got.extend_from_slice(&bytes[..read]);
    }
}
