//! HTTP/2 connections of clients, served by hyper.
//!
//! | file | purpose |
//! | --- | --- |
//! | `paced` | pauses reading, so that hyper does not take many small frames for an attack |
//! | `frames`, `hpack` | let hyper reject two kinds of malformed header blocks that it overlooks |
//! | `stall` | ends a stream whose client does not read its response |

mod frames;
mod hpack;
mod paced;
mod stall;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::Join;

pub(super) use stall::StreamExecutor;

use self::frames::HeaderBlockCheck;
use self::paced::PacedReader;
use self::stall::ReadProgress;
use super::batch;
use super::body::{self, ClientBody};
use super::call::{CallBody, CallGuard, ConnectionContext, call, has_no_body};
use super::drive::Connection;
use super::handler::Handler;
use super::settings::Settings;
use super::socket::{ClientReader, ClientWriter};
use super::state::Phase;
use crate::clock::Clock;
use crate::gateway::{DrainStage, OriginalHeads};

/// hyper's limit for header lists is this many times ours, so that oversized heads are answered
/// with a problem rather than reset.
const HEADER_LIST_FACTOR: usize = 2;
/// Flow-control window of a stream: the memory a slow upload can occupy.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// Flow-control window of a connection: sixteen busy streams.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Send buffer of a stream: the memory a slow reader can occupy.
const STREAM_SEND_BYTES_MAX: usize = 64 * 1024;
/// Streams reset by the client before they were accepted (CVE-2023-44487, rapid reset).
const PENDING_RESETS_MAX: usize = 20;
/// Streams reset by hyper for errors of the client (CVE-2025-8671, MadeYouReset).
const LOCAL_RESETS_MAX: usize = 256;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn builder(settings: &Settings, clock: Clock) -> http2::Builder<StreamExecutor> {
    let list_bytes = settings.head_bytes_max.saturating_mul(HEADER_LIST_FACTOR);
    let mut builder = http2::Builder::new(StreamExecutor { clock });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_SEND_BYTES_MAX)
        .max_header_list_size(u32::try_from(list_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves the calls of one connection.
pub(super) fn connection<H: Handler>(
    reader: ClientReader,
    writer: ClientWriter,
    context: &Arc<ConnectionContext<H>>,
) -> impl Connection + use<H> {
    let worker = Arc::clone(&context.worker);
    let context = Arc::clone(context);
    let service = service_fn(move |request: Request<Incoming>| {
        let guard = CallGuard::new(Arc::clone(&context));
        let context = Arc::clone(&context);
        let mut request = request.map(ClientBody::http2);
        async move {
            batch::yield_once().await;
            body::determine_length(&mut request, context.worker.clock).await;
            let method = request.method().clone();
            let response = call(guard, &mut Ok(request), &mut OriginalHeads::default()).await;
            let progress = ReadProgress::of_this_task();
            if let Some(progress) = &progress {
                progress.allow_pause(context.state.pause_max());
            }
            Ok::<_, Infallible>(without_forbidden_body(&method, response, progress))
        }
    });
    let io = tokio::io::join(HeaderBlockCheck::new(PacedReader::new(reader)), writer);
    worker.http2.serve_connection(TokioIo::new(io), service)
}

/// Removes the body of a response that ends with its head, and the length of the body of a 204:
/// clients treat either as an error of the whole connection.
fn without_forbidden_body<H: Handler>(
    method: &Method,
    response: Response<CallBody<H>>,
    progress: Option<Arc<ReadProgress>>,
) -> Response<StreamBody<H>> {
    let status = response.status();
    let ends_with_head = has_no_body(method, status);
    let mut response = response.map(|body| StreamBody { body, ends_with_head, progress });
    if !ends_with_head {
        return response;
    }
    let length = response.body().size_hint().exact().filter(|bytes| 0 < *bytes);
    let headers = response.headers_mut();
    if status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    } else if let (Some(length), false) = (length, headers.contains_key(CONTENT_LENGTH)) {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    response
}

/// The response body of one stream.
struct StreamBody<H: Handler> {
    body: CallBody<H>,
    ends_with_head: bool,
    progress: Option<Arc<ReadProgress>>,
}

impl<H: Handler> Body for StreamBody<H> {
    type Data = Bytes;
    type Error = <H::Body as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ends_with_head {
            return Poll::Ready(None);
        }
        let Self { body, progress, .. } = &mut *self;
        // hyper polls a stream's body only once the client has made room for another frame.
        if let Some(progress) = progress {
            progress.client_reads();
        }
        let polled = Pin::new(&mut *body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => {
                if let Some(progress) = progress {
                    progress.frame_sent();
                }
            }
            // hyper sends what it was given, or reports that it cannot.
            Poll::Ready(Some(Ok(_)) | None) => body.was_sent(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.ends_with_head || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type Io = TokioIo<Join<HeaderBlockCheck<PacedReader>, ClientWriter>>;

impl<S, B> Connection for http2::Connection<Io, S, StreamExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    B::Data: Send,
{
    /// Sends GOAWAY, which lets streams in progress end. Before the drain begins a new connection
    /// is spared, so that the client can open its first stream.
    fn notify_stop(self: Pin<&mut Self>, stage: DrainStage, phase: Phase) -> bool {
        let due = stage == DrainStage::Draining || phase != Phase::New;
        if due {
            self.graceful_shutdown();
        }
        due
    }

    fn ask_to_close(self: Pin<&mut Self>) -> bool {
        self.graceful_shutdown();
        true
    }
}
