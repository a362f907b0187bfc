//! Warns of settings that are valid and have no effect: a path that no call has, a route that is
//! never reached, an allowance that never binds.
//!
//! They are warnings and not errors, because they do no harm and generated files may have them
//! for a while.

use std::net::IpAddr;
use std::time::Duration;

use super::matchers::{Coverage, never_matches};
use super::reader::{Resolver, Scope};
use crate::allowance::{Allowance, Grant, Mode};
use crate::config::format::{Length, Url};
use crate::config::item::{Field, Item};
use crate::config::keys::{self, Declaration};
use crate::upstream::{Protocol, Scheme};
use crate::{admin, server};

/// No answer comes over a network sooner, so a shorter attempt always fails.
const ATTEMPT_MIN: Duration = Duration::from_millis(10);

/// One upstream, as far as it could be resolved.
pub(super) struct KnownUpstream<'s, 'a> {
    pub(super) root: &'s Scope<'a>,
    pub(super) field: &'a Field,
    pub(super) scope: &'s Scope<'a>,
    pub(super) url: Option<&'s Url>,
    pub(super) allowances: &'s [Allowance],
}

impl<'a> Resolver<'a> {
    pub(super) fn warn_of_unused_in(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        self.nothing_limited(upstream);
        self.settings_without_effect(upstream);
        self.idempotency_header_of_every_request(upstream.scope);
        self.concurrency_above_connections(upstream);
        self.matchers_without_calls(upstream);
        self.hidden_routes(upstream.scope);
        self.allowances_that_never_bind(upstream);
        self.exemptions_of_everything_or_nothing(upstream.scope);
    }

    /// Warns at a setting that is written in the scope itself.
    fn warn_at(&mut self, scope: &Scope<'a>, setting: &dyn Declaration, message: &str) {
        if let Some(item) = scope.own(setting) {
            self.warn(item.at, &scope.key(setting), message);
        }
    }

    fn nothing_limited(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        let observed = |allowance: &Allowance| allowance.mode == Mode::Observe;
        let message = if upstream.scope.entries(&keys::ALLOWANCES).is_empty() {
            match self.published_tiers(upstream.root, upstream.scope) {
                None => {
                    "there is no allowance, so nothing is limited: `allowances: { all: 10/s }` \
                         says what the vendor grants"
                        .to_owned()
                }
                Some(tiers) => format!("there is no allowance, so nothing is limited: {tiers}"),
            }
        } else if !upstream.allowances.is_empty() && upstream.allowances.iter().all(observed) {
            "every allowance only observes, so nothing is limited".to_owned()
        } else {
            return;
        };
        self.warn(upstream.field.at, &upstream.scope.path, &message);
    }

    fn settings_without_effect(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        let scope = upstream.scope;
        if scope.value(&keys::ATTEMPTS) == 1 {
            self.warn_at(scope, &keys::BACKOFF, "with one attempt there is no retry");
            self.warn_at(scope, &keys::RETRY_BUDGET, "with one attempt there is no retry");
            if scope.value(&keys::IDEMPOTENCY_ADD) {
                let message = "a key is of use to a retry, and with one attempt there is none";
                self.warn_at(scope, &keys::IDEMPOTENCY_ADD, message);
            }
        }
        if scope.value(&keys::QUEUE_MAX) == 0 {
            self.warn_at(scope, &keys::WAIT, "with `queue.max: 0` no call waits for a slot");
        }
        let window = |it: &Allowance| it.grant.length().is_some();
        if scope.value(&keys::EXPOSE_RATE_LIMIT) && !upstream.allowances.iter().any(window) {
            let message = "there is no allowance with a window to expose";
            self.warn_at(scope, &keys::EXPOSE_RATE_LIMIT, message);
        }
        let timeout = scope.value(&keys::ATTEMPT_TIMEOUT);
        if timeout < ATTEMPT_MIN {
            let message = format!("no answer comes within {} over a network", Length(timeout));
            self.warn_at(scope, &keys::ATTEMPT_TIMEOUT, &message);
        }
    }

