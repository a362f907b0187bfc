//! HTTP/1.1 without TLS.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::vendor::{Peer, Vendor};
use super::*;
use crate::outcome::{Delivery, FailureKind};

#[tokio::test]
async fn a_connection_is_reused() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    for number in 0..5 {
        assert_eq!(worker.text("/").await, format!("0.{number}"));
    }
    assert_eq!(vendor.accepted(), 1);
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (1, 1));
}

#[tokio::test]
async fn the_target_is_sent_byte_for_byte() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    let targets =
        ["/", "/?", "/a?b?c", "/%2f/../x;y=z//w", "/a|b{c}\"d^?q={}|^`'", "*", "/a?&&=%00"];
    for target in targets {
        let _ = worker.text(target).await;
    }
    let lines: Vec<_> =
        vendor.heads().iter().map(|h| h.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, targets.map(|target| format!("GET {target} HTTP/1.1")));
}

#[tokio::test]
async fn the_host_header_is_that_of_the_upstream() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    let mut request = request(Method::GET, "/", "");
    request.headers_mut().insert("host", HeaderValue::from_static("client.example"));
    let _ = worker.send(request).await.unwrap();
    let head = vendor.heads().remove(0);
    assert_eq!(head.matches("host: ").count(), 1);
    assert!(head.contains(&format!("host: 127.0.0.1:{}\r\n", vendor.port)), "{head}");
}

#[tokio::test]
async fn nothing_is_written_once_it_is_too_late_to_start() {
    let vendor = Vendor::start(Peer::serve).await;
    let mut worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "0.0");
    worker.progress = Progress::default().with_start_by(Moment::START);
    let failure = worker.send(request(Method::GET, "/late", "")).await.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), TOO_LATE);
    worker.progress = Progress::default().with_start_by(Moment::NEVER);
    worker.text("/").await;
    assert!(vendor.heads().iter().all(|head| !head.contains("/late")));
}

#[tokio::test]
async fn progress_reports_writes_and_the_end_of_the_request() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.read_until("0\r\n\r\n").await;
        peer.respond("done").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (sender, request) = streamed_request(Method::POST);
    assert_eq!(worker.progress.delivery(), Delivery::NotSent);
    let watch = async {
        settle().await;
        assert!(worker.progress.last_write().is_some(), "the head has been written");
        assert_eq!(worker.progress.sent(), None);
        sender.send(data("abc")).await.unwrap();
        settle().await;
        assert_eq!(worker.progress.sent(), None);
        drop(sender);
    };
    let (response, ()) = tokio::join!(worker.send(request), watch);
    assert_eq!(read(response.unwrap()).await.unwrap(), "done");
    assert_eq!(worker.progress.sent(), worker.progress.last_write());
    assert!(worker.progress.sent().is_some());
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_without_an_error() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.read_head().await;
        peer.respond("first").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "first");
    settle().await;
    let response = worker.send(request(Method::POST, "/", "body")).await.unwrap();
    assert_eq!(read(response).await.unwrap(), "1.0");
    assert_eq!(vendor.heads().len(), 2, "the POST is sent once");
}

#[tokio::test]
async fn bytes_received_while_idle_close_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.read_head().await;
        peer.respond("first").await;
        settle().await;
        peer.respond("unsolicited").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "first");
    settle().await;
    settle().await;
    assert_eq!(worker.text("/").await, "1.0");
}

#[tokio::test]
async fn bytes_after_a_response_close_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n").await;
        peer.write(&format!("content-length: 3\r\n\r\nx{number}x")).await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "ok");
    assert_eq!(worker.text("/").await, "ok");
    assert_eq!(vendor.accepted(), 2);
    assert_eq!(worker.shared.idle(0), 0);
}

