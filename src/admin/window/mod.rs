//! What is behind each path of the admin listener.
//!
//! It reads through functions it was given and changes nothing but holds. Refuses to fail
//! readiness because a vendor is down: that would take every replica away at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use super::answer::{self, Answer, Refusal, SEC_FETCH_SITE};
use super::format::Format;
use super::host;
use super::settings::Token;
use super::status::{Program, status};
use crate::allowance::{AccountView, HoldView, ScopeKind, ScopeView};
use crate::clock::Clock;
use crate::gateway::Drain;
use crate::telemetry::Metrics;
use crate::time::{Moment, seconds_up};

/// Whether a hold was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is.
    Yes,
    /// There is none with this number.
    Unknown,
}

/// What the window looks at.
#[derive(Clone)]
pub struct Window {
    /// The program's clock; started with the program.
    pub clock: Clock,
    /// Whether the program is stopping.
    pub drain: Drain,
    /// The upstreams' names, by their numbers.
    pub upstreams: Vec<Arc<str>>,
    /// The accounts as they are now.
    pub accounts: Arc<dyn Fn() -> Vec<AccountView> + Send + Sync>,
    /// Releases a hold by its number.
    pub release: Arc<dyn Fn(u64) -> Released + Send + Sync>,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// The published schema of problems.
    pub problem_schema: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("upstreams", &self.upstreams).finish_non_exhaustive()
    }
}

/// A window at its address, with its token.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) window: Window,
    pub(super) address: SocketAddr,
    pub(super) token: Option<Token>,
}

impl Counter {
    /// Answers one request; its body is never looked at.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Answer {
        let path = request.uri().path();
        let answered = match path {
            "/livez" => {
                only(request, &Method::GET).map(|()| answer::text(StatusCode::OK, "ok\n".into()))
            }
            "/readyz" => only(request, &Method::GET).map(|()| self.ready(request.uri().query())),
            "/metrics" => only(request, &Method::GET).map(|()| self.metrics(request.headers())),
            _ => self.guarded(request, path),
        };
        answered.unwrap_or_else(Refusal::problem)
    }

    /// Everything that probes and scrapers have no need of.
    fn guarded<B>(&self, request: &Request<B>, path: &str) -> Result<Answer, Refusal> {
        self.check_host(request)?;
        match path {
            "/api/v1/status" => only(request, &Method::GET).map(|()| self.status()),
            "/api/v1/problem-schema" => {
                only(request, &Method::GET).map(|()| answer::json(&(self.window.problem_schema)()))
            }
            _ => self.change(request, path),
        }
    }

    fn change<B>(&self, request: &Request<B>, path: &str) -> Result<Answer, Refusal> {
        let hold =
            path.strip_prefix("/api/v1/holds/").and_then(|rest| rest.strip_suffix("/release"));
        let hold = hold.ok_or(Refusal::NotFound)?;
        only(request, &Method::POST)?;
        self.check_token(request.headers())?;
        check_page(request.headers())?;
        let id = hold.parse().map_err(|_| Refusal::HoldNumber)?;
        match (self.window.release)(id) {
            Released::Yes => {
                tracing::info!(hold = id, "an operator released a hold");
                Ok(answer::json(&json!({ "released": id })))
            }
            Released::Unknown => Err(Refusal::Hold),
        }
    }

    fn check_host<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = request.uri().authority().map(http::uri::Authority::as_str).or(named);
        let ours = host.is_some_and(|host| host::is_ours(host, self.address));
        if ours { Ok(()) } else { Err(Refusal::Host) }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        let shown = shown.and_then(|value| value.split_at_checked("bearer ".len()));
        let right = shown.is_some_and(|(scheme, shown)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && same(shown.trim_ascii(), token.0.as_bytes())
        });
        if right { Ok(()) } else { Err(Refusal::Token) }
    }

    fn ready(&self, query: Option<&str>) -> Answer {
        let leaving = self.window.drain.is_announced();
        let status = if leaving { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let word = if leaving { "draining" } else { "ready" };
        let verbose = query.is_some_and(|query| query.split('&').any(is_verbose));
        let details = if verbose { self.details() } else { String::new() };
        answer::text(status, format!("{word}\n{details}"))
    }

    /// One line for each scope, its accounts together: told, and never a reason to be unready.
    fn details(&self) -> String {
        let mut all: BTreeMap<String, Standing> = BTreeMap::new();
        for account in (self.window.accounts)() {
            for (name, standing) in self.standings(&account) {
                all.entry(name).or_default().join(&standing);
            }
        }
        all.iter().map(|(name, standing)| format!("{name}: {standing}\n")).collect()
    }

    /// An upstream has two scopes of one name, for all its calls and for those that count:
    /// whoever waits for both is one.
    fn standings(&self, account: &AccountView) -> BTreeMap<String, Standing> {
        let mut standings: BTreeMap<String, Standing> = BTreeMap::new();
        for scope in &account.scopes {
            standings.entry(self.name(account, scope)).or_default().overlay(scope);
        }
        standings
    }

    /// `wordbee` for an upstream as such, `wordbee/hour` for an allowance.
    fn name(&self, account: &AccountView, scope: &ScopeView) -> String {
        if matches!(scope.kind, ScopeKind::Upstream | ScopeKind::Counted) {
            return scope.name.to_string();
        }
        let names =
            account.upstreams.iter().filter_map(|number| self.window.upstreams.get(*number));
        let names: Vec<&str> = names.map(|name| &**name).collect();
        format!("{}/{}", names.join("+"), scope.name)
    }

    fn metrics(&self, headers: &HeaderMap) -> Answer {
        let Window { metrics, accounts, .. } = &self.window;
        let format = Format::of(headers);
        let text = match format {
            Format::OpenMetrics => metrics.render(&accounts()),
            Format::Classic => metrics.render_classic(&accounts()),
        };
        answer::metrics(format, text)
    }

    fn status(&self) -> Answer {
        let program = Program {
            uptime: self.window.clock.now().since(Moment::START),
            ready: !self.window.drain.is_announced(),
            draining: self.window.drain.is_draining(),
        };
        answer::json(&status(&program, &self.window.upstreams, &(self.window.accounts)()))
    }
}

