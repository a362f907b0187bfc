//! HTTP/1.1 in clear.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::vendor::{Peer, Vendor};
use super::*;
use crate::outcome::{Delivery, FailureKind};

#[tokio::test]
async fn a_connection_is_used_again() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    for number in 0..5 {
        assert_eq!(worker.text("/").await, format!("0.{number}"));
    }
    assert_eq!(vendor.accepted(), 1);
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (1, 1));
}

#[tokio::test]
async fn the_target_goes_out_byte_for_byte() {
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
async fn host_is_the_upstreams_own() {
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
async fn progress_tells_writing_and_end() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        peer.until("0\r\n\r\n").await;
        peer.ok("done").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (feed, request) = fed(Method::POST);
    assert_eq!(worker.progress.delivery(), Delivery::NotSent);
    let watch = async {
        settle().await;
        assert!(worker.progress.last_write().is_some(), "the head is out");
        assert_eq!(worker.progress.sent(), None);
        feed.send(data("abc")).await.unwrap();
        settle().await;
        assert_eq!(worker.progress.sent(), None);
        drop(feed);
    };
    let (answer, ()) = tokio::join!(worker.send(request), watch);
    assert_eq!(read(answer.unwrap()).await.unwrap(), "done");
    assert_eq!(worker.progress.sent(), worker.progress.last_write());
    assert!(worker.progress.sent().is_some());
}

#[tokio::test]
async fn a_connection_closed_at_rest_is_replaced_in_silence() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.head().await;
        peer.ok("first").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "first");
    settle().await;
    let answer = worker.send(request(Method::POST, "/", "body")).await.unwrap();
    assert_eq!(read(answer).await.unwrap(), "1.0");
    assert_eq!(vendor.heads().len(), 2, "the post went out once");
}

#[tokio::test]
async fn words_at_rest_close_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.head().await;
        peer.ok("first").await;
        settle().await;
        peer.ok("for nobody").await;
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
async fn words_after_an_answer_close_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n").await;
        peer.say(&format!("content-length: 3\r\n\r\nx{number}x")).await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "ok");
    assert_eq!(worker.text("/").await, "ok");
    assert_eq!(vendor.accepted(), 2);
    assert_eq!(worker.shared.idle(0), 0);
}

/// How an exchange breaks when the vendor does this to it after the head of a POST with a body.
async fn broken_by(answer: &'static str, reset: bool) -> Result<Failure, Failure> {
    let vendor = Vendor::start(move |mut peer: Peer, _| async move {
        peer.head().await;
        peer.body(4).await;
        peer.say(answer).await;
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
        Ok(answer) => Err(read(answer).await.expect_err("the answer is whole")),
    };
    settle().await;
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (0, 0), "{broken:?}");
    broken
}

#[tokio::test]
async fn every_way_to_break_before_the_head_has_its_kind() {
    use FailureKind::{Protocol, Reset, Truncated};
    let cases = [
        ("", false, Reset),
        ("", true, Reset),
        ("HTTP/1.1 200", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-", false, Truncated),
        ("HTTP/1.1 200 OK\r\ncontent-", true, Reset),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, Truncated),
        ("SSH-2.0-OpenSSH_9.2\r\n", false, Protocol),
        ("HTTP/0.9 200 OK\r\n\r\n", false, Protocol),
        ("HTTP/1.1 20 OK\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\na: b\r\n c: d\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na", false, Protocol),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\na", false, Protocol),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
            Protocol,
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, Protocol),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", false, Protocol),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false, Protocol),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", false, Protocol),
    ];
    for (answer, reset, kind) in cases {
        let failure = broken_by(answer, reset).await.expect(answer);
        assert_eq!(
            (failure.kind, failure.delivery),
            (kind, Delivery::Uncertain),
            "{answer:?}: {failure}"
        );
    }
}

#[tokio::test]
async fn every_way_to_break_after_the_head_has_its_kind() {
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
    for (answer, reset, kind) in cases {
        let failure = broken_by(answer, reset).await.expect_err(answer);
        assert_eq!(
            (failure.kind, failure.delivery),
            (kind, Delivery::Uncertain),
            "{answer:?}: {failure}"
        );
    }
}