    fn idempotency_header_of_every_request(&mut self, scope: &Scope<'a>) {
        const USUAL: [&str; 9] = [
            "accept",
            "accept-encoding",
            "authorization",
            "content-type",
            "cookie",
            "origin",
            "user-agent",
            "x-api-key",
            "x-request-id",
        ];
        const SWITCHES: [&str; 8] = ["false", "true", "off", "on", "no", "yes", "none", "null"];
        let name = scope.value(&keys::IDEMPOTENCY_HEADER).name;
        let message = if USUAL.contains(&name.as_str()) {
            format!(
                "nearly every request has `{name}`, so every POST would count as safe to repeat"
            )
        } else if SWITCHES.contains(&name.as_str()) {
            format!(
                "`{name}` is taken for the name of a header; requests without that header are not \
                 safe to repeat by their key, which does no harm"
            )
        } else {
            return;
        };
        self.warn_at(scope, &keys::IDEMPOTENCY_HEADER, &message);
    }

    /// Without HTTP/2 every call needs a connection of its own.
    fn concurrency_above_connections(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        let scope = upstream.scope;
        let one_call_each = match scope.value(&keys::PROTOCOL) {
            Protocol::Http1 => true,
            Protocol::Http2 => false,
            Protocol::Auto => upstream.url.is_some_and(|url| url.origin.scheme == Scheme::Http),
        };
        let max = scope.value(&keys::CONNECTIONS_MAX);
        for allowance in upstream.allowances.iter().filter(|_| one_call_each) {
            let Grant::Concurrency { limit } = &allowance.grant else { continue };
            let fields = scope.entries(&keys::ALLOWANCES);
            let field = fields.iter().find(|field| *field.key == *allowance.name);
            if let Some(field) = field.filter(|_| max < *limit as usize) {
                let key = format!("{}.concurrency", entry_key(scope, field));
                let message = format!(
                    "{limit} calls at a time are never reached: `connections.max` is {max}, and \
                     over HTTP/1.1 each call needs a connection"
                );
                self.warn(field.item.at, &key, &message);
            }
        }
    }

    /// Every matcher of an upstream: whether a call can ever match it.
    fn matchers_without_calls(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        let scope = upstream.scope;
        let exempt = scope.maps(&keys::EXEMPT_EVERYWHERE).iter().enumerate();
        let key = scope.key(&keys::EXEMPT_EVERYWHERE);
        let mut matchers: Vec<_> =
            exempt.map(|(number, item)| (format!("{key}.{number}"), item)).collect();
        for field in scope.entries(&keys::ALLOWANCES) {
            let key = entry_key(scope, field);
            let allowance = Scope::of(Some(&field.item), keys::ALLOWANCE, key);
            let (key, counted) = (allowance.key(&keys::COUNTED), allowance.own(&keys::COUNTED));
            let entries = counted.map_or(&[][..], Item::entries).iter().enumerate();
            matchers.extend(entries.map(|(number, item)| {
                // A map alone stands for a list of one.
                let is_alone = counted.is_some_and(|list| list.at == item.at);
                (if is_alone { key.clone() } else { format!("{key}.{number}") }, item)
            }));
            let exempt = allowance.maps(&keys::EXEMPT).iter().enumerate();
            let key = allowance.key(&keys::EXEMPT);
            matchers.extend(exempt.map(|(number, item)| (format!("{key}.{number}"), item)));
        }
        for (number, entry) in scope.maps(&keys::ROUTES).iter().enumerate() {
            let path = format!("{}.{number}", scope.key(&keys::ROUTES));
            let entry = Scope::of(Some(entry), keys::ROUTE_ENTRY, path);
            let item = entry.own(&keys::ENTRY_MATCH);
            matchers.extend(item.map(|item| (entry.key(&keys::ENTRY_MATCH), item)));
        }
        for (key, item) in matchers {
            self.matcher_without_calls(upstream, &Scope::of(Some(item), keys::MATCHER, key));
        }
    }

