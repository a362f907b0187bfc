//! The connection limit, the expiry of idle connections, and connecting.

use super::vendor::{Peer, Vendor};
use super::*;
use crate::outcome::{Delivery, FailureKind};

/// Responds with a head at once and with the end of the body a little later.
async fn slow(mut peer: Peer, _: usize) {
    while peer.read_head().await.is_some() {
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsl").await;
        settle().await;
        settle().await;
        peer.write("ow").await;
    }
}

#[tokio::test]
async fn the_connection_limit_holds_and_waiting_calls_get_the_next_free_connection() {
    let vendor = Vendor::start(slow).await;
    let worker = Worker::new(Settings { connections_max: 2, ..settings(vendor.port) });
    let calls = (0..6).map(|_| worker.text("/"));
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let all = std::future::poll_fn(|cx| {
        calls.retain_mut(|call| call.as_mut().poll(cx).is_pending());
        assert!(worker.shared.open(0) <= 2);
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    });
    all.await;
    assert_eq!(vendor.accepted(), 2, "waiting calls reuse connections");
    assert_eq!(worker.shared.waiting(0), 0);
}

#[tokio::test]
async fn a_connection_limit_that_stays_reached_is_a_connection_limit_failure() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.hang().await;
    })
    .await;
    let connect_timeout = Duration::from_millis(50);
    let worker =
        Worker::new(Settings { connections_max: 1, connect_timeout, ..settings(vendor.port) });
    let (head, body) = split(request(Method::GET, "/", ""));
    let stuck = worker.upstreams.exchange(0, &head, body, &worker.progress);
    tokio::select! {
        biased;
        _ = stuck => panic!("the vendor does not respond"),
        failure = worker.get("/") => {
            let failure = failure.unwrap_err();
            assert_eq!(failure.kind, FailureKind::ConnectionLimit);
            assert_eq!(failure.delivery, Delivery::NotSent);
        }
    }
    assert_eq!(worker.shared.waiting(0), 0);
}

#[tokio::test]
async fn an_idle_connection_of_one_worker_serves_another() {
    let vendor = Vendor::start(Peer::serve).await;
    let settings = Settings { connections_max: 1, ..settings(vendor.port) };
    let one = Worker::new(settings.clone());
    let other = Worker::sharing(settings, Arc::clone(&one.shared));
    assert_eq!(one.text("/").await, "0.0");
    assert_eq!(other.text("/").await, "0.1");
    assert_eq!(one.text("/").await, "0.2");
}

#[tokio::test]
async fn a_busy_worker_hands_its_connection_to_another_that_waits() {
    let vendor = Vendor::start(slow).await;
    let settings = Settings { connections_max: 1, ..settings(vendor.port) };
    let one = Worker::new(settings.clone());
    let other = Worker::sharing(settings, Arc::clone(&one.shared));
    let (first, second) = tokio::join!(one.text("/"), other.text("/"));
    assert_eq!((&*first, &*second), ("slow", "slow"));
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_closed() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    let _ = worker.text("/").await;
    let now = worker.clock.now();
    worker.upstreams.sweep(now.plus(Duration::from_secs(59)));
    assert_eq!(worker.shared.idle(0), 1);
    worker.upstreams.sweep(now.plus(Duration::from_secs(61)));
    assert_eq!((worker.shared.idle(0), worker.shared.open(0)), (0, 0));
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_used() {
    let vendor = Vendor::start(Peer::serve).await;
    let idle_timeout = Duration::from_millis(5);
    let worker = Worker::new(Settings { idle_timeout, ..settings(vendor.port) });
    let _ = worker.text("/").await;
    settle().await;
    assert_eq!(worker.text("/").await, "1.0");
}

#[tokio::test]
async fn a_sweep_notices_that_the_upstream_closed_a_connection() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.respond("bye").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let _ = worker.text("/").await;
    settle().await;
    worker.upstreams.sweep(worker.clock.now());
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn the_vendors_keep_alive_timeout_is_obeyed() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\nkeep-alive: timeout=7, max=100\r\n").await;
            peer.write("content-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let _ = worker.text("/").await;
    let now = worker.clock.now();
    worker.upstreams.sweep(now.plus(Duration::from_millis(4_900)));
    assert_eq!(worker.shared.idle(0), 1);
    worker.upstreams.sweep(now.plus(Duration::from_millis(5_100)));
    assert_eq!(worker.shared.idle(0), 0);
}

#[tokio::test]
async fn a_closed_port_is_a_refused_failure() {
    let vendor = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = vendor.local_addr().unwrap().port();
    drop(vendor);
    let worker = Worker::new(settings(port));
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Refused, Delivery::NotSent),
        "{failure}"
    );
    assert_eq!(worker.progress.delivery(), Delivery::NotSent);
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_dns_failure() {
    let mut settings = settings(80);
    settings.origin.host = "nowhere.invalid".into();
    settings.connect_timeout = Duration::from_secs(3);
    let worker = Worker::new(settings);
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Dns, Delivery::NotSent),
        "{failure}"
    );
}

#[tokio::test]
async fn a_listener_that_does_not_accept_is_a_connect_timeout() {
    // With a full backlog the kernel drops further SYNs.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let _listener = socket.listen(1).unwrap();
    let mut fill = Vec::new();
    for _ in 0..4 {
        fill.push(tokio::spawn(tokio::net::TcpStream::connect(address)));
    }
    settle().await;
    let connect_timeout = Duration::from_millis(100);
    let worker = Worker::new(Settings { connect_timeout, ..settings(address.port()) });
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::ConnectTimeout, Delivery::NotSent));
}

#[tokio::test]
async fn a_host_name_is_resolved() {
    let vendor = Vendor::start(Peer::serve).await;
    let mut settings = settings(vendor.port);
    settings.origin.host = "localhost".into();
    assert_eq!(Worker::new(settings).text("/").await, "0.0");
}

#[tokio::test]
async fn an_ipv6_address_is_reached() {
    let vendor = Vendor::listen("[::1]:0", Peer::serve).await;
    let mut settings = settings(vendor.port);
    settings.origin.host = "::1".into();
    settings.origin.authority = format!("[::1]:{}", vendor.port).parse().unwrap();
    let worker = Worker::new(settings);
    assert_eq!(worker.text("/").await, "0.0");
    assert!(vendor.heads()[0].contains(&format!("host: [::1]:{}\r\n", vendor.port)));
}
