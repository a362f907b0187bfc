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
