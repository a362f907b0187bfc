//! Connections shared among workers, and those that must not be shared among clients.

use super::http2::{Frames, h2};
use super::vendor::{Peer, Vendor};
use super::*;

/// Two workers of one gateway.
fn workers(settings: Settings) -> (Worker, Worker) {
    let one = Worker::new(settings.clone());
    let other = Worker::sharing(settings, Arc::clone(&one.shared));
    (one, other)
}

#[tokio::test]
async fn one_connection_serves_all_workers_in_turn() {
    let vendor = Vendor::start(Peer::serve).await;
    let (one, other) = workers(Settings { connections_max: 1, ..settings(vendor.port) });
    for number in 0..15 {
        assert_eq!(one.text("/").await, format!("0.{}", 2 * number));
        assert_eq!(other.text("/").await, format!("0.{}", 2 * number + 1));
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn one_http2_connection_serves_all_workers() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        Frames::accept(peer, None).await.serve(number).await;
    })
    .await;
    let (one, other) = workers(Settings { connections_max: 1, ..h2(vendor.port) });
    for _ in 0..5 {
        assert_eq!(one.text("/").await, "0");
        assert_eq!(other.text("/").await, "0");
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn streams_granted_later_serve_the_calls_of_all_workers() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, Some(0)).await;
        settle().await;
        settle().await;
        frames.settings(Some(9)).await;
        frames.serve(number).await;
    })
    .await;
    let (one, other) = workers(Settings { connections_max: 1, ..h2(vendor.port) });
    let third = Worker::sharing(h2(vendor.port), Arc::clone(&one.shared));
    let calls = tokio::join!(one.text("/"), one.text("/"), other.text("/"), third.text("/"));
    assert_eq!(calls, ["0"; 4].map(String::from).into());
}

#[tokio::test]
async fn waiting_calls_of_all_workers_are_served_in_order_of_arrival() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while let Some(head) = peer.read_head().await {
            settle().await;
            peer.respond(head.split(' ').nth(1).unwrap()).await;
        }
    })
    .await;
    let (one, other) = workers(Settings { connections_max: 1, ..settings(vendor.port) });
    let calls = tokio::join!(
        one.text("/a"),
        one.text("/b"),
        one.text("/c"),
        other.text("/d"),
        other.text("/e"),
    );
    assert_eq!(calls, ["/a", "/b", "/c", "/d", "/e"].map(String::from).into());
    assert_eq!(vendor.accepted(), 1);
    let paths = vendor.heads().into_iter().map(|head| head.split(' ').nth(1).unwrap().to_owned());
    assert_eq!(paths.collect::<Vec<_>>(), ["/a", "/b", "/c", "/d", "/e"], "in order of arrival");
}

#[tokio::test]
async fn a_waiting_call_that_is_abandoned_leaks_no_connection() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            settle().await;
            peer.respond("ok").await;
        }
    })
    .await;
    let (one, other) = workers(Settings { connections_max: 1, ..settings(vendor.port) });
    let left = other.get_for(Duration::from_millis(5));
    let (first, left, last) = tokio::join!(one.text("/"), left, one.text("/"));
    assert_eq!((&*first, &*last), ("ok", "ok"));
    assert!(left.0.is_none());
    assert_eq!(left.1.last_write(), None);
    assert_eq!((one.shared.waiting(0), one.shared.open(0)), (0, 1));
}

/// A vendor that remembers per connection which user authenticated on it, as NTLM does.
async fn ntlm(mut peer: Peer, _: usize) {
    let mut user = None;
    let mut challenged = false;
    while let Some(head) = peer.read_head().await {
        let token = head.lines().find_map(|line| line.strip_prefix("authorization: NTLM "));
        match (token, &user) {
            (Some("hello"), _) => {
                challenged = true;
                peer.write("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: NTLM challenge\r\n")
                    .await;
                peer.write("content-length: 0\r\n\r\n").await;
            }
            (Some(name), _) if challenged => {
                user = Some(name.to_owned());
                peer.respond(name).await;
            }
            (None, Some(name)) => peer.respond(name).await,
            _ => {
                peer.write("HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic, NTLM\r\n").await;
                peer.write("content-length: 0\r\n\r\n").await;
            }
        }
    }
}

async fn get_as(worker: &Worker, client: u64, token: Option<&str>) -> (u16, String) {
    let mut request = request(Method::GET, "/", "");
    if let Some(token) = token {
        let value = format!("NTLM {token}").parse().unwrap();
        request.headers_mut().insert("authorization", value);
    }
    let response = worker.send_for(client, request).await.unwrap();
    (response.status().as_u16(), read(response).await.unwrap())
}

#[tokio::test]
async fn a_connection_authenticated_by_ntlm_serves_its_client_only() {
    let vendor = Vendor::start(ntlm).await;
    let worker = Worker::new(settings(vendor.port));
    for (client, name) in [(1, "alice"), (2, "bob")] {
        assert_eq!(get_as(&worker, client, None).await.0, 401);
        assert_eq!(get_as(&worker, client, Some("hello")).await.0, 401);
        assert_eq!(get_as(&worker, client, Some(name)).await, (200, name.to_owned()));
    }
    for _ in 0..3 {
        assert_eq!(get_as(&worker, 1, None).await, (200, "alice".to_owned()));
        assert_eq!(get_as(&worker, 2, None).await, (200, "bob".to_owned()));
        assert_eq!(get_as(&worker, 3, None).await.0, 401, "the third client has not authenticated");
    }
}

#[tokio::test]
async fn clients_that_authenticate_at_the_same_time_are_not_mixed_up() {
    let vendor = Vendor::start(ntlm).await;
    let worker = Worker::new(settings(vendor.port));
    let log_in = |client: u64, name: &'static str| {
        let worker = &worker;
        async move {
            for _ in 0..10 {
                let _ = get_as(worker, client, None).await;
                let _ = get_as(worker, client, Some("hello")).await;
                assert_eq!(get_as(worker, client, Some(name)).await, (200, name.to_owned()));
                assert_eq!(get_as(worker, client, None).await, (200, name.to_owned()));
            }
        }
    };
    tokio::join!(log_in(1, "alice"), log_in(2, "bob"), log_in(3, "carol"));
}

#[tokio::test]
async fn a_reserved_idle_connection_is_closed_for_a_waiting_call() {
    let vendor = Vendor::start(ntlm).await;
    let worker = Worker::new(Settings { connections_max: 1, ..settings(vendor.port) });
    let _ = get_as(&worker, 1, Some("hello")).await;
    assert_eq!(worker.shared.idle(0), 1);
    assert_eq!(get_as(&worker, 2, None).await.0, 401);
    assert_eq!(vendor.accepted(), 2);
    worker.upstreams.sweep(worker.clock.now().plus(Duration::from_secs(61)));
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn over_http2_an_ntlm_request_gets_a_connection_of_its_own() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        Frames::accept(peer, None).await.serve(number).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    assert_eq!(worker.text("/").await, "0");
    assert_eq!(get_as(&worker, 1, Some("hello")).await.1, "1");
    assert_eq!(get_as(&worker, 2, None).await.1, "0");
    settle().await;
    assert_eq!(worker.shared.open(0), 1, "its own connection is closed afterwards");
}
