//! One HTTP/1.1 connection of a client: a head in, a call, its answer out, and again.
//!
//! What it takes from a client has one reading, and what has two is refused, so that nobody behind
//! it reads another. The call is polled by the connection's own task, and between its polls the
//! connection is watched for a client that leaves, in whatever state: its call is dropped.
//! Refuses to decide what is answered.
//!
//! | file | purpose |
//! | --- | --- |
//! | `request` | a head out of its bytes |
//! | `rules` | what its lines may look like |
//! | `offence` | what is refused of it, and how that is told |
//! | `response` | a head into bytes |
//! | `inbound` | what the client sends: heads, and the body of the call under way |

pub mod examine;
mod inbound;
mod offence;
mod request;
mod response;
mod rules;

#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, Version};
use tokio::io::AsyncWrite;

pub(super) use inbound::RequestFlow;
pub(super) use response::has_no_body;

use self::inbound::{Inbound, Watched};
use self::request::{Head, Offending};
use super::body::ClientBody;
use super::connection::{Flight, Line, Tracked, call};
use super::handler::{Handler, Refused};
use super::stream::{ClientStream, ClientWriter};
use super::turn;
use crate::gateway::OriginalHeads;
use crate::http1::{HeaderCase, MessageWriter};

/// Headers that an idle connection has room for: most heads have fewer.
const SPARE_HEADERS_MAX: usize = 64;

/// Serves calls until the connection ends.
pub(super) async fn serve<H: Handler>(stream: ClientStream, line: Arc<Line<H>>) {
    let writer = stream.writer();
    let inbound = Arc::new(Mutex::new(Inbound::new(stream)));
    let (outgoing, request) = (MessageWriter::default(), Request::new(()));
    let interim = Vec::new();
    let mut connection = Connection { inbound, writer, outgoing, interim, request, line };
    while let Some(arrived) = connection.next_request().await {
        if connection.answer(arrived).await == Next::Close {
            break;
        }
    }
    if lock(&connection.inbound).is_cut_off() {
        connection.line.wire.leaves_unread();
    }
}

struct Connection<H: Handler> {
    inbound: Arc<Mutex<Inbound>>,
    writer: ClientWriter,
    outgoing: MessageWriter,
    /// What the vendor said before its answer, and the client has not taken yet.
    interim: Vec<u8>,
    /// Where the next request is put together; its map of headers is an old one, with room.
    request: Request<()>,
    line: Arc<Line<H>>,
}

/// What a head says about the exchange, and what follows it, or what is wrong with it.
struct Arrived {
    head: Head,
    heads: OriginalHeads,
    body: Result<ClientBody, Refused>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another request may come.
    Keep,
    Close,
}

impl<H: Handler> Connection<H> {
    /// The next request; `None` when the connection is over.
    async fn next_request(&mut self) -> Option<Arrived> {
        poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arrived>> {
        let mut inbound = lock(&self.inbound);
        loop {
            match inbound.take_head(&mut self.request, self.line.worker.bounds) {
                Ok(Some(head)) => {
                    self.line.wire.reads_head(false);
                    let heads =
                        OriginalHeads { request: Some(inbound.take_original_head()), answer: None };
                    let flow = inbound.expect_body(&head, &self.inbound);
                    let body = Ok(flow.map_or_else(ClientBody::none, ClientBody::http1));
                    return Poll::Ready(Some(Arrived { head, heads, body }));
                }
                Ok(None) => {}
                Err(Offending { offence, head }) => {
                    inbound.refuse();
                    let (heads, body) = (OriginalHeads::default(), Err(offence.refused()));
                    return Poll::Ready(Some(Arrived { head, heads, body }));
                }
            }
            let between = inbound.is_between_messages();
            if self.line.wire.is_closing() && between {
                return Poll::Ready(None);
            }
            self.line.wire.reads_head(!between);
            match std::task::ready!(inbound.poll_read_head(cx)) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return Poll::Ready(None),
            }
        }
    }

