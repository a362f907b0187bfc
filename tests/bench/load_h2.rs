//! The load generator for HTTP/2 with prior knowledge: a few connections with many streams each,
//! hyper on one thread. It has only the closed loop; latency is measured over HTTP/1.1.

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

use crate::error::MeasureError;
use crate::load::{LoadPlan, LoadReport, Recorder};
use crate::measure::now;

/// Streams per connection. `connections` of the plan is the total number of streams.
const STREAMS: usize = 16;

type Sender = SendRequest<Empty<Bytes>>;

pub(crate) fn run(plan: &LoadPlan) -> Result<LoadReport, MeasureError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, generate(plan))
}

async fn generate(plan: &LoadPlan) -> Result<LoadReport, MeasureError> {
    let recorder = Rc::new(RefCell::new(Recorder::empty()));
    let mut senders = Vec::new();
    for _ in 0..plan.connections.div_ceil(STREAMS) {
        senders.push(connect(plan).await?);
    }
    let start = now();
    let end = start + plan.duration;
    let streams: Vec<_> = (0..plan.connections)
        .map(|index| {
            let sender = senders[index / STREAMS].clone();
            tokio::task::spawn_local(stream(sender, plan.clone(), end, Rc::clone(&recorder)))
        })
        .collect();
    for stream in streams {
        stream.await?;
    }
    let recorder = recorder.replace(Recorder::empty());
    Ok(recorder.report(start.elapsed().min(plan.duration)))
}

async fn connect(plan: &LoadPlan) -> Result<Sender, MeasureError> {
    let stream = TcpStream::connect(plan.target).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

/// Sends one request after the other until `end`.
async fn stream(mut sender: Sender, plan: LoadPlan, end: Instant, recorder: Rc<RefCell<Recorder>>) {
    let url = format!("http://{}{}", plan.target, plan.path);
    while now() < end && !recorder.borrow().too_many_errors() {
        let started = now();
        match exchange(&mut sender, &url).await {
            Ok(status) => recorder.borrow_mut().answered(status, started.elapsed()),
            Err(_) => recorder.borrow_mut().failed(),
        }
    }
}

async fn exchange(sender: &mut Sender, url: &str) -> Result<u16, MeasureError> {
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