    fn matcher_without_calls(&mut self, upstream: &KnownUpstream<'_, 'a>, matcher: &Scope<'a>) {
        if let Some(path) = matcher.written_value(&keys::MATCH_PATH) {
            let prefix = prefix_of(upstream.field);
            let base = upstream.url.map_or("", |url| &*url.path);
            if let Some(message) = never_matches(&path.written, &prefix, base) {
                self.warn_at(matcher, &keys::MATCH_PATH, &message);
            }
            if let Some(message) = behind_longer_route(upstream, &path.written, &prefix) {
                self.warn_at(matcher, &keys::MATCH_PATH, &message);
            }
        }
        let methods = matcher.written_list(&keys::MATCH_METHODS).unwrap_or_default();
        let methods: Vec<_> = methods.iter().map(http::Method::as_str).collect();
        if !methods.is_empty() && methods.iter().all(|it| matches!(*it, "CONNECT" | "TRACE")) {
            let message = format!("calls with {} are never sent on", methods.join(" and "));
            self.warn_at(matcher, &keys::MATCH_METHODS, &message);
        }
    }

    /// The first match wins, so an entry behind a wider one is never reached.
    fn hidden_routes(&mut self, scope: &Scope<'a>) {
        let entries = scope.maps(&keys::ROUTES);
        let coverage: Vec<_> = entries
            .iter()
            .map(|entry| Scope::of(Some(entry), keys::ROUTE_ENTRY, "").own(&keys::ENTRY_MATCH))
            .map(|item| item.map(|item| Coverage::of(Some(item))))
            .collect();
        for (number, entry) in entries.iter().enumerate() {
            let Some(here) = &coverage[number] else { continue };
            let wider = |earlier: &Option<Coverage>| {
                earlier.as_ref().is_some_and(|earlier| earlier.covers(here))
            };
            if let Some(first) = coverage[..number].iter().position(wider) {
                let key = format!("{}.{number}", scope.key(&keys::ROUTES));
                let message = format!(
                    "no call gets here: entry {first} before it matches them all, and the first \
                     match wins"
                );
                self.warn(entry.at, &key, &message);
            }
        }
    }

    fn exemptions_of_everything_or_nothing(&mut self, scope: &Scope<'a>) {
        for field in scope.entries(&keys::ALLOWANCES) {
            let key = entry_key(scope, field);
            let allowance = Scope::of(Some(&field.item), keys::ALLOWANCE, key);
            let counted = Coverage::of_each(allowance.maps(&keys::COUNTED));
            let mut counts_some = true;
            for (number, item) in allowance.maps(&keys::EXEMPT).iter().enumerate() {
                let key = format!("{}.{number}", allowance.key(&keys::EXEMPT));
                let exempt = Coverage::of(Some(item));
                if counts_some && counted.iter().all(|it| exempt.covers(it)) {
                    counts_some = false;
                    let message =
                        "every call that the allowance counts is exempt, so it counts none";
                    self.warn(item.at, &key, message);
                }
                if !counted.iter().any(|it| exempt.overlaps(it)) {
                    let message = "it exempts nothing: `match` counts none of these calls";
                    self.warn(item.at, &key, message);
                }
            }
        }
    }

    /// A wider allowance that a stricter one over the same calls never lets fill.
    fn allowances_that_never_bind(&mut self, upstream: &KnownUpstream<'_, 'a>) {
        let fields = upstream.scope.entries(&keys::ALLOWANCES);
        let named = |name: &str| fields.iter().find(|field| *field.key == *name);
        let counted = |field: &Field| {
            let allowance = Scope::of(Some(&field.item), keys::ALLOWANCE, "");
            Coverage::of_each(allowance.maps(&keys::COUNTED))
        };
        let covers = |wide: &Field, narrow: &Field| {
            let wide = counted(wide);
            counted(narrow).iter().all(|it| wide.iter().any(|wide| wide.covers(it)))
        };
        for allowance in upstream.allowances {
            let Some(field) = named(&allowance.name) else { continue };
            let stricter = upstream.allowances.iter().find(|other| {
                other.name != allowance.name
                    && other.mode == Mode::Enforce
                    && other.exempt.is_empty()
                    && other.cost == allowance.cost
                    && named(&other.name).is_some_and(|it| covers(it, field))
                    && always_first(&other.grant, &allowance.grant, other.name < allowance.name)
            });
            if let Some(stricter) = stricter {
                let message = format!(
                    "it is never reached: `{}` counts the same calls and grants fewer",
                    stricter.name
                );
                self.warn(field.item.at, &entry_key(upstream.scope, field), &message);
            }
        }
    }