/// The failure of a POST when the vendor reads it, sends `response` and closes or resets the
/// connection: `Ok` if it came before the response's head, `Err` if it came in the body.
async fn failure_after(response: &'static str, reset: bool) -> Result<Failure, Failure> {
    let vendor = Vendor::start(move |mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.read_body(4).await;
        peer.write(response).await;
        settle().await;
        if reset {
            peer.reset();
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let outcome = worker.send(request(Method::POST, "/", "body")).await;
    let broken = match outcome {
        Err(failure) => Ok(failure),
        Ok(response) => Err(read(response).await.expect_err("the response is not complete")),
    };
    settle().await;
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (0, 0), "{broken:?}");
    broken
}

#[tokio::test]
async fn each_way_to_break_before_the_response_head_has_its_failure_kind() {
    use FailureKind::{Protocol, Reset, Truncated};
    let cases = [
        ("", false, Reset),
        ("", true, Reset),
        ("HTTP/1.1 200", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-", true, Reset),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, Truncated),
        ("SSH-2.0-OpenSSH_9.2\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", false, Protocol),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", false, Protocol),
    ];
    for (response, reset, kind) in cases {
        let failure = failure_after(response, reset).await.expect(response);
        assert_eq!(
            (failure.kind, failure.delivery),
            (kind, Delivery::Uncertain),
            "{response:?}: {failure}"
        );
    }
}

#[tokio::test]
async fn each_way_to_break_after_the_response_head_has_its_failure_kind() {
    use FailureKind::{Protocol, Reset, Truncated};
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", true, Reset),
        ("HTTP/1.1 200 OK\r\n\r\nclose-delimited", true, Reset),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", false, Truncated),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", true, Reset),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", false, Truncated),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalfXX", false, Protocol),
    ];
    for (response, reset, kind) in cases {
        let failure = failure_after(response, reset).await.expect_err(response);
        assert_eq!(
            (failure.kind, failure.delivery),
            (kind, Delivery::Uncertain),
            "{response:?}: {failure}"
        );
    }
}

#[tokio::test]
async fn interim_responses_are_passed_over_up_to_a_limit() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.read_head().await;
        for _ in 0..if number == 0 { 20 } else { 100_000 } {
            peer.write("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await;
        }
        peer.respond("at last").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "at last");
    settle().await;
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Protocol, Delivery::Uncertain),
        "{failure}"
    );
}

#[tokio::test]
async fn a_response_head_over_our_limits_is_an_error() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.read_head().await;
        let (lines, length) = if number == 0 { (257, 1) } else { (10, 8000) };
        let line = format!("x: {}\r\n", "y".repeat(length)).repeat(lines);
        peer.write(&format!("HTTP/1.1 200 OK\r\n{line}\r\n")).await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..2 {
        let failure = worker.get("/").await.map(|_| ()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::HeadTooLarge, "{failure}");
    }
}

#[tokio::test]
async fn an_empty_line_after_a_response_does_not_break_the_next_call() {
    for late in ["before the request", "before the response"] {
        let vendor = Vendor::start(move |mut peer: Peer, _| async move {
            while peer.read_head().await.is_some() {
                if late == "before the response" {
                    peer.write("\r\n").await;
                    settle().await;
                }
                peer.respond("ok").await;
                if late == "before the request" {
                    peer.write("\r").await;
                    settle().await;
                    peer.write("\n").await;
                }
            }
        })
        .await;
        let worker = Worker::new(settings(vendor.port));
        for _ in 0..4 {
            assert_eq!(worker.text("/").await, "ok", "{late}");
            settle().await;
            settle().await;
        }
        assert_eq!(worker.shared.open(0), 1, "{late}: the connection stays open");
    }
}