    /// Answers one request.
    async fn answer(&mut self, Arrived { head, mut heads, body }: Arrived) -> Next {
        let flight = Flight::new(Arc::clone(&self.line));
        let mut request = body.map(|body| std::mem::take(&mut self.request).map(|()| body));
        let answered = {
            let mut call = pin!(call(flight, &mut request, &mut heads));
            // The call writes to its upstream as soon as it runs.
            turn::behind_the_others().await;
            poll_fn(|cx| self.poll_call(call.as_mut(), &head, cx)).await
        };
        let Some(mut response) = answered else { return Next::Close };
        turn::behind_the_others().await;
        let received = heads.answer;
        let spelling = HeaderCase { received, configured: None };
        let to = (&head, &spelling);
        let mut begin = |cx: &mut Context<'_>| self.begin_response(&mut response, to, cx);
        let keeps = poll_fn(|cx| Poll::Ready(begin(cx))).await;
        let sent = poll_fn(|cx| self.poll_response(&mut response, cx)).await;
        if sent {
            response.body_mut().was_sent();
        }
        self.reuse(response.headers_mut());
        // The end of its body is the end of the call, and what follows belongs to the next.
        drop(response);
        let goes_on = keeps && sent;
        let over = poll_fn(|cx| Poll::Ready(goes_on && lock(&self.inbound).finish_body(cx))).await;
        if over { Next::Keep } else { Next::Close }
    }

    /// Keeps the map of `headers` for those of the next request, unless it is large.
    fn reuse(&mut self, headers: &mut HeaderMap) {
        if headers.capacity() <= SPARE_HEADERS_MAX {
            headers.clear();
            std::mem::swap(self.request.headers_mut(), headers);
        }
    }

    /// Polls the call, and sees whether its client still waits.
    fn poll_call<F, T>(
        &mut self,
        call: Pin<&mut F>,
        head: &Head,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>>
    where
        F: Future<Output = T>,
    {
        let polled = call.poll(cx);
        let interim = self.line.peer.take_interim();
        if !interim.is_empty() && head.version == Version::HTTP_11 {
            interim.iter().for_each(|it| response::write_interim(&mut self.interim, it));
        }
        if let Poll::Ready(response) = polled {
            return Poll::Ready(Some(response));
        }
        if !self.interim.is_empty() {
            self.send_interim(cx);
        }
        match lock(&self.inbound).watch(cx) {
            Watched::Waits => Poll::Pending,
            Watched::Left => Poll::Ready(None),
        }
    }

    /// Writes what the vendor said before its answer, as far as the client takes it now; the rest
    /// goes out with the answer. A client that waits for `100 Continue` is told that first.
    #[cold]
    fn send_interim(&mut self, cx: &mut Context<'_>) {
        if lock(&self.inbound).owes_continue() {
            return;
        }
        while let Poll::Ready(Ok(bytes)) = Pin::new(&mut self.writer).poll_write(cx, &self.interim)
        {
            self.interim.drain(..bytes);
            if self.interim.is_empty() || bytes == 0 {
                return;
            }
        }
    }

    /// Writes the head of an answer; whether the connection may go on behind it.
    fn begin_response(
        &mut self,
        response: &mut Response<Tracked<H>>,
        (head, spelling): (&Head, &HeaderCase),
        cx: &mut Context<'_>,
    ) -> bool {
        let mut inbound = lock(&self.inbound);
        let nobody_reads = Arc::strong_count(&self.inbound) == 1;
        let ends = if nobody_reads { inbound.finish_body(cx) } else { inbound.may_finish_body() };
        let stops = self.line.wire.is_closing() || self.line.worker.drain.is_announced();
        let mut keeps = head.persists && ends && !stops;
        let half_said = inbound.forget_expectation();
        drop(inbound);
        let clock = self.line.worker.clock;
        let interim = std::mem::take(&mut self.interim);
        self.outgoing.begin(|out| {
            out.extend_from_slice(half_said);
            out.extend_from_slice(&interim);
            response::write(out, response, (head, spelling), &mut keeps, || clock.wall())
        });
        self.outgoing.allow_trailers(head.takes_trailers);
        keeps
    }

    /// Writes what can be written; whether all of it went out.
    fn poll_response(
        &mut self,
        response: &mut Response<Tracked<H>>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        let body = Some(response.body_mut());
        match self.outgoing.poll(&mut self.writer, body, cx, || ()) {
            Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
            Poll::Pending => match lock(&self.inbound).watch(cx) {
                Watched::Waits => Poll::Pending,
                Watched::Left => Poll::Ready(false),
            },
        }
    }
}

fn lock(inbound: &Mutex<Inbound>) -> MutexGuard<'_, Inbound> {
    inbound.lock().unwrap_or_else(PoisonError::into_inner)
}