    /// What concerns the whole file.
    pub(super) fn warn_of_unused(
        &mut self,
        root: &Scope<'a>,
        server: &server::Settings,
        admin: &admin::Settings,
    ) {
        let level = root.value(&keys::LOG_LEVEL);
        let all = root.value(&keys::LOG_ACCESS) == crate::telemetry::Access::All;
        if all && matches!(&*level, "off" | "error" | "warn") {
            let message = format!("calls are logged at the level info, and `level` is {level}");
            self.warn_at(root, &keys::LOG_ACCESS, &message);
        }
        self.unused_dialects(root);
        self.replay_bodies_above_total(root);
        self.upstreams_that_are_the_gateway(root, server, admin);
    }

    fn replay_bodies_above_total(&mut self, root: &Scope<'a>) {
        let total = root.value(&keys::REPLAY_TOTAL);
        let upstreams = root.entries(&keys::UPSTREAMS).iter();
        let upstreams = upstreams.map(|field| (format!("upstreams.{}", field.key), &field.item));
        let defaults = root.own(&keys::DEFAULTS).map(|item| ("defaults".to_owned(), item));
        for (path, item) in upstreams.chain(defaults) {
            let scope = Scope::of(Some(item), keys::UPSTREAM_DEFAULTS, path);
            if total < scope.value(&keys::REPLAY_BODY) {
                let message = "no body of that size is kept: `replay.total` is less";
                self.warn_at(&scope, &keys::REPLAY_BODY, message);
            }
        }
    }

    /// A call from the gateway to itself is rejected as a loop, every time.
    fn upstreams_that_are_the_gateway(
        &mut self,
        root: &Scope<'a>,
        server: &server::Settings,
        admin: &admin::Settings,
    ) {
        let listen = server.address.ip();
        for field in root.entries(&keys::UPSTREAMS) {
            let path = format!("upstreams.{}", field.key);
            let scope = Scope::of(Some(&field.item), keys::UPSTREAM, path);
            let Some(url) = scope.written_value(&keys::URL) else { continue };
            let here = match url.origin.host.parse::<IpAddr>() {
                Ok(address) => {
                    address == listen || address.is_loopback() && listen.is_unspecified()
                }
                Err(_) => {
                    &*url.origin.host == "localhost"
                        && (listen.is_loopback() || listen.is_unspecified())
                }
            };
            if here && url.origin.port == server.address.port() {
                let message = "this is the gateway's own `listen.address`: every call is a loop";
                self.warn_at(&scope, &keys::URL, message);
            }
            if here && url.origin.port == admin.address.port() {
                let message = "this is the gateway's own `admin.address`: clients would reach what \
                               is for operators";
                self.warn_at(&scope, &keys::URL, message);
            }
        }
    }

    /// Own dialects that no upstream uses, and rules of theirs that never apply.
    fn unused_dialects(&mut self, root: &Scope<'a>) {
        for field in root.entries(&keys::DIALECTS) {
            let mut values = self.provenance.all().iter();
            let used = values.any(|it| it.key.ends_with(".dialect") && it.value == *field.key);
            // A file in the folder of dialects may lie ready for later.
            let in_its_own_file = self.diagnostics.sources.folder(field.at).ends_with("dialects");
            if used {
                self.rules_that_never_apply(root, field);
            } else if !in_its_own_file {
                let message = "no upstream uses this dialect; `dialect: NAME` there selects it";
                self.warn(field.at, &format!("dialects.{}", field.key), message);
            }
        }
    }
}

/// The key of an allowance.
fn entry_key(upstream: &Scope<'_>, allowance: &Field) -> String {
    format!("{}.{}", upstream.key(&keys::ALLOWANCES), allowance.key)
}

