//! What a streaming response keeps of its call: for its trailers, and for the log if it breaks.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode};
use http_body::Frame;

use crate::allowance::UnknownCost;
use crate::gateway::settings::Settings;
use crate::headers;
use crate::problem::Redactor;
use crate::telemetry::{self, Access, BreakCause, BrokenBody, BrokenBy, CostOf, Shard};
use crate::time::Moment;

/// What a streaming response keeps of its call.
#[derive(Debug)]
pub(in crate::gateway) struct ResponseContext {
    /// Removes the injected credential, if there is one.
    pub(in crate::gateway) redactor: Option<Arc<Redactor>>,
    pub(in crate::gateway) settings: Arc<Settings>,
    pub(in crate::gateway) shard: Arc<Shard>,
    pub(in crate::gateway) access: Access,
    pub(in crate::gateway) client: usize,
    pub(in crate::gateway) upstream: usize,
    pub(in crate::gateway) method: Method,
    pub(in crate::gateway) target: PathAndQuery,
    pub(in crate::gateway) status: StatusCode,
    pub(in crate::gateway) request_id: HeaderValue,
    pub(in crate::gateway) arrival: Moment,
    pub(in crate::gateway) identity: CallIdentity,
}

/// The vendor's account and the trace of a call, for the log.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct CallIdentity {
    pub(in crate::gateway) account: Option<Box<str>>,
    pub(in crate::gateway) trace_id: Option<Box<str>>,
}

impl ResponseContext {
    /// Records that the body broke off after so many bytes.
    #[cold]
    pub(super) fn record_break(
        &self,
        by: BrokenBy,
        cause: BreakCause<'_>,
        bytes: u64,
        now: Moment,
    ) {
        self.shard.body_broke(self.upstream, by);
        telemetry::log_broken_body(
            self.access,
            &BrokenBody {
                request_id: self.request_id.to_str().unwrap_or_default(),
                client: &self.settings.clients.all()[self.client].name,
                upstream: &self.settings.upstreams[self.upstream].name,
                method: &self.method,
                path: self.target.path(),
                status: self.status,
                bytes,
                by,
                cause,
                account: self.identity.account.as_deref(),
                trace_id: self.identity.trace_id.as_deref(),
                total: now.since(self.arrival),
            },
        );
    }

    /// Logs that a response says nothing usable of its cost.
    #[cold]
    pub(super) fn log_unknown_cost(&self, unknown: UnknownCost, now: Moment) {
        if !self.is_bodiless() {
            let upstream = &self.settings.upstreams[self.upstream].name;
            telemetry::log_unknown_cost(upstream, CostOf::Response, unknown, now);
        }
    }

    /// Removes from trailers what only a head may carry, and the injected credential.
    pub(super) fn filter(&self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_trailers() {
            Ok(mut trailers) => {
                headers::filter_trailers(&mut trailers);
                if let Some(redactor) = &self.redactor {
                    redactor.redact_passing(&mut trailers);
                }
                Frame::trailers(trailers)
            }
            Err(frame) => frame,
        }
    }

    /// Whether such a response never has a body, so that none can break off.
    pub(super) fn is_bodiless(&self) -> bool {
        self.method == Method::HEAD
            || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }
}
