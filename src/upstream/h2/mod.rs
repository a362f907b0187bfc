//! One HTTP/2 connection, which many exchanges share.
//!
//! Built on the h2 crate itself, because hyper's client counts a request as sent when it takes it
//! over, and assigns streams that the upstream has not granted. Here a connection is open once the
//! upstream's SETTINGS have arrived, a stream is assigned only where they leave room for it, and a
//! request counts as sent when its last byte was written to the socket.
//!
//! | file | purpose |
//! | --- | --- |
//! | `driver` | the task that drives the connection, and its PINGs |
//! | `state` | what exchanges and driver share: open streams, health |
//! | `tracking`, `frames` | which bytes of which request have been written |
//! | `head`, `body` | heads and bodies of requests and responses |

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{self, ResponseFuture, SendRequest};
use http::{Response, StatusCode};
use tokio::time::timeout_at;

use self::body::Upload;
use self::driver::{Driver, STREAMS_MAX_UNSET};
use self::state::{ConnectionState, OpenStream, StreamPermit};
use self::tracking::TrackedTransport;
use super::authentication;
use super::destination::Destination;
use super::failure;
use super::progress::{INTERIM_BYTES_MAX, Interim, Progress};
use super::request::{RequestBody, SendError, UpstreamRequest};
use super::settings::ResponseLimits;
use super::shared::{ConnectionPermit, SharedUpstream};
use super::transport::Transport;
use crate::clock::Clock;
use crate::outcome::{Delivery, Failure, FailureKind};
use crate::time::Moment;

pub(super) use self::body::StreamBody;

mod body;
mod driver;
mod frames;
mod head;
mod state;
mod tracking;

/// Flow-control windows for what the upstream sends. Fixed, because adapting them costs PINGs and
/// makes the memory of a connection unpredictable.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of one request's body that may wait in memory to be written.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// The h2 crate's limit of a response's head is this many times ours. It reports a head over its
/// limit as a mistake of the upstream, so our limit has to be reached first.
const CRATE_HEAD_FACTOR: usize = 16;

/// How long the upstream's SETTINGS may take once the socket is open. Nothing is sent before they
/// have arrived, so waiting for slow ones does no harm.
pub(super) const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    state: Arc<ConnectionState>,
}

/// A stream that one request may be sent on.
pub(super) struct Stream {
    sender: SendRequest<Bytes>,
    permit: StreamPermit,
}

impl Connection {
    /// Speaks HTTP/2 on a connection just opened, and waits for the upstream's SETTINGS.
    pub(super) async fn open(
        transport: Transport,
        clock: Clock,
        limits: ResponseLimits,
        permit: ConnectionPermit,
        shared: Arc<SharedUpstream>,
    ) -> Result<Self, Failure> {
        let end = clock.instant(clock.now().plus(SETTINGS_TIMEOUT));
        let state = Arc::new(ConnectionState::new(clock, shared));
        let transport = TrackedTransport::new(transport, Arc::clone(&state.tracker));
        let header_list_bytes = limits.head_bytes_max.saturating_mul(CRATE_HEAD_FACTOR);
        let mut builder = client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_max_send_streams(STREAMS_MAX_UNSET)
            .max_header_list_size(u32::try_from(header_list_bytes).unwrap_or(u32::MAX))
            .max_send_buffer_size(SEND_BUFFER_BYTES);
        let opening = async {
            let (sender, connection) = builder
                .handshake(transport)
                .await
                .map_err(|error| failure::http2_head(&error, Delivery::NotSent))?;
            let opened = Self { sender, state: Arc::clone(&state) };
            tokio::spawn(Driver::new(connection, Arc::clone(&state), permit));
            state.settings_received().await.map_err(|failure| {
                let detail = "the connection was closed before the upstream's HTTP/2 SETTINGS";
                let closed = || Failure::new(FailureKind::Reset, Delivery::NotSent, detail);
                failure.unwrap_or_else(closed)
            })?;
            Ok(opened)
        };
        timeout_at(end, opening).await.unwrap_or_else(|_| {
            let detail = "the upstream's HTTP/2 SETTINGS did not arrive in time";
            Err(Failure::new(FailureKind::ConnectTimeout, Delivery::NotSent, detail))
        })
    }

    /// A stream, if the upstream takes another one.
    pub(super) fn stream(&self) -> Option<Stream> {
        let granted = self.sender.current_max_send_streams();
        let permit = StreamPermit::acquire(&self.state, granted)?;
        Some(Stream { sender: self.sender.clone(), permit })
    }

    /// Whether the upstream takes no stream at all, so that another connection would not help.
    pub(super) fn grants_no_stream(&self) -> bool {
        self.state.is_usable() && self.sender.current_max_send_streams() == 0
    }