/// The longest route wins, so calls below the route of another upstream never get here.
fn behind_longer_route(
    upstream: &KnownUpstream<'_, '_>,
    path: &str,
    prefix: &str,
) -> Option<String> {
    let literal = format!("{prefix}{}", path.split_once("/*").map_or(path, |(start, _)| start));
    let host = |field: &Field| {
        Scope::of(Some(&field.item), keys::UPSTREAM, "").written_value(&keys::ROUTE_HOST)
    };
    let longer = upstream.root.entries(&keys::UPSTREAMS).iter().find(|other| {
        let theirs = prefix_of(other);
        let below = literal.strip_prefix(&*theirs).is_some_and(|rest| {
            prefix.len() < theirs.len() && (rest.is_empty() || rest.starts_with('/'))
        });
        below && host(other) == host(upstream.field)
    })?;
    Some(format!(
        "no call gets here: those to `{literal}` go to `upstreams.{}`, whose route is longer",
        longer.key
    ))
}

/// Whether one grant is always used up before the other; of two equal ones, the first named.
fn always_first(stricter: &Grant, wider: &Grant, named_first: bool) -> bool {
    match (stricter, wider) {
        (
            Grant::Window { limit, window, .. },
            Grant::Window { limit: more, window: longer, .. },
        ) => {
            if (limit, window) == (more, longer) {
                return named_first;
            }
            // In any `longer`, the stricter one lets so many pass.
            let windows = longer.as_nanos().div_ceil(window.as_nanos().max(1));
            u128::from(*limit) * windows <= u128::from(*more)
        }
        (Grant::Concurrency { limit }, Grant::Concurrency { limit: more }) => {
            limit < more || limit == more && named_first
        }
        (
            Grant::Window { .. }
            | Grant::Calendar { .. }
            | Grant::Bucket { .. }
            | Grant::Concurrency { .. },
            _,
        ) => false,
    }
}

