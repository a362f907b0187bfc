//! Whole connections, read by hyper's server and by our parsers: the same requests have to come
//! out, each with the same body. Here a difference in framing shows, which heads alone hide.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use evenkeel::http1::{ChunkedDecoder, Length, Piece, SizePadding};
use evenkeel::server::examine::RequestHeads;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::mutations;
use crate::targets::peers::{Comparison, LIMITS};
use crate::targets::{TARGETS, Target};

/// One request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    method: String,
    target: String,
    /// What its body says, or why it breaks off.
    body: Result<Vec<u8>, &'static str>,
}

/// The requests that a connection brings, and how it ends for us.
struct Connection {
    messages: Vec<Message>,
    end: String,
}

fn ours(input: &[u8]) -> Connection {
    let mut heads = RequestHeads::new(LIMITS.head_bytes, LIMITS.headers, LIMITS.target_bytes);
    let (mut received, mut messages) = (BytesMut::from(input), Vec::new());
    let end = loop {
        let head = match heads.take(&mut received) {
            Ok(Some(head)) => head,
            Ok(None) => break "Incomplete".to_owned(),
            Err(reason) => break reason,
        };
        let body = match head.body {
            Length::None | Length::Close => Ok(Vec::new()),
            Length::Exactly(bytes) => match usize::try_from(bytes) {
                Ok(bytes) if bytes <= received.len() => Ok(received.split_to(bytes).to_vec()),
                _ => Err("incomplete-body"),
            },
            Length::Chunks => chunked(&mut received),
        };
        let over = body.is_err() || !head.persists;
        let (method, target) = (head.request.method().to_string(), head.request.uri().to_string());
        messages.push(Message { method, target, body });
        if over {
            break "Closed".to_owned();
        }
    };
    Connection { messages, end }
}

fn chunked(received: &mut BytesMut) -> Result<Vec<u8>, &'static str> {
    let (mut chunks, mut body) = (ChunkedDecoder::new(SizePadding::Rejected), Vec::new());
    loop {
        match chunks.take(received) {
            Ok(Piece::Data(data)) => body.extend_from_slice(&data),
            Ok(Piece::Trailers(_)) => {}
            Ok(Piece::End) => return Ok(body),
            Ok(Piece::More) => return Err("incomplete-body"),
            Err(_) => return Err("malformed-chunks"),
        }
    }
}

async fn hypers(input: &[u8]) -> Vec<Message> {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let (mut client, server) = tokio::io::duplex(1 << 20);
    client.write_all(input).await.unwrap();
    client.shutdown().await.unwrap();
    let service = service_fn(|request: Request<Incoming>| {
        let messages = Arc::clone(&messages);
        async move {
            let (method, target) = (request.method().to_string(), request.uri().to_string());
            let body = request.into_body().collect().await;
            let body = body.map(|body| body.to_bytes().to_vec()).map_err(|_| "broken");
            messages.lock().unwrap().push(Message { method, target, body });
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = http1::Builder::new();
    builder.half_close(true).header_read_timeout(None);
    let connection = builder.serve_connection(TokioIo::new(server), service);
    // The connection is dropped where it ends, which ends the answers.
    let serve = async move { drop(connection.await) };
    let mut answers = Vec::new();
    let _ = tokio::join!(serve, client.read_to_end(&mut answers));
    std::mem::take(&mut *messages.lock().unwrap())
}

fn compare(ours: &Connection, hypers: &[Message]) -> Option<Comparison> {
    let common = ours.messages.iter().zip(hypers).take_while(|(ours, theirs)| ours == theirs);
    let common = common.count();
    let (our, their) = match (ours.messages.get(common), hypers.get(common)) {
        (None, None) => return None,
        (None, Some(_)) => (&*ours.end, "accepted"),
        (Some(_), None) => ("accepted", "rejected"),
        (Some(our), Some(their)) => match (&our.body, &their.body) {
            (Err(_), Err(_)) => return None,
            (Err(reason), Ok(_)) => (*reason, "accepted"),
            (Ok(_), Err(_)) => ("accepted", "broken-body"),
            (Ok(_), Ok(_)) => ("accepted", "differently"),
        },
    };
    Some(Comparison::named("hyper", our, their))
}

#[test]
fn every_difference_from_hyper_is_intended() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut unexplained, mut shown) = (BTreeMap::new(), BTreeSet::new());
    // Bodies in chunks follow a head of their own here.
    let head: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let [heads, _, chunks, ..] = TARGETS;
    let inputs = |target: Target| {
        (target.seeds)().into_iter().chain(mutations(&target, 3000)).collect::<Vec<_>>()
    };
    let bodies = inputs(chunks).into_iter().map(|body| [head, &body].concat());
    for input in inputs(heads).into_iter().chain(bodies) {
        // Behind a request stands another one, so that it shows where the first ends.
        let input = [&input[..], b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let hypers = runtime.block_on(hypers(&input));
        match compare(&ours(&input), &hypers).map(|it| it.explained()) {
            None => {}
            Some(Ok(row)) => shown.extend(row),
            Some(Err(line)) => drop(unexplained.entry(line).or_insert(input)),
        }
    }
    super::none_unexplained(unexplained);
    super::none_stale("hyper", &shown);
}