    /// Whether no further stream can be opened.
    pub(super) fn is_closed(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let has_ended = matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)));
        has_ended || self.state.has_ended() || self.state.is_draining()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state.open_streams() == 0
    }

    /// Whether it has been without a stream for `limit`.
    pub(super) fn is_expired(&self, now: Moment, limit: Duration) -> bool {
        self.is_idle() && now.since(self.state.idle_since()) >= limit
    }
}

impl Drop for Connection {
    /// The connection ends with its last stream. The driver has to be woken for that, because the
    /// h2 crate does not do it.
    fn drop(&mut self) {
        self.state.start_draining();
        self.state.wake_driver();
    }
}

impl Stream {
    /// Sends a request, puts the head of its response into `request` and returns the body.
    pub(super) async fn send<B: RequestBody>(
        self,
        request: &mut UpstreamRequest<'_, B>,
        destination: &Destination,
        progress: &Progress,
    ) -> Result<StreamBody<B>, SendError> {
        let Self { mut sender, permit } = self;
        let state = Arc::clone(&permit.state);
        if progress.is_too_late(state.clock) {
            return Err(SendError::Failed(failure::too_late()));
        }
        let body = request.body.as_ref().expect("a request is sent once");
        let is_bodiless = body.is_end_stream();
        let head = head::request(request.head, destination, body.size_hint().exact());
        let opened = state.tracker.track(|| {
            let (response, upload) = sender.send_request(head, is_bodiless)?;
            Ok((response.stream_id().as_u32(), (response, upload)))
        });
        drop(sender);
        let (tracked, (response, upload)) = opened
            .map_err(|error| SendError::NotSent(failure::http2_head(&error, Delivery::NotSent)))?;
        // The h2 crate may write it from now on, and cannot be stopped.
        progress.wrote(state.clock.now());
        let mut pending = PendingExchange {
            response,
            upload: (!is_bodiless).then(|| Upload::new(upload)),
            stream: OpenStream::new(tracked, permit),
            interim_bytes: 0,
        };
        let response = poll_fn(|cx| pending.poll(request, progress, cx)).await?;
        let (mut head, receiver) = response.into_parts();
        head::check_limits(&head.headers, destination.limits).map_err(SendError::Failed)?;
        head::trim_values(&mut head.headers);
        if authentication::challenges_connection(head.status, &head.headers) {
            state.start_draining();
        }
        let upload = pending.upload.map(|upload| (upload, request.body.take()));
        let body = StreamBody::new(receiver, &head.headers, upload, pending.stream);
        request.response = Response::from_parts(head, ());
        Ok(body)
    }
}

/// An exchange whose response head has not arrived yet.
struct PendingExchange {
    response: ResponseFuture,
    /// Until the request's body has been handed over to the stream.
    upload: Option<Upload>,
    stream: OpenStream,
    /// Bytes of interim responses so far.
    interim_bytes: usize,
}

impl PendingExchange {
    fn poll<B: RequestBody>(
        &mut self,
        request: &mut UpstreamRequest<'_, B>,
        progress: &Progress,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<RecvStream>, SendError>> {
        self.stream.tracked.report(progress, cx.waker());
        let malformed = |what| Poll::Ready(Err(SendError::Failed(failure::malformed(what))));
        while let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
            let (mut head, ()) = interim.into_parts();
            if head.status == StatusCode::SWITCHING_PROTOCOLS {
                return malformed("a 101 response over HTTP/2, which has no such status");
            }
            head::trim_values(&mut head.headers);
            self.interim_bytes += head::size(&head.headers);
            if self.interim_bytes > INTERIM_BYTES_MAX {
                return malformed("too many interim responses");
            }
            progress.add_interim(Interim { status: head.status, headers: head.headers });
        }
        if let Poll::Ready(response) = Pin::new(&mut self.response).poll(cx) {
            self.stream.set_ended();
            self.stream.state().head_received();
            let has_started = self.stream.tracked.has_started();
            return Poll::Ready(response.map_err(|error| {
                if has_started {
                    return SendError::Failed(failure::http2_head(&error, Delivery::Uncertain));
                }
                // The connection has ended, so no byte of the request will be written. A body
                // that may have been read in part still cannot go to another connection.
                progress.retract_write();
                let failure = failure::http2_head(&error, Delivery::NotSent);
                let is_intact = self.upload.is_none();
                if is_intact { SendError::NotSent(failure) } else { SendError::Failed(failure) }
            }));
        }
        if let Some(upload) = &mut self.upload
            && let Poll::Ready(uploaded) = upload.poll(&mut request.body, cx)
        {
            self.upload = None;
            if let Err(error) = uploaded {
                self.stream.set_ended();
                let failure = failure::request_body(error.as_ref(), Delivery::Uncertain);
                return Poll::Ready(Err(SendError::Failed(failure)));
            }
        }
        Poll::Pending
    }
}
