//! Answers the requests of the admin listener.
//!
//! Everything is read through functions that the program passes in; a request can release a hold,
//! pull a lever and reload the configuration. Readiness ignores the state of the vendors, because
//! otherwise a vendor's outage would take every replica out of service at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use serde_json::json;

use super::allowances;
use super::contract;
use super::host;
use super::levers;
use super::metrics_format::MetricsFormat;
use super::query::decoded;
use super::reload::Reload;
use super::response::{self, AdminResponse, Refusal};
use super::settings::NamedToken;
use super::status::{ProgramStatus, status};
use crate::allowance::{
    AccountPage, AccountView, HoldView, LeverOrder, LeverRefusal, LeverReport, PageOfAccounts,
    PauseView, ScopeKind, ScopeView,
};
use crate::clock::Clock;
use crate::gateway::Drain;
use crate::problem::schema;
use crate::telemetry::Metrics;
use crate::time::seconds_up;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseResult {
    Released,
    /// No hold has this number.
    UnknownHold,
}

/// Pulls a lever.
type Levers = Arc<dyn Fn(&LeverOrder) -> Result<LeverReport, LeverRefusal> + Send + Sync>;

/// What the admin listener shows of the program.
#[derive(Clone)]
pub struct AdminState {
    /// Started with the program, because it also shows the uptime.
    pub clock: Clock,
    pub drain: Drain,
    /// The names of the upstreams, by number.
    pub upstreams: Vec<Arc<str>>,
    pub accounts: Arc<dyn Fn() -> Vec<AccountView> + Send + Sync>,
    /// Some of the accounts.
    pub page: Arc<dyn Fn(&AccountPage) -> PageOfAccounts + Send + Sync>,
    /// Releases a hold by its number.
    pub release: Arc<dyn Fn(u64) -> ReleaseResult + Send + Sync>,
    pub levers: Levers,
    pub metrics: Arc<Metrics>,
    /// One of them is required of requests that change something.
    pub tokens: Vec<NamedToken>,
    /// Loads the configuration again and returns its warnings.
    pub reload: Reload,
}

impl AdminState {
    /// The state of a program without upstreams.
    #[must_use]
    pub fn new(clock: Clock, drain: Drain, metrics: Arc<Metrics>) -> Self {
        Self {
            clock,
            drain,
            upstreams: Vec::new(),
            accounts: Arc::new(Vec::new),
            page: Arc::new(|_| PageOfAccounts { total: 0, accounts: Vec::new() }),
            release: Arc::new(|_| ReleaseResult::UnknownHold),
            levers: Arc::new(|_| Err(LeverRefusal::UnknownUpstream(Vec::new()))),
            metrics,
            tokens: Vec::new(),
            reload: Arc::new(|| Ok(Vec::new())),
        }
    }
}

impl std::fmt::Debug for AdminState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminState").field("upstreams", &self.upstreams).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct Handler {
    /// Exchanged by a reload.
    pub(super) state: Arc<ArcSwap<AdminState>>,
    /// The address that the listener is bound to.
    pub(super) address: SocketAddr,
}

