//! Bodies that come slowly, and failures of our own.

use super::*;

/// A body that comes byte by byte.
struct Dripping {
    clock: Clock,
    left: usize,
    pause: Duration,
    stated: bool,
    next: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Dripping {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (clock, pause) = (self.clock, self.pause);
        let next =
            self.next.get_or_insert_with(|| Box::pin(clock.sleep_until(clock.now().plus(pause))));
        if next.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.next = None;
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.stated {
            true => http_body::SizeHint::with_exact(self.left as u64),
            false => http_body::SizeHint::default(),
        }
    }
}

/// How a body comes.
#[derive(Clone, Copy)]
struct Drip {
    bytes: usize,
    seconds: u64,
    stated: bool,
    kind: &'static str,
}

const STATED: Drip = Drip { bytes: 4, seconds: 10, stated: true, kind: "text/plain" };

impl Bench {
    /// The status of a POST with such a body, and how long after its beginning.
    async fn drip(&self, drip: Drip) -> (u16, u64) {
        let body = Dripping {
            clock: self.clock,
            left: drip.bytes,
            pause: Duration::from_secs(drip.seconds),
            stated: drip.stated,
            next: None,
        };
        let request = Request::builder().method(Method::POST).uri("/vendor/things");
        let request = request.header("content-type", drip.kind);
        let mut request = request.body(IncomingBody::of(body)).unwrap();
        let peer = ClientConnection::detached(([127, 0, 0, 1], 9).into());
        let began = self.clock.now();
        let status =
            self.gateway.handle(&mut request, &mut OriginalHeads::default(), &peer).await.status();
        (status.as_u16(), self.clock.now().since(began).as_secs())
    }
}

fn single(upstream: &mut Upstream) {
    let grant = Grant::Concurrency { limit: 1 };
    upstream.allowances.push(Allowance { grant, ..window("all", 1, 1, Spread::None) });
}

/// What another call gets while such a body comes, and what becomes of its own.
async fn beside(drip: Drip) -> (u16, (u16, u64)) {
    let bench = bench("auto", &[OK], single);
    let other = async {
        bench.until(5.0).await;
        bench.call(Method::GET, &[("prefer", "wait=1")]).await.status.as_u16()
    };
    tokio::join!(other, bench.drip(drip))
}

#[tokio::test(start_paused = true)]
async fn a_small_body_of_stated_length_takes_a_slot_when_it_is_there() {
    assert_eq!(beside(STATED).await, (200, (200, 40)));
}

#[tokio::test(start_paused = true)]
async fn other_bodies_take_a_slot_and_stream() {
    for kind in ["application/grpc+proto", "Application/gRPC"] {
        assert_eq!(beside(Drip { kind, ..STATED }).await, (429, (200, 40)));
    }
    let chunked = Drip { stated: false, ..STATED };
    assert_eq!(beside(chunked).await, (429, (408, 30)), "it drips while it holds a slot");
    let large = Drip { bytes: 1025, seconds: 1, ..STATED };
    assert_eq!(beside(large).await.0, 429);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_refused_and_nothing_is_sent() {
    for drip in [Drip { bytes: 1024, seconds: 2, ..STATED }, Drip { seconds: 1_000, ..STATED }] {
        let bench = bench("auto", &[OK], single);
        assert_eq!(bench.drip(drip).await, (408, 90));
        assert_eq!(bench.sent().len(), 0);
        assert_eq!(bench.call(Method::GET, &[]).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn patience_begins_when_the_body_is_there() {
    let once_a_minute = |upstream: &mut Upstream| {
        upstream.allowances.push(window("all", 1, 60, Spread::None));
    };
    let bench = bench("auto", &[OK], once_a_minute);
    assert_eq!(bench.call(Method::GET, &[]).await.status, 200);
    // 40 s for the body, and the slot is free 20 s later.
    assert_eq!(bench.drip(STATED).await, (200, 60));
    assert_eq!(bench.sent_between(0..60), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_our_own_is_told_as_such_and_closes_nothing() {
    for kind in [FailureKind::LocalResources, FailureKind::ConnectionLimit] {
        let bench = bench("auto", &[Step::Break(0, kind, Reach::Nothing)], |upstream| {
            upstream.policy.attempts = 1;
            upstream.allowances.push(window("all", 5, 3_600, Spread::None));
        });
        for _ in 0..40 {
            let got = bench.call(Method::POST, &[]).await;
            assert_eq!(got.status, 503);
            let problem = got.problem();
            assert_eq!(problem["code"], "connections_exhausted", "{problem}");
            assert_eq!(problem["source"], "gateway");
            assert_eq!(problem["retryable"], true);
            assert_eq!(problem["outcome_unknown"], false);
        }
        assert_eq!(bench.sent().len(), 40, "nothing was charged, and nothing is held");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_connection_has_not_timed_out() {
    let bench = bench("auto", &[Step::Connect(20), Step::Silence], |upstream| {
        upstream.policy.attempt_timeout = Duration::from_secs(5);
        upstream.policy.idle_timeout = Duration::from_secs(3);
        upstream.policy.attempts = 1;
    });
    let got = bench.call(Method::POST, &[]).await;
    assert_eq!((got.status.as_u16(), got.after.as_secs()), (200, 20));
    let got = bench.call(Method::POST, &[]).await;
    assert_eq!((got.status.as_u16(), got.after.as_secs()), (504, 5));
}