#[tokio::test]
async fn interim_answers_are_dropped_but_not_without_end() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.head().await;
        for _ in 0..if number == 0 { 20 } else { 100_000 } {
            peer.say("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n").await;
        }
        peer.ok("at last").await;
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
async fn a_head_too_large_is_refused() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.head().await;
        let (lines, length) = if number == 0 { (257, 1) } else { (10, 8000) };
        let line = format!("x: {}\r\n", "y".repeat(length)).repeat(lines);
        peer.say(&format!("HTTP/1.1 200 OK\r\n{line}\r\n")).await;
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
async fn an_empty_line_behind_an_answer_loses_no_call() {
    for late in ["before the request", "before the answer"] {
        let vendor = Vendor::start(move |mut peer: Peer, _| async move {
            while peer.head().await.is_some() {
                if late == "before the answer" {
                    peer.say("\r\n").await;
                    settle().await;
                }
                peer.ok("ok").await;
                if late == "before the request" {
                    peer.say("\r").await;
                    settle().await;
                    peer.say("\n").await;
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
        assert_eq!(worker.shared.open(0), 1, "{late}: the connection goes on");
    }
}

#[tokio::test]
async fn answers_without_body_leave_the_connection_free() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while let Some(head) = peer.head().await {
            peer.say(match head.split(' ').nth(1).unwrap() {
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
        let answer = worker.send(request(method, path, "")).await.unwrap();
        assert_eq!(worker.shared.idle(0), 1, "{path}: free with the head");
        assert!(answer.body().is_end_stream());
        let length = answer.headers().get("content-length").cloned();
        assert_eq!(length.is_some(), path != "/204");
        assert_eq!(read(answer).await.unwrap(), "");
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_body_where_none_belongs_poisons_nobody() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 204 No Content\r\ncontent-length: 39\r\n\r\n").await;
        settle().await;
        peer.ok("poison").await;
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
async fn chunks_and_trailers_arrive_and_the_connection_is_free() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.head().await.is_some() {
            peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
            settle().await;
            peer.say("3\r\ndef\r\n0\r\nx-sum: 6\r\n\r\n").await;
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
async fn a_body_delimited_by_closing_is_whole() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    assert_eq!(worker.text("/").await, "until the end");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn a_large_body_streams_both_ways() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.head().await.is_some() {
            let body = peer.body(LENGTH).await.unwrap();
            peer.ok(&body).await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for _ in 0..2 {
        let body = full(vec![b'x'; LENGTH]);
        let answer = worker.send(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(answer.body().size_hint().exact(), Some(LENGTH as u64));
        assert_eq!(read(answer).await.unwrap().len(), LENGTH);
    }
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn request_bodies_of_unknown_length_go_out_in_chunks_with_trailers() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.head().await.is_some() {
            let body = peer.until("\r\n\r\n").await.unwrap();
            peer.ok(&body).await;
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    for method in [Method::POST, Method::GET] {
        let (feed, mut request) = fed(method);
        request.headers_mut().insert("trailer", HeaderValue::from_static("x-sum"));
        feed.send(data("abc")).await.unwrap();
        let sum = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("3"))]);
        feed.send(Ok(Frame::trailers(sum))).await.unwrap();
        drop(feed);
        let echoed = read(worker.send(request).await.unwrap()).await.unwrap();
        assert_eq!(echoed, "3\r\nabc\r\n0\r\nx-sum: 3\r\n\r\n");
    }
    assert!(vendor.heads().iter().all(|head| head.contains("transfer-encoding: chunked")));
}

#[tokio::test]
async fn an_early_answer_is_read_while_the_request_goes_on() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nearly\r\n").await;
        peer.until("late\r\n0\r\n\r\n").await.unwrap();
        peer.say("4\r\ndone\r\n0\r\n\r\n").await;
        peer.serve(number).await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (feed, request) = fed(Method::POST);
    let mut answer = worker.send(request).await.unwrap();
    let frame = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "early");
    let later = async {
        settle().await;
        feed.send(data("late")).await.unwrap();
        drop(feed);
    };
    let (rest, ()) = tokio::join!(read(answer), later);
    assert_eq!(rest.unwrap(), "done");
    assert_eq!(worker.text("/").await, "0.0", "both are complete: used again");
}

#[tokio::test]
async fn an_early_answer_that_ends_first_closes_the_connection() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        if number > 0 {
            return peer.serve(number).await;
        }
        peer.head().await;
        peer.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        assert!(peer.ended().await);
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (feed, request) = fed(Method::POST);
    let answer = worker.send(request).await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(read(answer).await.unwrap(), "big");
    assert_eq!(worker.shared.open(0), 0);
    assert!(feed.is_closed());
    assert_eq!(worker.text("/").await, "1.0");
}

#[tokio::test]
async fn an_early_answer_is_heard_though_the_vendor_hangs_up_on_the_upload() {
    for _ in 0..20 {
        let vendor = Vendor::start(|mut peer: Peer, _| async move {
            peer.head().await;
            peer.say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        })
        .await;
        let worker = Worker::new(settings(vendor.port));
        let body = full(vec![b'x'; 8 * 1024 * 1024]);
        let answer = worker.send(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(read(answer).await.unwrap(), "big");
    }
}

#[tokio::test]
async fn a_request_body_that_fails_is_not_the_upstreams_doing() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        assert!(peer.ended().await);
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let (feed, request) = fed(Method::POST);
    feed.send(data("abc")).await.unwrap();
    let leave = async {
        settle().await;
        feed.send(Err(Left)).await.unwrap();
    };
    let (outcome, ()) = tokio::join!(worker.send(request), leave);
    let failure = outcome.unwrap_err();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::Reset, Delivery::Uncertain));
    assert!(failure.detail.starts_with("the request's body"), "{failure}");
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn an_abandoned_exchange_closes_its_connection_and_knows_its_reach() {
    let (ended, mut end) = mpsc::channel(1);
    let vendor = Vendor::start(move |mut peer: Peer, _| {
        let ended = ended.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
            ended.send(peer.ended().await).await.unwrap();
        }
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    {
        let (head, body) = parted(request(Method::GET, "/", ""));
        let exchange = worker.upstreams.exchange(0, &head, body, &worker.progress);
        tokio::time::timeout(Duration::from_millis(100), exchange).await.unwrap_err();
    }
    assert_eq!(worker.progress.delivery(), Delivery::Uncertain);
    assert!(worker.progress.sent().is_some());
    assert_eq!(worker.shared.open(0), 0);
    assert_eq!(end.recv().await, Some(true));
}

#[tokio::test]
async fn a_body_dropped_half_way_closes_its_connection() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let mut answer = worker.get("/").await.unwrap();
    assert!(answer.body_mut().frame().await.unwrap().is_ok());
    assert_eq!(worker.shared.open(0), 1);
    drop(answer);
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (0, 0));
}

#[tokio::test]
async fn only_a_body_that_is_here_is_taken_whole() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere").await;
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha").await;
        settle().await;
        peer.say("lf").await;
        peer.hang().await;
    })
    .await;
    let worker = Worker::new(settings(vendor.port));
    let mut answer = worker.get("/").await.unwrap();
    assert_eq!(worker.shared.idle(0), 1);
    assert_eq!(answer.body_mut().take_whole().unwrap(), "here");
    assert!(answer.body().is_end_stream());
    let mut answer = worker.get("/").await.unwrap();
    assert_eq!(answer.body_mut().take_whole(), None);
    assert_eq!(read(answer).await.unwrap(), "half");
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_at_once_reached_nobody_or_says_maybe() {
    let vendor = Vendor::start(|peer: Peer, _| async move { drop(peer) }).await;
    let worker = Worker::new(settings(vendor.port));
    let failure = worker.get("/").await.unwrap_err();
    let written = worker.progress.last_write().is_some();
    assert_eq!(failure.kind, FailureKind::Reset, "{failure}");
    assert_eq!(failure.delivery, if written { Delivery::Uncertain } else { Delivery::NotSent });
    assert_eq!(vendor.accepted(), 1, "nothing is dialled twice");
}

