//! In which shape a client gets an error: the documented problem, or what it would get from the
//! vendor itself.
//!
//! The strongest word counts: the request's, where it is allowed, then the client's, then that of
//! the route, of the upstream and of `defaults`, which `config` has merged. A client that accepts
//! problems by name always gets them; a client of gRPC always gets a status of gRPC.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};

use super::call::{Call, Rejection};
use super::connection::ClientConnection;
use super::settings::{CallPolicy, ErrorShape};
use super::state::Gateway;
use crate::dialect::OwnTemplate;
use crate::headers::{AskedErrors, asked_errors};

/// What decides the shape of a request's errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShapeContext<'a> {
    /// `None` where no route matched.
    pub(super) policy: Option<&'a CallPolicy>,
    pub(super) client: Option<ErrorShape>,
    /// By the request's own header.
    pub(super) asked: Option<AskedErrors>,
    pub(super) headers: &'a HeaderMap,
}

/// How an error of the gateway's own is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum OwnShape<'a> {
    Problem,
    Template(&'a OwnTemplate),
    /// With the request's media type.
    Grpc(&'a HeaderValue),
}

impl<'a> ShapeContext<'a> {
    /// Of a request that reached no route.
    pub(super) const fn of_headers(headers: &'a HeaderMap) -> Self {
        Self { policy: None, client: None, asked: None, headers }
    }

    /// The shape of the vendor's errors.
    pub(super) fn shape(self) -> ErrorShape {
        if accepts_problems(self.headers) {
            return ErrorShape::Problem;
        }
        let configured = self.policy.map(|policy| policy.errors).unwrap_or_default();
        let asked = self.asked.map(|asked| match asked {
            AskedErrors::Problem => ErrorShape::Problem,
            AskedErrors::Vendor => ErrorShape::Vendor,
        });
        let allowed = |asked: &ErrorShape| match self.policy.and_then(|it| it.errors_allowed) {
            Some(allowed) => allowed.contains(*asked),
            None => {
                let set = [ErrorShape::Problem, configured, self.client.unwrap_or_default()];
                set.contains(asked)
            }
        };
        asked.filter(allowed).or(self.client).unwrap_or(configured)
    }

    /// The shape of the gateway's own errors.
    pub(super) fn own(self) -> OwnShape<'a> {
        if let Some(media_type) = grpc_type(self.headers) {
            return OwnShape::Grpc(media_type);
        }
        match (self.shape(), self.policy.and_then(|policy| policy.dialect.own.as_ref())) {
            (ErrorShape::Vendor, Some(template)) => OwnShape::Template(template),
            (ErrorShape::Vendor, None) | (ErrorShape::Problem, _) => OwnShape::Problem,
        }
    }
}

/// The shape of the vendor's errors for a request with these headers, for `explain`.
#[must_use]
pub fn error_shape(
    policy: &CallPolicy,
    client: Option<ErrorShape>,
    headers: &HeaderMap,
) -> ErrorShape {
    let asked = asked_errors(headers);
    ShapeContext { policy: Some(policy), client, asked, headers }.shape()
}

impl<E> Gateway<E> {
    pub(super) fn shape_context<'c>(&self, call: &'c Call<'_>) -> ShapeContext<'c> {
        ShapeContext {
            policy: Some(call.policy),
            client: self.settings.client_errors[call.client],
            asked: call.errors_asked,
            headers: &call.request.headers,
        }
    }

    /// What decides the shape of a rejection. Its route is looked for, so that an SDK understands
    /// also what is said before.
    pub(super) fn rejection_context<'r, B>(
        &'r self,
        rejection: &Rejection,
        request: &'r Request<B>,
        client: &ClientConnection,
    ) -> ShapeContext<'r> {
        let headers = request.headers();
        let policy = match (self.route(request, client), rejection.upstream) {
            (Ok((upstream, url)), _) => {
                let upstream = &self.settings.upstreams[upstream];
                Some(upstream.policies_for(request.method(), url.path()).applied)
            }
            (Err(_), Some(upstream)) => Some(&self.settings.upstreams[upstream].policy),
            (Err(_), None) => None,
        };
        let identified = self.settings.clients.identify(headers).ok();
        let client = identified.and_then(|it| self.settings.client_errors[it.client]);
        ShapeContext { policy, client, asked: asked_errors(headers), headers }
    }
}