#[tokio::test]
async fn responses_without_a_body_free_the_connection_with_their_head() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while let Some(head) = peer.read_head().await {
            peer.write(match head.split(' ').nth(1).unwrap() {
                "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "/304" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
                "/0" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                _head => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
            })
            .await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for (method, path) in
        [(Method::GET, "/204"), (Method::GET, "/304"), (Method::GET, "/0"), (Method::HEAD, "/")]
    {
        let response = worker.send(request(method, path, "")).await.unwrap();
        assert_eq!(worker.shared.idle(0), 1, "{path}: the head frees the connection");
        assert!(response.body().is_end_stream());
        let length = response.headers().get("content-length").cloned();
        assert_eq!(length.is_some(), path != "/204");
        assert_eq!(read(response).await.unwrap(), "");
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_body_after_a_204_is_not_read_as_the_next_response() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 204 No Content\r\ncontent-length: 39\r\n\r\n").await;
        settle().await;
        peer.respond("poison").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..2 {
        assert_eq!(worker.get("/").await.unwrap().status(), 204);
    }
    assert_eq!(vendor.accepted(), 2);
}

#[tokio::test]
async fn chunks_and_trailers_are_read_and_the_connection_is_reused() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
            settle().await;
            peer.write("3\r\ndef\r\n0\r\nx-sum: 6\r\n\r\n").await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..3 {
        let collected = worker.get("/").await.unwrap().into_body().collect().await.unwrap();
        let trailers = collected.trailers().unwrap().clone();
        assert_eq!(trailers["x-sum"], "6");
        assert_eq!(collected.to_bytes(), "abcdef");
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_body_may_end_with_its_connection() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "until the end");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn large_bodies_stream_in_both_directions() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            let body = peer.read_body(LENGTH).await.unwrap();
            peer.respond(&body).await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..2 {
        let body = full(vec![b'x'; LENGTH]);
        let response = worker.send(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(response.body().size_hint().exact(), Some(LENGTH as u64));
        assert_eq!(read(response).await.unwrap().len(), LENGTH);
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn request_bodies_of_unknown_length_are_sent_in_chunks_with_trailers() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            let body = peer.read_until("\r\n\r\n").await.unwrap();
            peer.respond(&body).await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for method in [Method::POST, Method::GET] {
        let (sender, mut request) = streamed_request(method);
        request.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
        sender.send(data("abc")).await.unwrap();
        let sum = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("3"))]);
        sender.send(Ok(Frame::trailers(sum))).await.unwrap();
        drop(sender);
        let echoed = read(worker.send(request).await.unwrap()).await.unwrap();
        assert_eq!(echoed, "3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n");
    }
    assert!(vendor.heads().iter().all(|head| head.contains("transfer-encoding: chunked")));
}

#[tokio::test]
async fn an_early_response_is_read_while_the_upload_goes_on() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n").await;
        peer.read_until("late\r\n0\r\n\r\n").await.unwrap();
        peer.write("4\r\ndone\r\n0\r\n\r\n").await;
        peer.serve(number).await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (sender, request) = streamed_request(Method::POST);
    let mut response = worker.send(request).await.unwrap();
    let frame = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "early");
    let later = async {
        settle().await;
        sender.send(data("late")).await.unwrap();
        drop(sender);
    };
    let (rest, ()) = tokio::join!(read(response), later);
    assert_eq!(rest.unwrap(), "done");
    assert_eq!(worker.text("/").await, "0.0", "both are complete, so the connection is reused");
}

#[tokio::test]
async fn an_early_response_that_ends_before_the_upload_closes_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.read_head().await;
        peer.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        assert!(peer.is_closed().await);
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (sender, request) = streamed_request(Method::POST);
    let response = worker.send(request).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(read(response).await.unwrap(), "big");
    assert_eq!(worker.shared.open(0), 0);
    assert!(sender.is_closed());
    assert_eq!(worker.text("/").await, "1.0");
}

