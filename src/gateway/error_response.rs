//! An error as it goes out: written by the gateway in the shape that the client needs, or the
//! vendor's own with the gateway's credentials overwritten.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use hyper::ext::ReasonPhrase;

use super::body::{IdleTimer, KeptBody, RequestBody, ResponseBody};
use super::call::{Call, call_headers};
use super::record::CallEnd;
use super::shape::OwnShape;
use super::state::Gateway;
use crate::dialect::{self, BrokenOff, OwnError, is_compressed};
use crate::headers::names::{EVENKEEL_PROBLEM, PROXY_STATUS};
use crate::headers::{self, ResponseScan};
use crate::outcome::{STRIPE_SHOULD_RETRY, X_SHOULD_RETRY};
use crate::problem::{
    Mask, Problem, Redactor, add_grpc_headers, add_vendor_shape_headers, drop_digests,
    mask_headers, masked, problem_dictionary, proxy_status,
};
use crate::retry::client::STRIPE_SDK;
use crate::upstream::Exchange;

/// The response that carries a problem; `headers` are those of the problem itself.
pub(super) fn written<B>(
    problem: &Problem,
    mut headers: HeaderMap,
    shape: OwnShape<'_>,
) -> Response<ResponseBody<B>> {
    let (status, body) = match shape {
        OwnShape::Problem => (problem.status, Some(problem.to_bytes())),
        OwnShape::Template(template) => {
            let own = template.render(&OwnError {
                code: problem.code,
                status: problem.status,
                message: &problem.detail,
                request_id: problem.request_id.as_deref(),
                retry_after: problem.retry_after.map(|wait| wait.seconds),
            });
            headers.insert(CONTENT_TYPE, own.media_type);
            for (name, value) in own.headers {
                headers.insert(name, value);
            }
            headers.insert(EVENKEEL_PROBLEM, problem_dictionary(problem));
            (own.status, Some(own.body.into()))
        }
        OwnShape::Grpc(media_type) => {
            headers.insert(CONTENT_TYPE, media_type.clone());
            headers.insert(EVENKEEL_PROBLEM, problem_dictionary(problem));
            add_grpc_headers(&mut headers, problem);
            (StatusCode::OK, None)
        }
    };
    let mut response = Response::new(ResponseBody::Whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Stripe's SDKs read our advice under a name of their own.
pub(super) fn repeat_for_stripe(headers: &mut HeaderMap, request: &HeaderMap) {
    if let Some(advice) = headers.get(X_SHOULD_RETRY).cloned()
        && request.contains_key(STRIPE_SDK)
    {
        headers.insert(STRIPE_SHOULD_RETRY, advice);
    }
}

impl<E: Exchange<RequestBody>> Gateway<E> {
    /// The vendor's error as it sent it, with what the gateway knows of it in headers.
    pub(super) fn respond_vendor(
        &self,
        call: &Call<'_>,
        problem: &Problem,
        end: CallEnd<'_>,
        mut response: Response<ResponseBody<E::Body>>,
    ) -> Response<ResponseBody<E::Body>> {
        self.shard.problem(Some(call.upstream), problem.code, problem.source);
        let status = response.status();
        if call.settings.credential.is_some() {
            mask_headers(&self.redactor, response.headers_mut());
            self.drop_secret_phrase(&mut response);
        }
        let headers = response.headers_mut();
        add_vendor_shape_headers(headers, status, problem);
        repeat_for_stripe(headers, &call.request.headers);
        headers.insert(EVENKEEL_PROBLEM, problem_dictionary(problem));
        let entry =
            proxy_status(self.via.pseudonym(), None, Some(&call.settings.name), Some(status));
        headers.append(PROXY_STATUS, entry);
        let tightest = self.tightest_allowance(call);
        headers::add_call_headers(headers, &call_headers(call, tightest.as_ref()));
        self.record(call, &CallEnd { status, problem: Some(problem), ..end });
        response
    }

    /// Removes a reason phrase that holds a credential.
    pub(super) fn drop_secret_phrase<B>(&self, response: &mut Response<B>) {
        let phrase = response.extensions().get::<ReasonPhrase>();
        if phrase.is_some_and(|phrase| self.redactor.finds(phrase.as_bytes())) {
            response.extensions_mut().remove::<ReasonPhrase>();
        }
    }

    /// The body for a client that gets the vendor's errors as they are; `None` where a credential
    /// of the gateway's may be in it and cannot be found.
    pub(super) fn vendor_body(
        &self,
        call: &Call<'_>,
        parts: &mut Parts,
        kept: KeptBody<E::Body>,
    ) -> Option<ResponseBody<E::Body>> {
        let redactor = call.settings.credential.as_ref().map(|_| &self.redactor);
        let (read, rest, permit) = match kept {
            KeptBody::Whole(bytes) => {
                let bytes = match redactor {
                    Some(redactor) => without_secrets(redactor, &mut parts.headers, bytes)?,
                    None => bytes,
                };
                return Some(ResponseBody::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())));
            }
            KeptBody::Open { read, rest, permit } => (read, rest, permit),
        };
        let scan = ResponseScan::of(&parts.headers);
        let idle = IdleTimer::new(self.clock, call.response_idle_timeout(scan));
        let context = self.response_context(call, parts.status);
        let Some(redactor) = redactor else {
            return Some(ResponseBody::resumed(read, rest, idle, permit.into(), context));
        };
        // Compressed, it cannot be searched piece by piece.
        if is_encoded(&parts.headers) || first_bytes(&read).is_some_and(is_compressed) {
            return None;
        }
        drop_digests(&mut parts.headers);
        let body = ResponseBody::resumed(read, rest, idle, permit.into(), context);
        Some(body.masked(Mask::new(Arc::clone(redactor))))
    }
}

/// The body without secrets: as it was sent where it has none, else decoded. `None` where it
/// cannot be decoded.
fn without_secrets(
    redactor: &Arc<Redactor>,
    headers: &mut HeaderMap,
    sent: Bytes,
) -> Option<Bytes> {
    let decoded = dialect::decoded(sent.clone(), headers, BrokenOff::Refused)?;
    let is_recoded = is_encoded(headers) || decoded != sent;
    // Behind a coding that breaks off, text may stand as it is.
    if is_compressed(&decoded) || (decoded != sent && masked(redactor, &sent).is_some()) {
        return None;
    }
    let Some(masked) = masked(redactor, &decoded) else { return Some(sent) };
    if is_recoded {
        headers.remove(CONTENT_ENCODING);
        headers.remove(http::header::CONTENT_LENGTH);
    }
    drop_digests(headers);
    Some(masked.into())
}

/// Whether a content coding is named.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(CONTENT_ENCODING).iter();
    let codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    codings
        .map(<[u8]>::trim_ascii)
        .any(|it| !it.is_empty() && !it.eq_ignore_ascii_case(b"identity"))
}

fn first_bytes(read: &VecDeque<Frame<Bytes>>) -> Option<&[u8]> {
    read.front()?.data_ref().map(|data| &data[..])
}
