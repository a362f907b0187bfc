//! HTTP/2: which streams are opened, when a request counts as sent, and connections that fall
//! silent.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::http2::{DATA, Frames, HEADERS, NO_ERROR, PING, REFUSED_STREAM, RST_STREAM, h2};
use super::vendor::{Peer, Vendor};
use super::*;
use crate::outcome::{Delivery, FailureKind};

const LONG: Duration = Duration::from_secs(4);

async fn pause(millis: u64) {
    let clock = Clock::start();
    clock.sleep_until(clock.now().plus(Duration::from_millis(millis))).await;
}

/// Counts open streams.
#[derive(Default)]
struct OpenStreams {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl OpenStreams {
    fn begin(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
    }

    fn end(&self) {
        self.now.fetch_sub(1, SeqCst);
    }
}

/// Accepts every stream and responds to each after `delay` milliseconds.
async fn respond_slowly(mut frames: Frames, open: Arc<OpenStreams>, delay: u64) {
    let mut pending = std::collections::VecDeque::new();
    let clock = Clock::start();
    loop {
        let due = pending.front().map_or(clock.now().plus(LONG), |(_, due)| *due);
        tokio::select! {
            biased;
            () = clock.sleep_until(due) => if let Some((stream, _)) = pending.pop_front() {
                open.end();
                frames.respond(stream, b"ok").await;
            },
            head = frames.until(HEADERS) => match head {
                Some(head) => {
                    open.begin();
                    let due = clock.now().plus(Duration::from_millis(delay));
                    pending.push_back((head.stream, due));
                }
                None => return,
            },
        }
    }
}

#[tokio::test]
async fn a_request_counts_as_sent_only_after_the_upstreams_settings() {
    let early = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&early);
    let vendor = Vendor::start(move |peer: Peer, number| {
        let count = Arc::clone(&count);
        async move {
            let mut frames = Frames::read_preface(peer).await;
            let late = pause(300);
            tokio::pin!(late);
            loop {
                tokio::select! {
                    () = &mut late => break,
                    head = frames.until(HEADERS) => if head.is_some() {
                        count.fetch_add(1, SeqCst);
                    },
                }
            }
            frames.settings(Some(10)).await;
            frames.serve(number).await;
        }
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let began = worker.clock.now();
    let calls = [worker.get_for(LONG), worker.get_for(LONG), worker.get_for(LONG)];
    let [one, two, three] = calls;
    let (one, two, three) = tokio::join!(one, two, three);
    for (outcome, progress) in [one, two, three] {
        assert!(outcome.unwrap().is_ok());
        let sent = progress.sent().expect("the request was sent");
        let after = sent.since(began);
        assert!(after >= Duration::from_millis(250), "reported as sent after {after:?}");
    }
    assert!(early.load(SeqCst) <= 1, "at most one stream before the upstream's SETTINGS");
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_call_that_waits_for_a_stream_does_not_count_as_sent() {
    let open = Arc::new(OpenStreams::default());
    let seen = Arc::clone(&open);
    let vendor = Vendor::start(move |peer: Peer, _| {
        let seen = Arc::clone(&seen);
        async move { respond_slowly(Frames::accept(peer, Some(2)).await, seen, 300).await }
    })
    .await;
    let worker = Worker::new(Settings { connections_max: 1, ..h2(vendor.port) });
    let short = Duration::from_millis(150);
    let (one, two, three, four) = tokio::join!(
        worker.get_for(LONG),
        worker.get_for(LONG),
        worker.get_for(short),
        worker.get_for(short),
    );
    assert!(one.0.unwrap().is_ok() && two.0.unwrap().is_ok());
    for (outcome, progress) in [three, four] {
        assert!(outcome.is_none());
        let seen = (progress.delivery(), progress.last_write(), progress.sent());
        assert_eq!(seen, (Delivery::NotSent, None, None), "only two streams were granted");
    }
    assert_eq!(open.most.load(SeqCst), 2);
}

#[tokio::test]
async fn a_stream_limit_that_is_lowered_later_is_obeyed() {
    let open = Arc::new(OpenStreams::default());
    let seen = Arc::clone(&open);
    let vendor = Vendor::start(move |peer: Peer, _| {
        let seen = Arc::clone(&seen);
        async move {
            let mut frames = Frames::accept(peer, Some(10)).await;
            let first = frames.until(HEADERS).await.unwrap().stream;
            frames.settings(Some(1)).await;
            frames.respond(first, b"ok").await;
            respond_slowly(frames, seen, 30).await;
        }
    })
    .await;
    let worker = Worker::new(Settings { connections_max: 1, ..h2(vendor.port) });
    assert_eq!(worker.text("/").await, "ok");
    settle().await;
    let calls = tokio::join!(worker.text("/"), worker.text("/"), worker.text("/"));
    assert_eq!(calls, ["ok"; 3].map(String::from).into());
    assert_eq!(open.most.load(SeqCst), 1);
}

#[tokio::test]
async fn if_no_stream_is_granted_nothing_is_sent_and_no_other_connection_is_opened() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, Some(0)).await;
        let head = frames.until(HEADERS).await;
        assert_eq!(head, None, "a stream that was not granted");
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let ((one, progress), (two, _)) = tokio::join!(worker.get_for(LONG), worker.get_for(LONG));
    for outcome in [one, two] {
        let failure = outcome.expect("the exchange gives up").unwrap_err();
        let seen = (failure.kind, failure.delivery);
        assert_eq!(seen, (FailureKind::ConnectTimeout, Delivery::NotSent), "{failure}");
    }
    assert_eq!(progress.delivery(), Delivery::NotSent);
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn streams_granted_later_serve_the_calls_that_wait() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, Some(0)).await;
        pause(100).await;
        frames.settings(Some(5)).await;
        frames.serve(number).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let calls = tokio::join!(worker.text("/"), worker.text("/"), worker.text("/"));
    assert_eq!(calls, ["0"; 3].map(String::from).into());
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn nothing_is_sent_to_an_upstream_that_never_sends_settings() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::read_preface(peer).await;
        tokio::time::pause();
        assert_eq!(frames.until(HEADERS).await, None, "a request before the SETTINGS");
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let (outcome, progress) = worker.get_for(Duration::from_secs(60)).await;
    let failure = outcome.expect("the exchange gives up").unwrap_err();
    let seen = (failure.kind, failure.delivery);
    assert_eq!(seen, (FailureKind::ConnectTimeout, Delivery::NotSent), "{failure}");
    settle().await;
    assert_eq!((progress.delivery(), worker.shared.open(0)), (Delivery::NotSent, 0));
}