/// The Content-Type of a call of gRPC, whose errors are a status of gRPC's in every shape.
#[must_use]
pub fn grpc_type(headers: &HeaderMap) -> Option<&HeaderValue> {
    const GRPC: &[u8] = b"application/grpc";
    let is_grpc = |it: &&HeaderValue| {
        it.as_bytes().get(..GRPC.len()).is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
    };
    headers.get(CONTENT_TYPE).filter(is_grpc)
}

/// Whether `Accept` names the media type of problems, other than by a wildcard.
fn accepts_problems(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    ranges.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named =
            parts.next().is_some_and(|it| it.eq_ignore_ascii_case("application/problem+json"));
        let refuses = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim().parse() == Ok(0.0))
        };
        named && !parts.any(refuses)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::settings::AllowedShapes;
    use crate::gateway::tests::policy;

    #[test]
    fn the_strongest_word_decides_the_shape() {
        use ErrorShape::{Problem, Vendor};
        let (asks_problem, asks_vendor) = (Some(AskedErrors::Problem), Some(AskedErrors::Vendor));
        let (all, only_problem) = (
            Some([Problem, Vendor].into_iter().collect::<AllowedShapes>()),
            Some([Problem].into_iter().collect::<AllowedShapes>()),
        );
        let rows = [
            (Problem, None, None, None, Problem),
            (Vendor, None, None, None, Vendor),
            (Vendor, Some(Problem), None, None, Problem),
            (Problem, Some(Vendor), None, None, Vendor),
            (Vendor, None, asks_problem, None, Problem),
            // Without a setting that allows `vendor`, a request cannot ask for it.
            (Problem, None, asks_vendor, None, Problem),
            (Problem, None, asks_vendor, all, Vendor),
            (Problem, Some(Problem), asks_vendor, all, Vendor),
            (Vendor, Some(Problem), asks_vendor, None, Vendor),
            (Vendor, Some(Vendor), asks_problem, only_problem, Problem),
            (Problem, Some(Vendor), asks_vendor, only_problem, Vendor),
        ];
        for (errors, client, asked, errors_allowed, expected) in rows {
            let policy = CallPolicy { errors, errors_allowed, ..policy("auto") };
            let headers = HeaderMap::new();
            let context = ShapeContext { policy: Some(&policy), client, asked, headers: &headers };
            assert_eq!(context.shape(), expected, "{errors:?} {client:?} {asked:?}");
        }
    }

    #[test]
    fn a_client_that_accepts_problems_by_name_gets_them() {
        let policy = CallPolicy { errors: ErrorShape::Vendor, ..policy("droplink") };
        let rows = [
            ("*/*", ErrorShape::Vendor),
            ("application/json", ErrorShape::Vendor),
            ("application/json, Application/Problem+JSON;q=0.5", ErrorShape::Problem),
            ("application/problem+json;q=0", ErrorShape::Vendor),
        ];
        for (accept, expected) in rows {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            let context = ShapeContext {
                policy: Some(&policy),
                client: None,
                asked: None,
                headers: &headers,
            };
            assert_eq!(context.shape(), expected, "{accept}");
            let templated = matches!(context.own(), OwnShape::Template(_));
            assert_eq!(templated, expected == ErrorShape::Vendor, "{accept}");
        }
    }

    #[test]
    fn grpc_has_its_own_shape_in_every_mode() {
        let media_type = HeaderValue::from_static("application/grpc+proto");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, media_type)]);
        let context = ShapeContext { policy: None, client: None, asked: None, headers: &headers };
        assert!(matches!(context.own(), OwnShape::Grpc(_)));
    }
}