#[tokio::test]
async fn an_old_vendor_is_spoken_to_in_its_version() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        while peer.head().await.is_some() {
            peer.say("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")
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
async fn closing_is_believed_and_not_awaited() {
    let vendor = Vendor::start(|mut peer: Peer, number| async move {
        peer.head().await;
        let body = format!("{number}");
        peer.say(&format!(
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
async fn futures_and_bodies_can_change_threads() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    let worker = Worker::new(settings(1));
    let (head, body) = parted(request(Method::GET, "/", ""));
    drop(sent(worker.upstreams.exchange(0, &head, body, &worker.progress)));
    fn checked<T: Send + Sync>() {}
    checked::<Upstreams<Outgoing>>();
    fn moved<T: Send + Unpin>() {}
    moved::<UpstreamBody<Outgoing>>();
}

#[tokio::test]
async fn old_headers_leave_room_for_those_of_an_answer_and_nothing_else() {
    let vendor = Vendor::start(Peer::serve).await;
    let worker = Worker::new(settings(vendor.port));
    for (count, keeps_room) in [(20, true), (2_000, false), (0, false)] {
        let number = |number| HeaderName::from_bytes(format!("x-{number}").as_bytes()).unwrap();
        let row = |it| (number(it), HeaderValue::from_static("secret"));
        let mut old: HeaderMap = (0..count).map(row).collect();
        worker.upstreams.reuse(0, &mut old);
        assert!(old.is_empty());
        let answer = worker.get("/").await.unwrap();
        let names: Vec<_> = answer.headers().keys().collect();
        assert_eq!(names, ["content-length"]);
        assert_eq!(20 <= answer.headers().capacity(), keeps_room, "{count}");
    }
}