#[tokio::test]
async fn nothing_is_sent_to_an_upstream_that_answers_in_http1() {
    let vendor = Vendor::start(|mut peer: Peer, _| async move {
        peer.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        peer.is_closed().await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let (outcome, progress) = worker.get_for(LONG).await;
    let failure = outcome.expect("the exchange gives up").unwrap_err();
    assert_eq!(
        (failure.delivery, progress.delivery()),
        (Delivery::NotSent, Delivery::NotSent),
        "{failure}"
    );
}

#[tokio::test]
async fn a_goaway_lets_open_streams_end_and_moves_new_calls_to_another_connection() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, None).await;
        if number > 0 {
            return frames.serve(number).await;
        }
        let first = frames.until(HEADERS).await.unwrap().stream;
        let second = frames.until(HEADERS).await.unwrap().stream;
        frames.go_away(first, NO_ERROR).await;
        pause(100).await;
        assert_eq!((first, second), (1, 3));
        frames.respond(first, b"late").await;
        frames.until(HEADERS).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let ((one, _), (two, _), third) =
        tokio::join!(worker.get_for(LONG), worker.get_for(LONG), async {
            pause(50).await;
            worker.text("/").await
        });
    assert_eq!(read(one.unwrap().unwrap()).await.unwrap(), "late");
    let failure = two.unwrap().unwrap_err();
    let seen = (failure.kind, failure.delivery);
    assert_eq!(seen, (FailureKind::RefusedStream, Delivery::Refused), "{failure}");
    assert_eq!(third, "1");
}

#[tokio::test]
async fn a_refused_stream_leaves_its_connection_in_use() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, None).await;
        let stream = frames.until(HEADERS).await.unwrap().stream;
        frames.reset(stream, REFUSED_STREAM).await;
        frames.serve(number).await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let failure = worker.get("/").await.unwrap_err();
    assert_eq!(failure.delivery, Delivery::Refused, "{failure}");
    assert_eq!(worker.text("/").await, "0");
}

