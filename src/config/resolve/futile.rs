//! What is allowed and can never do what somebody wrote it for: a path that no call has, a route
//! that is never reached, an allowance that counts nothing.
//!
//! Such settings are warned of and not refused: they harm nobody, and generated files may have
//! them for a while.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::policy::plain;
use super::reach::{Reach, items, never_a_path};
use super::{Resolver, Scope};
use crate::allowance::{Allowance, Grant, Mode};
use crate::config::check::{Field, Held, Item};
use crate::config::scalar::{Length, Plain, Url};
use crate::config::tree::At;
use crate::dialect::When;
use crate::server;
use crate::upstream::Scheme;

/// No answer comes over a network sooner; a shorter attempt only ever fails.
const ATTEMPT_MIN: Duration = Duration::from_millis(10);

/// Methods of calls that are never sent on, whatever a matcher says.
const NEVER_SENT: [&str; 2] = ["CONNECT", "TRACE"];

/// Headers that nearly every request has: none of them makes a request safe to repeat.
const USUAL_HEADERS: [&str; 9] = [
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

/// Words that switch something on or off elsewhere, and are names of headers here.
const SWITCH_WORDS: [&str; 8] = ["false", "true", "off", "on", "no", "yes", "none", "null"];

/// One upstream as far as it was understood.
pub(super) struct Seen<'s, 'a> {
    pub(super) field: &'a Field,
    pub(super) scope: &'s Scope<'a>,
    pub(super) url: Option<&'s Url>,
    pub(super) allowances: &'s [Allowance],
}

impl<'a> Resolver<'a> {
    pub(super) fn warn_of_futile(&mut self, seen: &Seen<'_, 'a>) {
        self.no_allowance(seen);
        self.idle_settings(seen);
        self.matchers(seen);
        self.hidden_routes(seen);
        self.allowances_that_never_bind(seen);
        self.exempt_from_everything(seen);
    }

    fn warn(&mut self, at: At, key: &str, message: &str) {
        let place = self.faults.sources.position(at);
        self.warnings.push(format!("{key}: {message} ({place})"));
    }

    fn no_allowance(&mut self, seen: &Seen<'_, 'a>) {
        let key = format!("upstreams.{}", seen.field.key);
        let observed = |allowance: &&Allowance| allowance.mode == Mode::Observe;
        if seen.scope.own(&["allowances"]).is_none_or(|item| item.fields().is_empty()) {
            let message = "there is no allowance, so nothing is limited: \
                           `allowances: { all: 10/s }` says what the vendor grants";
            self.warn(seen.field.at, &key, message);
        } else if !seen.allowances.is_empty() && seen.allowances.iter().all(|it| observed(&it)) {
            let message = "every allowance only observes, so nothing is limited";
            self.warn(seen.field.at, &key, message);
        }
    }

    /// Settings that another setting of the same upstream makes idle.
    fn idle_settings(&mut self, seen: &Seen<'_, 'a>) {
        let scope = seen.scope;
        let count = |path: &[&str]| scope.written(path).and_then(|item| plain(item)?.count());
        if count(&["retry", "attempts"]) == Some(1) {
            for path in [&["retry", "backoff"][..], &["retry", "budget"]] {
                if let Some(item) = scope.own(path) {
                    self.warn(item.at, &scope.key(path), "with one attempt there is no retry");
                }
            }
        }
        if count(&["queue", "max"]) == Some(0)
            && let Some(item) = scope.own(&["wait"])
        {
            let message = "with `queue.max: 0` no call waits for a slot";
            self.warn(item.at, &scope.key(&["wait"]), message);
        }
        self.short_timeouts(seen);
        self.rate_limit_of_nothing(seen);
        self.usual_idempotency_header(scope);
        self.more_calls_than_connections(seen);
    }

    fn short_timeouts(&mut self, seen: &Seen<'_, 'a>) {
        let path = ["timeouts", "attempt"];
        let length = |item: &Item| plain(item)?.duration().filter(|length| *length < ATTEMPT_MIN);
        if let Some(item) = seen.scope.own(&path)
            && let Some(length) = length(item)
        {
            let message = format!("no answer comes within {} over a network", Length(length));
            self.warn(item.at, &seen.scope.key(&path), &message);
        }
    }

    fn rate_limit_of_nothing(&mut self, seen: &Seen<'_, 'a>) {
        let path = ["expose", "rate_limit"];
        let windows = |it: &Allowance| matches!(it.grant, Grant::Window { .. });
        if let Some(item) = seen.scope.own(&path)
            && plain(item) == Some(&Plain::Flag(true))
            && !seen.allowances.iter().any(windows)
        {
            let message = "there is no allowance with a window to tell of";
            self.warn(item.at, &seen.scope.key(&path), message);
        }
    }

    fn usual_idempotency_header(&mut self, scope: &Scope<'a>) {
        let path = ["idempotency_header"];
        let Some(item) = scope.own(&path) else { return };
        let Some(name) = plain(item).and_then(Plain::header) else { return };
        if USUAL_HEADERS.contains(&name.as_str()) {
            let message = format!(
                "nearly every request has `{name}`, so every POST would count as safe to repeat"
            );
            self.warn(item.at, &scope.key(&path), &message);
        }
        if SWITCH_WORDS.contains(&name.as_str()) {
            let message = format!(
                "`{name}` is taken for the name of a header; without one no request is safe to \
                 repeat by its key, which is harmless"
            );
            self.warn(item.at, &scope.key(&path), &message);
        }
    }

    /// Without HTTP/2 every call needs a connection of its own.
    fn more_calls_than_connections(&mut self, seen: &Seen<'_, 'a>) {
        let (scope, path) = (seen.scope, ["connections", "max"]);
        let word = scope.written(&["protocol"]).and_then(plain).map(Plain::to_string);
        let clear = seen.url.is_some_and(|url| url.origin.scheme == Scheme::Http);
        let one_each = match word.as_deref() {
            Some("http1") => true,
            Some("http2") => false,
            _ => clear,
        };
        let max = scope.written(&path).and_then(|item| plain(item)?.count());
        let max = max.unwrap_or(crate::config::defaults::CONNECTIONS);
        for allowance in seen.allowances.iter().filter(|_| one_each) {
            let Grant::Concurrency { limit } = allowance.grant else { continue };
            if max < u64::from(limit)
                && let Some(item) = scope.own(&["allowances", &allowance.name])
            {
                let key = scope.key(&["allowances", &allowance.name, "concurrency"]);
                let message = format!(
                    "{limit} calls at a time are never reached: `connections.max` is {max}, and \
                     over HTTP/1.1 each call needs a connection"
                );
                self.warn(item.at, &key, &message);
            }
        }
    }

    /// Every matcher of an upstream: whether a call can ever meet it.
    fn matchers(&mut self, seen: &Seen<'_, 'a>) {
        let scope = seen.scope;
        let mut all = Vec::new();
        for field in scope.own(&["allowances"]).map_or(&[] as &[Field], |item| item.fields()) {
            let key = scope.key(&["allowances", &field.key]);
            let matched = field.item.field("match").map(|field| &field.item);
            all.extend(matched.map(|item| (format!("{key}.match"), item)));
            let exempt =
                field.item.field("exempt").map_or(&[] as &[Item], |field| items(&field.item));
            let numbered = exempt.iter().enumerate();
            all.extend(numbered.map(|(n, item)| (format!("{key}.exempt.{n}"), item)));
        }
        for (number, entry) in
            scope.own(&["routes"]).map_or(&[] as &[Item], items).iter().enumerate()
        {
            let key = scope.key(&["routes", &number.to_string(), "match"]);
            all.extend(entry.field("match").map(|field| (key, &field.item)));
        }
        let prefix = prefix_of(seen.field);
        let base = seen.url.map_or("", |url| &*url.path);
        for (key, item) in all {
            if let Some(field) = item.field("path")
                && let Some(Plain::Pattern(text, _)) = plain(&field.item)
                && let Some(message) = never_a_path(text, &prefix, base)
            {
                self.warn(field.item.at, &format!("{key}.path"), &message);
            }
            self.behind_another_route(seen, (&key, item), &prefix);
            self.methods_never_sent(&key, item);
        }
    }

    /// The longest route wins, so calls below the route of another upstream never come here.
    fn behind_another_route(
        &mut self,
        seen: &Seen<'_, 'a>,
        (key, item): (&str, &'a Item),
        own: &str,
    ) {
        let Some(path) = item.field("path") else { return };
        let Some(Plain::Pattern(text, _)) = plain(&path.item) else { return };
        let literal = format!("{own}{}", text.split_once("/*").map_or(&**text, |(start, _)| start));
        let host = |field: &'a Field| field.item.find(["route", "host"]).and_then(plain);
        let upstreams = self.root.field("upstreams").map_or(&[] as &[Field], |it| it.item.fields());
        let longer = upstreams.iter().find(|other| {
            let theirs = prefix_of(other);
            let below = literal.strip_prefix(&*theirs).is_some_and(|rest| {
                own.len() < theirs.len() && (rest.is_empty() || rest.starts_with('/'))
            });
            below && host(other) == host(seen.field)
        });
        if let Some(other) = longer {
            let message = format!(
                "no call gets here: those to `{literal}` go to `upstreams.{}`, whose route is longer",
                other.key
            );
            self.warn(path.item.at, &format!("{key}.path"), &message);
        }
    }

    fn methods_never_sent(&mut self, key: &str, item: &Item) {
        let Some(field) = item.field("methods") else { return };
        let methods: Vec<_> =
            items(&field.item).iter().filter_map(plain).map(Plain::to_string).collect();
        let never = |method: &String| NEVER_SENT.contains(&method.as_str());
        if !methods.is_empty() && methods.iter().all(never) {
            let message = format!("calls with {} are never sent on", methods.join(" and "));
            self.warn(field.item.at, &format!("{key}.methods"), &message);
        }
    }

    /// The first match wins, so an entry behind a wider one is never reached.
    fn hidden_routes(&mut self, seen: &Seen<'_, 'a>) {
        let entries = seen.scope.own(&["routes"]).map_or(&[] as &[Item], items);
        let reach = |entry: &'a Item| Some(Reach::of(&entry.field("match")?.item));
        for (number, entry) in entries.iter().enumerate() {
            let Some(here) = reach(entry) else { continue };
            let wider = |(_, earlier): &(usize, &'a Item)| {
                reach(earlier).is_some_and(|earlier| earlier.covers(&here))
            };
            let earlier = entries.iter().take(number).enumerate().find(wider);
            if let Some((first, _)) = earlier {
                let key = seen.scope.key(&["routes", &number.to_string()]);
                let message = format!(
                    "no call gets here: entry {first} before it matches them all, and the first \
                     match wins"
                );
                self.warn(entry.at, &key, &message);
            }
        }
    }

    fn exempt_from_everything(&mut self, seen: &Seen<'_, 'a>) {
        for field in seen.scope.own(&["allowances"]).map_or(&[] as &[Field], |item| item.fields()) {
            let counted =
                field.item.field("match").map_or_else(Reach::everything, |it| Reach::of(&it.item));
            let exempt = field.item.field("exempt").map_or(&[] as &[Item], |it| items(&it.item));
            let number = exempt.iter().position(|item| Reach::of(item).covers(&counted));
            if let Some(number) = number {
                let key =
                    seen.scope.key(&["allowances", &field.key, "exempt", &number.to_string()]);
                let message = "every call that the allowance counts is exempt, so it counts none";
                self.warn(exempt[number].at, &key, message);
            }
            for (number, item) in exempt.iter().enumerate() {
                if !Reach::of(item).meets(&counted) {
                    let number = number.to_string();
                    let key = seen.scope.key(&["allowances", &field.key, "exempt", &number]);
                    let message = "it exempts nothing: `match` counts none of these calls";
                    self.warn(item.at, &key, message);
                }
            }
        }
    }

    /// A wider allowance that a stricter one over the same calls never lets fill.
    fn allowances_that_never_bind(&mut self, seen: &Seen<'_, 'a>) {
        let fields = seen.scope.own(&["allowances"]).map_or(&[] as &[Field], |item| item.fields());
        let named = |name: &str| fields.iter().find(|field| *field.key == *name);
        for allowance in seen.allowances {
            let Some(field) = named(&allowance.name) else { continue };
            let counted = Reach::of_allowance(field);
            let stricter = seen.allowances.iter().find(|other| {
                other.name != allowance.name
                    && other.mode == Mode::Enforce
                    && other.exempt.is_empty()
                    && named(&other.name).is_some_and(|it| Reach::of_allowance(it).covers(&counted))
                    && always_first(&other.grant, &allowance.grant, other.name < allowance.name)
            });
            if let Some(stricter) = stricter {
                let key = seen.scope.key(&["allowances", &allowance.name]);
                let message = format!(
                    "it is never reached: `{}` counts the same calls and grants fewer",
                    stricter.name
                );
                self.warn(field.item.at, &key, &message);
            }
        }
    }

    /// What concerns the whole file.
    pub(super) fn warn_of_futile_whole(
        &mut self,
        root: &Scope<'a>,
        (server, admin): (&server::Settings, SocketAddr),
    ) {
        self.silent_access_log(root);
        self.unread_dialects();
        self.replay_larger_than_all(root);
        self.upstreams_that_are_ourselves(server, admin);
    }

    fn silent_access_log(&mut self, root: &Scope<'a>) {
        let path = ["telemetry", "log", "access"];
        let level = root.written(&["telemetry", "log", "level"]).and_then(plain);
        let level = level.map(Plain::to_string).unwrap_or_default();
        if let Some(item) = root.written(&path)
            && plain(item).is_some_and(|word| word.to_string() == "all")
            && ["off", "error", "warn"].contains(&level.as_str())
        {
            let message = format!("calls are logged at the level info, and `level` is {level}");
            self.warn(item.at, "telemetry.log.access", &message);
        }
    }

    fn replay_larger_than_all(&mut self, root: &Scope<'a>) {
        let total = self.bytes_known(root, &["replay", "total"]);
        let largest = |item: &'a Item| item.find(["replay", "max_body"]);
        let upstreams = root.own(&["upstreams"]).map_or(&[] as &[Field], |item| item.fields());
        let all = upstreams.iter().map(|field| (format!("upstreams.{}", field.key), &field.item));
        let defaults = root.own(&["defaults"]).map(|item| ("defaults".to_owned(), item));
        for (key, item) in all.chain(defaults) {
            let Some(item) = largest(item) else { continue };
            if plain(item).and_then(Plain::size).is_some_and(|bytes| total < bytes) {
                let message = "no body of that size is kept: `replay.total` is less";
                self.warn(item.at, &format!("{key}.replay.max_body"), message);
            }
        }
    }

    fn bytes_known(&self, root: &Scope<'a>, path: &[&str]) -> u64 {
        let written = root.written(path).and_then(|item| plain(item)?.size());
        written.unwrap_or(crate::config::defaults::REPLAY_TOTAL)
    }

    /// A call to ourselves is refused as a loop, every time.
    fn upstreams_that_are_ourselves(&mut self, server: &server::Settings, admin: SocketAddr) {
        let upstreams = self.root.field("upstreams").map_or(&[] as &[Field], |it| it.item.fields());
        for field in upstreams {
            let Some(item) = field.item.find(["url"]) else { continue };
            let Some(url) = plain(item).and_then(Plain::url) else { continue };
            let host = &*url.origin.host;
            let here = match host.parse::<IpAddr>() {
                Ok(address) => address == server.address.ip() || both_local(address, server),
                Err(_) => host == "localhost" && server_is_local(server),
            };
            let key = format!("upstreams.{}.url", field.key);
            if here && url.origin.port == server.address.port() {
                let message = "this is the gateway's own `listen.address`: every call is a loop";
                self.warn(item.at, &key, message);
            }
            if here && url.origin.port == admin.port() {
                let message = "this is the gateway's own `admin.address`: clients would reach what \
                               is for operators";
                self.warn(item.at, &key, message);
            }
        }
    }

    /// Own dialects that no upstream uses, and rules of theirs that are never met.
    fn unread_dialects(&mut self) {
        let fields = self.root.field("dialects").map_or(&[] as &[Field], |it| it.item.fields());
        for field in fields {
            let used = |known: &crate::config::Known| {
                known.key.ends_with(".dialect") && known.value == *field.key
            };
            let in_its_own_file = self.faults.sources.folder(field.at).ends_with("dialects");
            if !self.provenance.all().iter().any(used) && !in_its_own_file {
                let message = "no upstream speaks this dialect; `dialect: NAME` names it there";
                self.warn(field.at, &format!("dialects.{}", field.key), message);
            }
            // Of a dialect that lies ready beside the file nothing is expected.
            if self.provenance.all().iter().any(used) {
                self.unreached_rules_of(field);
            }
        }
    }

    fn unreached_rules_of(&mut self, field: &'a Field) {
        let Held::Data(node) = &field.item.held else { return };
        let Some(dialect) = self.dialects.known(&field.key) else { return };
        let looked_at = self.looks_at_successes();
        for (number, rule) in dialect.rules.iter().enumerate() {
            let earlier = dialect.rules[..number].iter().find(|it| hides(&it.when, &rule.when));
            let only_success = !rule.when.status.is_empty()
                && rule.when.status.iter().all(|(_, last)| *last < 400);
            let message = match earlier {
                Some(earlier) => {
                    format!("it is never met: `{}` before it applies first", earlier.name)
                }
                None if only_success && !looked_at => {
                    "it is never met: a success is only looked at where a route says \
                     `inspect_success: true`"
                        .to_owned()
                }
                None => continue,
            };
            let (at, _) = node.at_pointer(&format!("/rules/{number}"));
            self.warn(at, &format!("dialects.{}.rules.{number}", field.key), &message);
        }
    }

    fn looks_at_successes(&self) -> bool {
        let upstreams = self.root.field("upstreams").map_or(&[] as &[Field], |it| it.item.fields());
        let routes =
            upstreams.iter().filter_map(|field| field.item.find(["routes"])).flat_map(items);
        let flag = |entry: &Item| entry.find(["inspect_success"]).and_then(plain).cloned();
        routes.into_iter().any(|entry| flag(entry) == Some(Plain::Flag(true)))
    }
}

fn server_is_local(server: &server::Settings) -> bool {
    server.address.ip().is_loopback() || server.address.ip().is_unspecified()
}

fn both_local(address: IpAddr, server: &server::Settings) -> bool {
    address.is_loopback() && server.address.ip().is_unspecified()
}

/// Whether every outcome that a rule is for meets another one first.
fn hides(wide: &When, narrow: &When) -> bool {
    let only_status = |it: &When| {
        it.text.is_none() && it.code.is_empty() && it.body.is_empty() && it.header.is_empty()
    };
    let inside = |(first, last): &(u16, u16)| {
        wide.status.iter().any(|(from, to)| from <= first && last <= to)
    };
    let of_answers = wide.failure.is_empty() && narrow.failure.is_empty();
    if of_answers && only_status(wide) && !wide.status.is_empty() && !narrow.status.is_empty() {
        return narrow.status.iter().all(inside);
    }
    let only_text = wide.code.is_empty() && wide.body.is_empty() && wide.header.is_empty();
    let same_text = match (&wide.text, &narrow.text) {
        (Some(wide), Some(narrow)) => wide.as_str() == narrow.as_str(),
        (None, _) | (_, None) => false,
    };
    if of_answers && only_text && same_text {
        return wide.status.is_empty()
            || !narrow.status.is_empty() && narrow.status.iter().all(inside);
    }
    let failures = !wide.failure.is_empty() && !narrow.failure.is_empty();
    failures && narrow.failure.iter().all(|kind| wide.failure.contains(kind))
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
        (Grant::Window { .. }, Grant::Concurrency { .. })
        | (Grant::Concurrency { .. }, Grant::Window { .. }) => false,
    }
}

/// The prefix that the route of an upstream removes, without a trailing slash.
fn prefix_of(upstream: &Field) -> String {
    let written = upstream.item.find(["route", "path"]).and_then(|item| plain(item)?.prefix());
    match written {
        Some(prefix) => prefix.to_string(),
        None if upstream.item.find(["route", "host"]).is_some() => String::new(),
        None => format!("/{}", upstream.key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_path_that_no_call_has_is_warned_of() {
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
    fn a_route_behind_a_wider_one_is_warned_of() {
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
    fn an_allowance_that_counts_or_binds_nothing_is_warned_of() {
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
                "a: { limit: 1/s, match: { methods: [GET] }, exempt: [{ path: /y, methods: [PUT] }] }",
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
        ] {
            let warnings = warnings_of(&vendor(&format!("allowances: {{ {fine} }}")));
            let futile = |it: &&String| !it.contains("forgotten");
            assert_eq!(warnings.iter().find(futile), None, "{fine}");
        }
    }

    #[test]
    fn settings_that_others_make_idle_are_warned_of() {
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
            (upstream("queue: { max: 0 }, wait: { default: 5s }"), format!("{v}.wait"), "waits"),
            (upstream("timeouts: { attempt: 1ms }"), format!("{v}.timeouts.attempt"), "1ms"),
            (
                upstream("idempotency_header: Content-Type"),
                format!("{v}.idempotency_header"),
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
                "no upstream speaks",
            ),
        ];
        for (text, key, words) in rows {
            warned(&text, &key, words);
        }
    }

    #[test]
    fn routes_and_words_that_mean_something_else_are_warned_of() {
        let rows: [(String, String, &str); 3] = [
            (
                vendor("allowances: { all: 1/s }, idempotency_header: false"),
                "upstreams.vendor.idempotency_header".into(),
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

    #[test]
    fn a_rule_behind_one_with_the_same_text_is_never_met() {
        let when = |text: &str, status: &[(u16, u16)]| When {
            text: Some(regex::Regex::new(text).unwrap()),
            status: status.to_vec(),
            ..When::default()
        };
        let (busy, errors) = (when("busy", &[]), when("busy", &[(400, 499)]));
        let (late, not_found) = (when("late", &[]), when("busy", &[(404, 404)]));
        for (earlier, later) in [(&busy, &busy), (&busy, &errors), (&errors, &not_found)] {
            assert!(hides(earlier, later), "{earlier:?} {later:?}");
        }
        for (earlier, later) in [(&busy, &late), (&errors, &busy), (&not_found, &errors)] {
            assert!(!hides(earlier, later), "{earlier:?} {later:?}");
        }
    }
}
