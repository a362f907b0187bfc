//! Request bodies that come slowly, in pieces or not to their end: what they hold, and how long.

use super::*;
use crate::gateway::body::ClientBodyError;

/// A body whose pieces come so many milliseconds after one another; then it ends or breaks off.
struct Dripping {
    clock: Clock,
    piece: Bytes,
    every: Duration,
    pieces: usize,
    breaks: bool,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Dripping {
    fn new(clock: Clock, piece: &'static [u8], every: u64, pieces: usize) -> Self {
        let every = Duration::from_millis(every);
        let piece = Bytes::from_static(piece);
        Self { clock, piece, every, pieces, breaks: false, timer: None }
    }
}

impl Body for Dripping {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let this = &mut *self;
        let next = this.clock.now().plus(this.every);
        let timer = this.timer.get_or_insert_with(|| Box::pin(this.clock.sleep_until(next)));
        std::task::ready!(timer.as_mut().poll(context));
        this.timer = None;
        if this.pieces == 0 {
            return Poll::Ready(this.breaks.then_some(Err(ClientBodyError)));
        }
        this.pieces -= 1;
        Poll::Ready(Some(Ok(Frame::data(this.piece.clone()))))
    }
}

/// A vendor that takes a piece of the body every so often, and answers behind the last one.
#[derive(Debug)]
struct Taking {
    clock: Clock,
    every: Duration,
}

impl Exchange<RequestBody> for Taking {
    type Body = ScriptBody;

    async fn exchange(
        &self,
        _upstream: usize,
        _head: &RequestHead,
        mut body: RequestBody,
        progress: &Progress,
    ) -> Result<Response<ScriptBody>, Failure> {
        while let Some(frame) = body.frame().await {
            let broke = |_| Failure::new(FailureKind::Reset, Reach::Maybe, "the client broke off");
            frame.map_err(broke)?;
            progress.wrote(self.clock.now());
            self.clock.sleep_until(self.clock.now().plus(self.every)).await;
        }
        progress.finished(self.clock.now());
        Ok(Response::new(ScriptBody::whole("taken")))
    }

    fn reuse(&self, _upstream: usize, headers: &mut HeaderMap) {
        headers.clear();
    }
}

fn single(upstream: &mut Upstream) {
    let grant = Grant::Concurrency { limit: 1 };
    upstream.allowances.push(Allowance { grant, ..window("all", 1, 1, Spread::None) });
}

async fn upload<E: Exchange<RequestBody, Body = ScriptBody>>(
    gateway: &Gateway<E>,
    clock: Clock,
    headers: &[(&'static str, &'static str)],
    body: Dripping,
) -> (StatusCode, Value, Duration) {
    let mut request = Request::post("/vendor/things");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(IncomingBody::of(body)).unwrap();
    let began = clock.now();
    let peer = ClientConnection::detached(([127, 0, 0, 1], 9).into());
    let response = gateway.handle(&mut request, &mut OriginalHeads::default(), &peer).await;
    let (head, body) = response.into_parts();
    let after = clock.now().since(began);
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, serde_json::from_slice(&body).unwrap_or_default(), after)
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_whose_body_breaks_off_gives_up_its_place_at_once() {
    let bench = bench("auto", &[Step::Answer(20_000, 200, &[], "fine"), OK], single);
    let first = bench.call(Method::GET, &[]);
    let second = async {
        bench.until(1.0).await;
        let body = Dripping { breaks: true, ..Dripping::new(bench.clock, b"half", 1_000, 2) };
        upload(&bench.gateway, bench.clock, &[], body).await
    };
    let (first, (status, problem, after)) = tokio::join!(first, second);
    assert_eq!(first.status, 200);
    assert_eq!((status.as_u16(), &problem["source"]), (400, &"client".into()), "{problem}");
    assert_eq!(after.as_secs(), 3, "as soon as it broke off");
    assert_eq!((&problem["attempts"], bench.sent().len()), (&0.into(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_does_not_keep_its_place() {
    // A byte every five seconds; 500 bytes a second; a pause of 29 s behind every 20 KiB.
    let rows: [(&[u8], u64); 3] = [(b"x", 5_000), (&[b'x'; 50], 100), (&[b'x'; 20_480], 29_000)];
    for (piece, every) in rows {
        let bench = bench("auto", &[OK], single);
        let body = Dripping::new(bench.clock, piece, every, usize::MAX);
        let (status, problem, after) = upload(&bench.gateway, bench.clock, &[], body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (408, &"request_timeout".into()));
        assert_eq!(
            (&problem["source"], &problem["outcome_unknown"]),
            (&"client".into(), &false.into())
        );
        assert!((30..=60).contains(&after.as_secs()), "{every}: after {after:?}");
        let text = bench.metrics.render(&[]);
        assert!(
            !text.contains("attempts_total{upstream=\"vendor\",outcome=\"idle_timeout\""),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_at_the_least_rate_passes() {
    let clock = Clock::start();
    let gateway = before(Taking { clock, every: Duration::ZERO }, clock, single);
    // 1,100 bytes a second for two minutes.
    let body = Dripping::new(clock, &[b'x'; 1_100], 1_000, 120);
    let (status, problem, after) = upload(&gateway, clock, &[], body).await;
    assert_eq!((status.as_u16(), after.as_secs()), (200, 121), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_takes_the_body_slowly_is_not_the_clients_fault() {
    let clock = Clock::start();
    let every = Duration::from_secs(20);
    let gateway = before(Taking { clock, every }, clock, single);
    let body = Dripping::new(clock, &[b'x'; 5_000], 0, 12);
    let (status, problem, after) = upload(&gateway, clock, &[], body).await;
    assert_eq!((status.as_u16(), after.as_secs()), (200, 240), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_may_drip() {
    let clock = Clock::start();
    let gateway = before(Taking { clock, every: Duration::ZERO }, clock, single);
    for kind in ["application/grpc+proto", "Text/Event-Stream; charset=utf-8"] {
        let body = Dripping::new(clock, b"event", 5_000, 30);
        let (status, problem, _) = upload(&gateway, clock, &[("content-type", kind)], body).await;
        assert_eq!(status.as_u16(), 200, "{kind}: {problem}");
    }
}