/// How a scope stands, over all accounts.
#[derive(Default)]
struct Standing {
    waiting: usize,
    /// The longest.
    hold: Option<HoldView>,
}

impl Standing {
    fn overlay(&mut self, scope: &ScopeView) {
        self.waiting = self.waiting.max(scope.waiting);
        self.hold = longer(self.hold, scope.hold);
    }

    fn join(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.hold = longer(self.hold, other.hold);
    }
}

fn longer(one: Option<HoldView>, other: Option<HoldView>) -> Option<HoldView> {
    one.into_iter().chain(other).max_by_key(|hold| hold.remaining)
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.hold {
            Some(hold) => {
                let left = seconds_up(hold.remaining);
                write!(f, "held ({}), {left} s left", hold.cause.as_str())
            }
            None => write!(f, "open, {} waiting", self.waiting),
        }
    }
}

fn only<B>(request: &Request<B>, method: &Method) -> Result<(), Refusal> {
    let reads = *method == Method::GET;
    if request.method() == method || (reads && *request.method() == Method::HEAD) {
        return Ok(());
    }
    Err(Refusal::Method(if reads { "GET, HEAD" } else { "POST" }))
}

fn is_verbose(part: &str) -> bool {
    part == "verbose" || part.starts_with("verbose=")
}

/// A browser says when a page of another site asks; programs say nothing.
fn check_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = headers.get(SEC_FETCH_SITE).map(|site| site.as_bytes());
    let foreign = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    let unsaid = site.is_none() && headers.contains_key(ORIGIN);
    if foreign || unsaid { Err(Refusal::ForeignPage) } else { Ok(()) }
}

/// Equal, in a time that does not tell how many bytes were right.
fn same(shown: &[u8], token: &[u8]) -> bool {
    let differing = shown.iter().zip(token).fold(0, |found, (a, b)| found | (a ^ b));
    shown.len() == token.len() && differing == 0
}

#[cfg(test)]
mod tests;