/// The prefix that the route of an upstream removes, without a trailing slash.
fn prefix_of(upstream: &Field) -> Box<str> {
    let scope = Scope::of(Some(&upstream.item), keys::UPSTREAM, "");
    match scope.written_value(&keys::ROUTE_PATH) {
        Some(prefix) => prefix,
        None if scope.own(&keys::ROUTE_HOST).is_some() => "".into(),
        None => format!("/{}", upstream.key).into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::warnings_of;

    /// Whether exactly one warning is about this key, and says this.
    #[track_caller]
    fn warned(text: &str, key: &str, words: &str) {
        let warnings = warnings_of(text);
        let found: Vec<_> = warnings
            .iter()
            .filter(|it| it.starts_with(&format!("{key}: ")) && it.contains(words))
            .collect();
        assert_eq!(found.len(), 1, "{key}: {warnings:#?}");
        assert!(found[0].contains(words), "{words}: {found:?}");
    }

    fn vendor(rest: &str) -> String {
        format!("upstreams: {{ vendor: {{ url: 'https://api.example/v1', {rest} }} }}")
    }

    #[test]
    fn a_path_that_no_call_has_gives_a_warning() {
        let rows = [
            ("/vendor/orders", "write `/orders`"),
            ("/vendor/v1/orders/*", "write `/orders/*`"),
            ("/vendor", "write `/`"),
            ("/v1/orders", "write `/orders`"),
            ("/v1", "write `/`"),
            ("/orders?page=1", "query"),
            ("/orders/{id}", "`*` stands for one segment"),
            ("/orders/:id/items", "`*` stands for one segment"),
            ("/orders/<id>", "`*` stands for one segment"),
            ("/büro", "percent-encoded"),
            ("/a/../b", "`..`"),
            ("/a//b", "two slashes"),
        ];
        for (path, words) in rows {
            let matched = format!("match: {{ path: '{path}' }}");
            let text = vendor(&format!("allowances: {{ all: {{ limit: 1/s, {matched} }} }}"));
            warned(&text, "upstreams.vendor.allowances.all.match.path", words);
            let text = vendor(&format!("allowances: {{ all: 1/s }}, routes: [{{ {matched} }}]"));
            warned(&text, "upstreams.vendor.routes.0.match.path", words);
            let exempt = format!("exempt: [{{ path: /x }}, {{ path: '{path}' }}]");
            let text = vendor(&format!("allowances: {{ all: {{ limit: 1/s, {exempt} }} }}"));
            warned(&text, "upstreams.vendor.allowances.all.exempt.1.path", words);
        }
        for path in ["/orders", "/vendors/1", "/v12/x", "/**", "/*/v1", "/a/b:cancel", "/a/"] {
            let text =
                format!("allowances: {{ all: {{ limit: 1/s, match: {{ path: '{path}' }} }} }}");
            assert_eq!(warnings_of(&vendor(&text)), [""; 0], "{path}");
        }
        let text =
            "upstreams: { v: { url: 'https://a.b', route: /, allowances: { all: { limit: 1/s,
            match: { path: /v/x } } } } }";
        assert_eq!(warnings_of(text), [""; 0]);
    }

    #[test]
    fn a_route_behind_a_wider_one_gives_a_warning() {
        let rows = [
            "{ path: /** }, { path: /a }",
            "{}, { path: /a, methods: [GET] }",
            "{ path: /a/* }, { path: /a/b }",
            "{ path: /a/** }, { path: /a }",
            "{ methods: [GET, POST], path: /a/** }, { methods: [POST], path: /a/*/c }",
            "{ path: /a }, { path: /a }",
        ];
        for entries in rows {
            let matched = entries.replace("}, {", "} }, { match: {");
            let text =
                vendor(&format!("allowances: {{ all: 1/s }}, routes: [{{ match: {matched} }}]"));
            warned(&text, "upstreams.vendor.routes.1", "the first match wins");
        }
        let reached = "routes: [{ match: { path: /a/* } }, { match: { path: /a/** } },
            { match: { methods: [GET], path: /b } }, { match: { path: /b } }]";
        let text = vendor(&format!("allowances: {{ all: 1/s }}, {reached}"));
        assert_eq!(warnings_of(&text), [""; 0]);
    }

    #[test]
    fn an_allowance_that_counts_nothing_or_never_binds_gives_a_warning() {
        let all = "upstreams.vendor.allowances";
        let rows = [
            ("a: { limit: 1/s, exempt: [{}] }", "a.exempt.0", "counts none"),
            (
                "a: { limit: 1/s, exempt: [{ path: /x }, { path: /** }] }",
                "a.exempt.1",
                "counts none",
            ),
            (
                "a: { limit: 1/s, match: { path: /x, methods: [GET] }, exempt: [{ path: /* }] }",
                "a.exempt.0",
                "counts none",
            ),
            ("a: 10/s, b: 1000/m", "b", "`a` counts the same calls"),
            ("a: 10/s, b: 10/s", "b", "never reached"),
            ("a: { concurrency: 4 }, b: { concurrency: 8 }", "b", "never reached"),
            ("a: 10/s, b: { limit: 700/m, match: { path: /x } }", "b", "never reached"),
            ("a: { limit: 1/s, match: { methods: [CONNECT] } }", "a.match.methods", "never sent"),
            (
                "a: { limit: 1/s, match: { path: /x }, exempt: [{ path: /y }] }",
                "a.exempt.0",
                "exempts nothing",
            ),
            (
                "a: { limit: 1/s, match: { methods: [GET] },
                exempt: [{ path: /y, methods: [PUT] }] }",
                "a.exempt.0",
                "exempts nothing",
            ),
            (
                "a: { limit: 1/s, match: { path: /x/* }, exempt: [{ path: /x }, { path: /x/y }] }",
                "a.exempt.0",
                "exempts nothing",
            ),
        ];
        for (allowances, key, words) in rows {
            let text = vendor(&format!("allowances: {{ {allowances} }}"));
            warned(&text, &format!("{all}.{key}"), words);
        }
        for fine in [
            "a: 10/s, b: 500/m",
            "a: { limit: 10/s, match: { path: /x } }, b: 1000/m",
            "a: { limit: 10/s, mode: observe }, b: 1000/m",
            "a: { limit: 1/s, exempt: [{ path: /x }] }",
            "a: { limit: 1/s, match: { path: /x }, exempt: [{ path: /X/ }] }",
            "a: { limit: 1/s, match: { methods: [GET] }, exempt: [{ methods: [HEAD] }] }",
            "a: { limit: 1/s, match: { path: /x/** }, exempt: [{ path: /*/y }] }",
            "a: 10/s, b: { concurrency: 4 }",
            "a: 10/s, b: { limit: 700/m, cost: 5 }",
        ] {
            let warnings = warnings_of(&vendor(&format!("allowances: {{ {fine} }}")));
            let unused = |it: &&String| !it.contains("forgotten");
            assert_eq!(warnings.iter().find(unused), None, "{fine}");
        }
    }

    #[test]
    fn a_setting_that_another_disables_gives_a_warning() {
        let upstream = |rest: &str| vendor(&format!("allowances: {{ all: 1/s }}, {rest}"));
        let v = "upstreams.vendor";
        let rows = [
            (vendor("status: map"), v.to_owned(), "nothing is limited"),
            (
                vendor("allowances: { a: { limit: 1/s, mode: observe } }"),
                v.to_owned(),
                "only observes",
            ),
            (
                upstream("retry: { attempts: 1, budget: 5% }"),
                format!("{v}.retry.budget"),
                "no retry",
            ),
            (
                upstream("retry: { attempts: 1 }, idempotency: { add: true }"),
                format!("{v}.idempotency.add"),
                "of use to a retry",
            ),
            (upstream("queue: { max: 0 }, wait: { default: 5s }"), format!("{v}.wait"), "waits"),
            (upstream("timeouts: { attempt: 1ms }"), format!("{v}.timeouts.attempt"), "1ms"),
            (
                upstream("idempotency_header: Content-Type"),
                format!("{v}.idempotency.header"),
                "nearly every request",
            ),
            (
                vendor("allowances: { a: { concurrency: 2 } }, expose: { rate_limit: true }"),
                format!("{v}.expose.rate_limit"),
                "no allowance with a window",
            ),
            (
                vendor("allowances: { a: { concurrency: 300 } }, protocol: http1"),
                format!("{v}.allowances.a.concurrency"),
                "`connections.max` is 256",
            ),
            (
                upstream("replay: { max_body: 64MiB } } }\nreplay: { total: 1MiB }\n#"),
                format!("{v}.replay.max_body"),
                "`replay.total` is less",
            ),
            (
                "upstreams: { me: { url: 'http://localhost:8080', allowances: { a: 1/s } } }"
                    .into(),
                "upstreams.me.url".into(),
                "loop",
            ),
            (
                format!("{}\ntelemetry: {{ log: {{ level: warn, access: all }} }}", upstream("")),
                "telemetry.log.access".into(),
                "level info",
            ),
            (
                format!("{}\ndialects: {{ own: {{}} }}", upstream("")),
                "dialects.own".into(),
                "no upstream uses",
            ),
        ];
        for (text, key, words) in rows {
            warned(&text, &key, words);
        }
    }

    #[test]
    fn a_loop_a_hidden_route_and_a_header_named_false_give_warnings() {
        let rows: [(String, String, &str); 3] = [
            (
                vendor("allowances: { all: 1/s }, idempotency_header: false"),
                "upstreams.vendor.idempotency.header".into(),
                "taken for the name of a header",
            ),
            (
                "upstreams: { me: { url: 'http://127.0.0.1:9900', allowances: { a: 1/s } } }"
                    .into(),
                "upstreams.me.url".into(),
                "for operators",
            ),
            (
                "upstreams: { a: { url: 'https://a.b', route: /x, allowances: { a: { limit: 1/s,
                match: { path: /y/z } } } }, b: { url: 'https://b.c', route: /x/y,
                allowances: { a: 1/s } } }"
                    .into(),
                "upstreams.a.allowances.a.match.path".into(),
                "go to `upstreams.b`",
            ),
        ];
        for (text, key, words) in rows {
            warned(&text, &key, words);
        }
        let other =
            "upstreams: { a: { url: 'https://a.b', route: /x, allowances: { a: { limit: 1/s,
            match: { path: /* } } } }, b: { url: 'https://b.c', route: /x/y,
            allowances: { a: 1/s } } }";
        assert_eq!(warnings_of(other), [""; 0]);
    }
}
