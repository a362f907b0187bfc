//! Serves one HTTP/1.1 connection: reads a request, makes the call, writes the response, and again.
//!
//! A call is polled by the connection's own task. Between its polls the connection watches for the
//! client's disconnect, which drops the call.
//!
//! | file | purpose |
//! | --- | --- |
//! | `reader` | reads requests: heads, bodies, disconnects |
//! | `request` | parses heads |
//! | `grammar` | the syntax of single lines |
//! | `response` | writes response heads |
//! | `examine` | heads without a connection, for fuzzing and the differential test |

pub mod examine;
mod grammar;
mod reader;
mod request;
mod response;

#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use http::{Request, Response, Version};
use tokio::io::AsyncWrite;

pub(super) use reader::Http1Body;

use self::reader::{RequestReader, lock};
use self::request::{RejectedHead, RequestHead};
use self::response::ResponseContext;
use super::batch;
use super::body::ClientBody;
use super::call::{CallBody, CallGuard, ConnectionContext, call};
use super::handler::Handler;
use super::request_error::RequestError;
use super::socket::{ClientReader, ClientWriter};
use crate::gateway::OriginalHeads;
use crate::http1::{HeaderCase, MessageWriter};

/// Header maps with more capacity are not kept for the next request; most heads have fewer headers.
const SPARE_HEADERS_MAX: usize = 64;

/// Serves calls until the connection ends.
pub(super) async fn serve<H: Handler>(
    reader: ClientReader,
    writer: ClientWriter,
    context: Arc<ConnectionContext<H>>,
) {
    let reader = Arc::new(Mutex::new(RequestReader::new(reader, writer.clone())));
    let (message, request) = (MessageWriter::default(), Request::new(()));
    let interim = Vec::new();
    let mut connection = Connection { reader, writer, message, interim, request, context };
    while let Some(received) = poll_fn(|cx| connection.poll_request(cx)).await {
        if connection.answer(received).await == Next::Close {
            break;
        }
    }
    if lock(&connection.reader).is_unread() {
        connection.context.state.leave_request_unread();
    }
}

struct Connection<H: Handler> {
    reader: Arc<Mutex<RequestReader>>,
    writer: ClientWriter,
    message: MessageWriter,
    /// Interim responses of the vendor that are not written yet.
    interim: Vec<u8>,
    /// The next request is parsed into it; it reuses the header map of an earlier message.
    request: Request<()>,
    context: Arc<ConnectionContext<H>>,
}

struct ReceivedRequest {
    head: RequestHead,
    original: OriginalHeads,
    body: Result<ClientBody, RequestError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    KeepAlive,
    Close,
}