/// Set by browsers: whether a request comes from a page of the same site.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Handler {
    pub(super) fn clock(&self) -> Clock {
        self.state.load().clock
    }

    /// Answers a request. Its body is never read.
    pub(super) fn handle<B>(&self, request: &Request<B>) -> AdminResponse {
        let path = request.uri().path();
        let result = match path {
            "/livez" => reads(request).map(|()| response::text(StatusCode::OK, "ok\n".to_owned())),
            "/readyz" => reads(request).map(|()| self.ready(request.uri().query())),
            "/metrics" => reads(request).map(|()| self.metrics(request.headers())),
            _ => match path.strip_prefix("/problems") {
                Some(rest) => {
                    reads(request).and_then(|()| contract::answer(rest, request.headers()))
                }
                None => self.check_host(request).and_then(|()| self.api(request, path)),
            },
        };
        result.unwrap_or_else(Refusal::response)
    }

    fn api<B>(&self, request: &Request<B>, path: &str) -> Result<AdminResponse, Refusal> {
        match path {
            "/api/v1/status" => reads(request).map(|()| self.status()),
            "/api/v1/reload" => self.reload(request),
            "/api/v1/problem-schema" => reads(request).map(|()| response::json_schema(&schema())),
            _ => {
                if let Some(rest) = path.strip_prefix("/api/v1/allowances") {
                    return self.allowances(request, rest);
                }
                let hold = path.strip_prefix("/api/v1/holds/");
                let hold = hold.and_then(|rest| rest.strip_suffix("/release"));
                self.release_hold(request, hold.ok_or(Refusal::NotFound)?)
            }
        }
    }

    fn release_hold<B>(&self, request: &Request<B>, hold: &str) -> Result<AdminResponse, Refusal> {
        let by = self.check_change(request)?;
        let number = |_| Refusal::Invalid("The number of a hold must be a decimal number.".into());
        let id = hold.parse().map_err(number)?;
        match (self.state.load().release)(id) {
            ReleaseResult::Released => {
                tracing::info!(hold = id, by = by.as_deref(), "hold released by an operator");
                Ok(response::json(&json!({ "released": id })))
            }
            ReleaseResult::UnknownHold => Err(Refusal::Hold),
        }
    }

    fn allowances<B>(&self, request: &Request<B>, rest: &str) -> Result<AdminResponse, Refusal> {
        let upstream = match rest.strip_prefix('/') {
            Some(rest) if rest.contains('/') => return self.pull_lever(request, rest),
            Some(name) => Some(decoded(name).map_err(|it| Refusal::Invalid(it.into()))?),
            None if rest.is_empty() => None,
            None => return Err(Refusal::NotFound),
        };
        reads(request)?;
        let (state, query) = (self.state.load(), request.uri().query());
        let page = allowances::page(upstream.as_deref(), query, &state.upstreams)?;
        let found = (state.page)(&page);
        Ok(response::json(&allowances::allowances(&page, &found, &state.upstreams)))
    }

    fn pull_lever<B>(&self, request: &Request<B>, rest: &str) -> Result<AdminResponse, Refusal> {
        let by = self.check_change(request)?.ok_or(Refusal::NoTokens)?;
        let order = levers::order(rest, request.uri().query(), &by)?;
        let state = self.state.load();
        let report = (state.levers)(&order).map_err(levers::refusal)?;
        state.metrics.levers().pulled(&order.upstream, order.lever, &report);
        levers::log(&order, &report);
        Ok(response::json(&levers::answer(&order, &report)))
    }

    fn reload<B>(&self, request: &Request<B>) -> Result<AdminResponse, Refusal> {
        self.check_change(request)?;
        let reload = Arc::clone(&self.state.load().reload);
        Ok(match reload() {
            Ok(warnings) => response::json(&json!({ "reloaded": true, "warnings": warnings })),
            Err(errors) => response::faulty_configuration(errors),
        })
    }

    /// Whether a request may change something, and the name of the token that it carries; `None`
    /// if there are no tokens.
    fn check_change<B>(&self, request: &Request<B>) -> Result<Option<Arc<str>>, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method("POST"));
        }
        let by = self.token_name(request.headers())?;
        // Browsers say whether a page of another site sends the request; other programs send
        // neither header.
        let is_foreign = match request.headers().get(SEC_FETCH_SITE) {
            Some(site) => site != "same-origin" && site != "none",
            None => request.headers().contains_key(ORIGIN),
        };
        if is_foreign { Err(Refusal::ForeignPage) } else { Ok(by) }
    }

    fn check_host<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(http::uri::Authority::as_str).or(header);
        let is_ours = host.is_some_and(|host| host::is_ours(host, self.address));
        if is_ours { Ok(()) } else { Err(Refusal::Host) }
    }

    /// The name of the token that a request carries; `None` if there are no tokens.
    fn token_name(&self, headers: &HeaderMap) -> Result<Option<Arc<str>>, Refusal> {
        let state = self.state.load();
        if state.tokens.is_empty() {
            return Ok(None);
        }
        let value = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let parts = value.and_then(|value| value.split_at_checked("bearer ".len()));
        let presented = parts.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
        let (_, presented) = presented.ok_or(Refusal::Token)?;
        let presented = presented.trim_ascii();
        // All are compared, so that the time does not tell which one is like it.
        let right = state.tokens.iter().fold(None, |right, token| {
            if token.token.is(presented) { Some(Arc::clone(&token.name)) } else { right }
        });
        right.map(Some).ok_or(Refusal::Token)
    }

    fn ready(&self, query: Option<&str>) -> AdminResponse {
        let is_draining = self.state.load().drain.is_announced();
        let (status, word) = if is_draining {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else {
            (StatusCode::OK, "ready")
        };
        let is_verbose = |part: &str| part == "verbose" || part.starts_with("verbose=");
        let verbose = query.is_some_and(|query| query.split('&').any(is_verbose));
        let details = if verbose { self.scope_lines() } else { String::new() };
        response::text(status, format!("{word}\n{details}"))
    }

    /// One line per scope, over all accounts.
    fn scope_lines(&self) -> String {
        let mut all: BTreeMap<String, ScopeSummary> = BTreeMap::new();
        for account in (self.state.load().accounts)() {
            // An upstream has two scopes of the same name, for all its calls and for those that
            // count. A call that waits for both counts once.
            let mut scopes: BTreeMap<String, ScopeSummary> = BTreeMap::new();
            for scope in &account.scopes {
                let summary = scopes.entry(self.scope_name(&account, scope)).or_default();
                summary.waiting = summary.waiting.max(scope.waiting);
                summary.hold = longer(summary.hold, scope.hold);
                summary.pause = summary.pause.take().or_else(|| scope.levers.pause.clone());
            }
            for (name, scope) in scopes {
                let summary = all.entry(name).or_default();
                summary.waiting += scope.waiting;
                summary.hold = longer(summary.hold, scope.hold);
                summary.pause = summary.pause.take().or(scope.pause);
            }
        }
        all.iter().map(|(name, summary)| format!("{name}: {summary}\n")).collect()
    }

    /// `wordbee` for the upstream itself, `wordbee/hour` for an allowance.
    fn scope_name(&self, account: &AccountView, scope: &ScopeView) -> String {
        if matches!(scope.kind, ScopeKind::Upstream | ScopeKind::Counted) {
            return scope.name.to_string();
        }
        let state = self.state.load();
        let names = account.upstreams.iter().filter_map(|number| state.upstreams.get(*number));
        let names: Vec<&str> = names.map(|name| &**name).collect();
        format!("{}/{}", names.join("+"), scope.name)
    }

    fn metrics(&self, headers: &HeaderMap) -> AdminResponse {
        let state = self.state.load();
        let AdminState { metrics, accounts, .. } = &**state;
        let format = MetricsFormat::preferred(headers);
        let text = match format {
            MetricsFormat::OpenMetrics => metrics.render(&accounts()),
            MetricsFormat::Classic => metrics.render_classic(&accounts()),
        };
        response::metrics(format, text)
    }

    fn status(&self) -> AdminResponse {
        let state = self.state.load();
        let program = ProgramStatus {
            uptime: state.clock.uptime(),
            ready: !state.drain.is_announced(),
            draining: state.drain.is_draining(),
        };
        response::json(&status(&program, &state.upstreams, &(state.accounts)()))
    }
}

/// One scope, over all accounts.
#[derive(Default)]
struct ScopeSummary {
    waiting: usize,
    /// The longest.
    hold: Option<HoldView>,
    /// One of them.
    pause: Option<PauseView>,
}

impl std::fmt::Display for ScopeSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(PauseView { remaining, origin }) = &self.pause {
            write!(f, "paused by {}", origin.by)?;
            let left = remaining.map(seconds_up);
            return left.map_or(Ok(()), |left| write!(f, ", {left} s left"));
        }
        match self.hold {
            Some(hold) => {
                let left = seconds_up(hold.remaining);
                write!(f, "held ({}), {left} s left", hold.cause.as_str())
            }
            None => write!(f, "open, {} waiting", self.waiting),
        }
    }
}

fn longer(one: Option<HoldView>, other: Option<HoldView>) -> Option<HoldView> {
    one.into_iter().chain(other).max_by_key(|hold| hold.remaining)
}

fn reads<B>(request: &Request<B>) -> Result<(), Refusal> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Refusal::Method("GET, HEAD")),
    }
}