#[tokio::test]
async fn a_response_cut_short_after_a_goaway_is_an_error() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        let stream = frames.until(HEADERS).await.unwrap().stream;
        frames.send(HEADERS, 4, stream, &[0x88]).await;
        frames.send(DATA, 0, stream, b"half").await;
        frames.go_away(stream, NO_ERROR).await;
        settle().await;
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    assert!(read(worker.get("/").await.unwrap()).await.is_err(), "the response is not complete");
}

/// Responds to the first stream of the first connection, and then only reads. Other connections
/// serve.
async fn silent_after_one(peer: Peer, number: usize) {
    let mut frames = Frames::accept(peer, None).await;
    if number > 0 {
        return frames.serve(number).await;
    }
    let first = frames.until(HEADERS).await.unwrap().stream;
    frames.respond(first, b"0").await;
    while frames.next().await.is_some() {}
}

#[tokio::test]
async fn after_an_exchange_abandoned_in_silence_the_next_uses_another_connection() {
    let vendor = Vendor::start(silent_after_one).await;
    let worker = Worker::new(h2(vendor.port));
    assert_eq!(worker.text("/").await, "0");
    pause(10).await;
    let (outcome, progress) = worker.get_for(Duration::from_millis(1_100)).await;
    assert!(outcome.is_none());
    assert_eq!(progress.delivery(), Delivery::Uncertain);
    assert_eq!(worker.text("/").await, "1");
    assert_eq!(worker.text("/").await, "1");
    assert_eq!(vendor.accepted(), 2);
}

#[tokio::test]
async fn a_suspect_connection_that_answers_its_ping_is_used_again() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, None).await;
        let slow = frames.until(HEADERS).await.unwrap().stream;
        loop {
            let Some(frame) = frames.next().await else { return };
            match frame.kind {
                PING if frame.payload != [0; 8] => frames.pong(&frame).await,
                HEADERS if frame.stream != slow => {
                    frames.respond(frame.stream, number.to_string().as_bytes()).await;
                }
                _ => {}
            }
        }
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let (outcome, _) = worker.get_for(Duration::from_millis(1_100)).await;
    assert!(outcome.is_none());
    pause(100).await;
    assert_eq!(worker.text("/").await, "0");
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_slow_response_beside_quick_ones_does_not_make_the_connection_suspect() {
    let vendor = Vendor::start(|peer: Peer, number| async move {
        let mut frames = Frames::accept(peer, None).await;
        let _slow = frames.until(HEADERS).await;
        while let Some(frame) = frames.next().await {
            assert_ne!(frame.kind, PING, "no PING is needed");
            if frame.kind == HEADERS {
                frames.respond(frame.stream, number.to_string().as_bytes()).await;
            }
        }
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let others = async {
        for _ in 0..6 {
            pause(200).await;
            assert_eq!(worker.text("/").await, "0");
        }
    };
    let (slow, ()) = tokio::join!(worker.get_for(Duration::from_millis(1_100)), others);
    assert!(slow.0.is_none());
    assert_eq!(worker.text("/").await, "0");
    assert_eq!(vendor.accepted(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_pinged_and_then_closed() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        frames.until(HEADERS).await.unwrap();
        tokio::time::pause();
        while frames.next().await.is_some() {}
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let began = worker.clock.now();
    let (outcome, progress) = worker.get_for(Duration::from_secs(60)).await;
    let failure = outcome.expect("the exchange ends").unwrap_err();
    assert_eq!(
        (failure.kind, failure.delivery),
        (FailureKind::Reset, Delivery::Uncertain),
        "{failure}"
    );
    assert!(progress.sent().is_some());
    let took = worker.clock.now().since(began);
    assert!(took < Duration::from_secs(20), "{took:?}");
    settle().await;
    assert_eq!(worker.shared.open(0), 0);
}

#[tokio::test]
async fn an_abandoned_stream_does_not_keep_its_connection_open() {
    let vendor = Vendor::start(|peer: Peer, _| async move {
        let mut frames = Frames::accept(peer, None).await;
        while frames.until(RST_STREAM).await.is_some() {}
    })
    .await;
    let worker = Worker::new(h2(vendor.port));
    let (outcome, _) = worker.get_for(Duration::from_millis(50)).await;
    assert!(outcome.is_none());
    settle().await;
    assert_eq!((worker.shared.open(0), worker.shared.idle(0)), (1, 1));
    worker.upstreams.sweep(worker.clock.now().plus(Duration::from_secs(61)));
    settle().await;
    assert_eq!(worker.shared.open(0), 0);
}