impl<H: Handler> Connection<H> {
    /// The next request; `None` when the connection is over.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReceivedRequest>> {
        let state = &self.context.state;
        let mut reader = lock(&self.reader);
        loop {
            match reader.take_head(&mut self.request, self.context.worker.limits) {
                Ok(Some(head)) => {
                    state.set_reading_head(false);
                    let request = Some(reader.take_original_head());
                    let original = OriginalHeads { request, answer: None };
                    let body = reader.begin_body(&head, &self.reader);
                    let body = Ok(body.map_or_else(ClientBody::none, ClientBody::http1));
                    return Poll::Ready(Some(ReceivedRequest { head, original, body }));
                }
                Ok(None) => {}
                Err(RejectedHead { error, head }) => {
                    let (original, body) = (OriginalHeads::default(), Err(error));
                    return Poll::Ready(Some(ReceivedRequest { head, original, body }));
                }
            }
            let is_idle = reader.is_between_requests();
            if state.is_closing() && is_idle {
                return Poll::Ready(None);
            }
            state.set_reading_head(!is_idle);
            match ready!(reader.poll_read_head(cx)) {
                Ok(bytes) if bytes > 0 => {}
                Ok(_) | Err(_) => return Poll::Ready(None),
            }
        }
    }

    async fn answer(&mut self, received: ReceivedRequest) -> Next {
        let ReceivedRequest { head, mut original, body } = received;
        let guard = CallGuard::new(Arc::clone(&self.context));
        let mut request = body.map(|body| std::mem::take(&mut self.request).map(|()| body));
        let answered = {
            let mut call = pin!(call(guard, &mut request, &mut original));
            // The call writes to its upstream as soon as it is polled.
            batch::yield_once().await;
            poll_fn(|cx| self.poll_call(call.as_mut(), head.version, cx)).await
        };
        let Some(mut response) = answered else { return Next::Close };
        batch::yield_once().await;
        let case = HeaderCase { received: original.answer, configured: None };
        let mut begin = |cx: &mut Context<'_>| self.begin_response(&mut response, &head, &case, cx);
        let keep_alive = poll_fn(|cx| Poll::Ready(begin(cx))).await;
        let sent = poll_fn(|cx| {
            let body = Some(response.body_mut());
            match self.message.poll(&mut self.writer, body, cx, || ()) {
                Poll::Ready(sent) => Poll::Ready(sent.is_ok()),
                Poll::Pending => lock(&self.reader).poll_disconnected(cx).map(|()| false),
            }
        });
        let sent = sent.await;
        if sent {
            response.body_mut().was_sent();
        }
        // The header map is reused for the next request, which saves its allocation.
        let headers = response.headers_mut();
        if headers.capacity() <= SPARE_HEADERS_MAX {
            headers.clear();
            std::mem::swap(self.request.headers_mut(), headers);
        }
        // Ends the call: the unread rest of its body may be discarded from now on.
        drop(response);
        let reusable = keep_alive && sent;
        let complete = |cx: &mut Context<'_>| reusable && lock(&self.reader).discard_body(cx);
        if poll_fn(|cx| Poll::Ready(complete(cx))).await { Next::KeepAlive } else { Next::Close }
    }

    /// Polls the call; `None` when the client disconnects.
    fn poll_call<F, T>(
        &mut self,
        call: Pin<&mut F>,
        version: Version,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>>
    where
        F: Future<Output = T>,
    {
        let polled = call.poll(cx);
        let interim = self.context.peer.take_interim();
        if version == Version::HTTP_11 {
            interim.iter().for_each(|it| response::write_interim(&mut self.interim, it));
        }
        if let Poll::Ready(response) = polled {
            return Poll::Ready(Some(response));
        }
        let mut reader = lock(&self.reader);
        // Interim responses are written as far as the socket takes them; the rest goes out with the
        // final response. A client that expects `100 Continue` is sent that first.
        while !self.interim.is_empty()
            && !reader.owes_continue()
            && let Poll::Ready(Ok(bytes @ 1..)) =
                Pin::new(&mut self.writer).poll_write(cx, &self.interim)
        {
            self.interim.drain(..bytes);
        }
        reader.poll_disconnected(cx).map(|()| None)
    }

    /// Begins a response with its head; returns whether the connection can be kept behind it.
    fn begin_response(
        &mut self,
        response: &mut Response<CallBody<H>>,
        request: &RequestHead,
        case: &HeaderCase,
        cx: &mut Context<'_>,
    ) -> bool {
        let worker = &self.context.worker;
        let mut reader = lock(&self.reader);
        let is_body_dropped = Arc::strong_count(&self.reader) == 1;
        let completes =
            if is_body_dropped { reader.discard_body(cx) } else { reader.may_complete_body() };
        let stopping = self.context.state.is_closing() || worker.drain.is_announced();
        let mut keep_alive = request.keep_alive && completes && !stopping;
        let rest_of_continue = reader.cancel_continue();
        drop(reader);
        let interim = std::mem::take(&mut self.interim);
        self.message.begin(|out| {
            out.extend_from_slice(rest_of_continue);
            out.extend_from_slice(&interim);
            let context = ResponseContext { request, case, keep_alive: &mut keep_alive };
            response::write_head(out, response, context, || worker.clock.wall())
        });
        self.message.allow_trailers(request.accepts_trailers);
        keep_alive
    }
}