#[tokio::test]
async fn an_early_response_is_read_although_the_vendor_closes_during_the_upload() {
    for _ in 0..20 {
        let vendor = Vendor::start(|mut peer: Peer, _| async move {
            peer.read_head().await;
            peer.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        })
        .await;
        let worker = Worker::new(settings(vendor.port));
        let body = full(vec![b'x'; 8 * 1024 * 1024]);
        let response = worker.send(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(read(response).await.unwrap(), "big");
    }
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_not_blamed_on_the_upstream() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        assert!(peer.is_closed().await);
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (sender, request) = streamed_request(Method::POST);
    sender.send(data("abc")).await.unwrap();
    let leave = async {
        settle().await;
        sender.send(Err(ClientLeft)).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(worker.send(request), leave);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::Reset, Delivery::Uncertain));
    assert!(failure.detail.starts_with("the request's body"), "{failure}");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn an_abandoned_exchange_closes_its_connection_and_reports_what_was_sent() {
    let (ended, mut end) = mpsc::channel(1);
    let vendor = Vendor::start(move |mut peer: Peer, _| {
        let ended = ended.clone();
        async move {
            peer.read_head().await;
            peer.write("HTTP/1.1 100 Continue\r\n\r\n").await;
            ended.send(peer.is_closed().await).await.unwrap();
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    {
        let (head, body) = split(request(Method::GET, "/", ""));
        let exchange = worker.upstreams.exchange(0, &head, body, &worker.progress);
        tokio::time::timeout(Duration::from_millis(100), exchange).await.unwrap_err();
    }
    assert_eq!(worker.progress.delivery(), Delivery::Uncertain);
    assert!(worker.progress.sent().is_some());
    assert_eq!(worker.shared.open(0), 0);
    assert_eq!(end.recv().await, Some(true));
}

#[tokio::test]
async fn a_response_body_dropped_half_way_closes_its_connection() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let mut response = worker.get("/").await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    assert_eq!(worker.shared.open(0), 1);
    drop(response);
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (0, 0));
}

#[tokio::test]
async fn take_whole_returns_a_body_only_if_all_of_it_has_arrived() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere").await;
        peer.read_head().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha").await;
        settle().await;
        peer.write("lf").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let mut response = worker.get("/").await.unwrap();
    assert_eq!(worker.shared.idle(0), 1);
    assert_eq!(response.body_mut().take_whole().unwrap(), "here");
    assert!(response.body().is_end_stream());
    let mut response = worker.get("/").await.unwrap();
    assert_eq!(response.body_mut().take_whole(), None);
    assert_eq!(read(response).await.unwrap(), "half");
}

#[tokio::test]
async fn a_fresh_connection_closed_at_once_is_a_reset_and_nothing_is_sent_twice() {
    let vendor = Vendor::start(|peer: Peer, _| async move { drop(peer) }).await;
    let worker = Worker::new(settings(vendor.port));
    let failure = worker.get("/").await.unwrap_err();
    let written = worker.progress.last_write().is_some();
    assert_eq!(failure.kind, FailureKind::Reset, "{failure}");
    assert_eq!(failure.delivery, if written { Delivery::Uncertain } else { Delivery::NotSent });
    assert_eq!(vendor.accepted(), 1, "only one connection is opened");
}

#[tokio::test]
async fn a_vendor_that_speaks_http_1_0_is_sent_http_1_0() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.read_head().await.is_some() {
            peer.write("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
                .await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..3 {
        assert_eq!(worker.text("/").await, "ok");
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn connection_close_is_obeyed_without_waiting_for_the_close() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.read_head().await;
        let body = format!("{number}");
        peer.write(&format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\n{body}"
        ))
        .await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "0");
    assert_eq!(worker.text("/").await, "1");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn futures_and_bodies_are_send() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let worker = Worker::new(settings(1));
    let (head, body) = split(request(Method::GET, "/", ""));
    drop(assert_send(worker.upstreams.exchange(0, &head, body, &worker.progress)));
    fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Upstreams<TestBody>>();
    fn assert_send_unpin<T: Send + Unpin>() {}
    assert_send_unpin::<UpstreamBody<TestBody>>();
}

#[tokio::test]
async fn a_recycled_header_map_leaves_its_allocation_and_no_headers() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    for (count, keeps_room) in [(20, true), (2_000, false), (0, false)] {
        let number = |number| HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
        let row = |it| (number(it), HeaderValue::from_static("secret"));
        let mut old: HeaderMap = (0..count).map(row).collect();
        worker.upstreams.recycle_headers(0, &mut old);
        assert!(old.is_empty());
        let response = worker.get("/").await.unwrap();
        let names: Vec<_> = response.headers().keys().collect();
        assert_eq!(names, ["content-length"]);
        assert_eq!(20 <= response.headers().capacity(), keeps_room, "{count}");
    }
}
