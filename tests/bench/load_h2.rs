//! The load generator for HTTP/2 with prior knowledge: a few connections, many streams on each,
//! closed loop, one thread, hyper.
//!
//! Refuses an open loop; latency is measured over HTTP/1.1.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::load::{Plan, Report, Tally};
use crate::measure::now;
use crate::unmeasured::Unmeasured;

/// Streams on each connection; the plan's `connections` counts requests under way.
const STREAMS: usize = 16;

type Sender = SendRequest<Empty<Bytes>>;

/// Runs the plan.
pub(crate) fn run(plan: &Plan) -> Result<Report, Unmeasured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, generate(plan))
}

async fn generate(plan: &Plan) -> Result<Report, Unmeasured> {
    let tally = Rc::new(RefCell::new(Tally::empty()));
    let mut senders = Vec::new();
    for _ in 0..plan.connections.div_ceil(STREAMS) {
        senders.push(connect(plan).await?);
    }
    let start = now();
    let end = start + plan.span;
    let streams: Vec<_> = (0..plan.connections)
        .map(|index| {
            let sender = senders[index / STREAMS].clone();
            tokio::task::spawn_local(stream(sender, plan.clone(), end, Rc::clone(&tally)))
        })
        .collect();
    for stream in streams {
        stream.await?;
    }
    let tally = tally.replace(Tally::empty());
    Ok(tally.report(start.elapsed().min(plan.span)))
}

async fn connect(plan: &Plan) -> Result<Sender, Unmeasured> {
    let stream = TcpStream::connect(plan.target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

/// One request after the other, until the end.
async fn stream(mut sender: Sender, plan: Plan, end: Instant, tally: Rc<RefCell<Tally>>) {
    let url = format!("http://{}{}", plan.target, plan.path);
    while now() < end && !tally.borrow().hopeless() {
        let since = now();
        match exchange(&mut sender, &url).await {
            Ok(status) => tally.borrow_mut().answered(status, since.elapsed()),
            Err(_) => tally.borrow_mut().failed(),
        }
    }
}

async fn exchange(sender: &mut Sender, url: &str) -> Result<u16, Unmeasured> {
    let request = Request::get(url)
        .header("user-agent", "bench/1")
        .header("accept", "application/json")
        .header("x-request-source", "bench")
        .body(Empty::new())?;
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}
