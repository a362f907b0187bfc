//! The policy of one kind of call, from `defaults`, the dialect, the upstream and the route entry.

use std::sync::Arc;
use std::time::Duration;

use super::reader::{Resolver, Scope};
use crate::config::format::Length;
use crate::config::item::Item;
use crate::config::keys::{self, Declaration};
use crate::config::provenance::Origin;
use crate::dialect::Dialect;
use crate::gateway::{AddKey, CallPolicy, Expose, Idempotency, Inspect, Repeat};
use crate::outcome::Support;
use crate::retry::backoff::Backoff;
use crate::routing::call_matcher::CallMatcher;
use crate::routing::route::Matcher;

impl<'a> Resolver<'a> {
    /// The policy of a scope; `None` when its dialect is faulty or not defined.
    pub(super) fn call_policy(&mut self, scope: &Scope<'a>) -> Option<CallPolicy> {
        let dialect = self.dialect(scope);
        let attempt_timeout = self.attempt_timeout(scope, dialect.as_deref());
        let dialect = dialect.map(|dialect| self.described(scope, dialect));
        let (wait, wait_max) = self.wait(scope);
        let policy = CallPolicy {
            attempt_timeout,
            idle_timeout: self.get(scope, &keys::IDLE_TIMEOUT),
            request_rate: self.get(scope, &keys::REQUEST_RATE),
            wait,
            wait_max,
            attempts: self.get(scope, &keys::ATTEMPTS),
            backoff: self.backoff(scope),
            budget_percent: self.get(scope, &keys::RETRY_BUDGET),
            replay_body_max: self.get(scope, &keys::REPLAY_BODY),
            client_retries: self.get(scope, &keys::CLIENT_RETRIES),
            idempotency: Idempotency {
                header: self.get(scope, &keys::IDEMPOTENCY_HEADER).name,
                add: match self.get(scope, &keys::IDEMPOTENCY_ADD) {
                    true => AddKey::IfAbsent,
                    false => AddKey::Never,
                },
            },
            status: self.get(scope, &keys::STATUS),
            errors: self.get(scope, &keys::ERRORS),
            errors_allowed: self
                .layered_list(scope, &keys::ERRORS_ALLOWED)
                .map(|shapes| shapes.into_iter().collect()),
            redirects: self.get(scope, &keys::REDIRECTS),
            client_address: self.get(scope, &keys::CLIENT_ADDRESS),
            repeat: Repeat::ByMethod,
            inspect: match self.get(scope, &keys::INSPECT_SUCCESS) {
                true => Inspect::SuccessToo,
                false => Inspect::Errors,
            },
            require: Vec::new(),
            expose: Expose {
                server_timing: self.get(scope, &keys::EXPOSE_SERVER_TIMING),
                rate_limit: self.get(scope, &keys::EXPOSE_RATE_LIMIT),
            },
            dialect: dialect?,
        };
        Some(policy)
    }

    /// The policy of a route entry, with the settings that only such an entry has.
    pub(super) fn entry_policy(&mut self, scope: &Scope<'a>) -> Option<CallPolicy> {
        let repeatable = self.get(scope, &keys::REPEATABLE);
        let require = self.list(scope, &keys::REQUIRE);
        Some(CallPolicy {
            repeat: if repeatable { Repeat::Declared } else { Repeat::ByMethod },
            require: require.into_iter().map(|header| header.name).collect(),
            ..self.call_policy(scope)?
        })
    }

    /// What the dialect promises is stronger than `defaults` and weaker than the upstream.
    fn attempt_timeout(&mut self, scope: &Scope<'a>, dialect: Option<&Dialect>) -> Duration {
        let promised = dialect.and_then(|dialect| Some((dialect, dialect.attempt_timeout?)));
        match promised {
            Some((dialect, promised)) if scope.strong(&keys::ATTEMPT_TIMEOUT).is_none() => {
                let origin = Origin::Dialect(dialect.name.to_string());
                let value = Length(promised).to_string();
                self.record(scope, &keys::ATTEMPT_TIMEOUT, value, origin);
                promised
            }
            Some(_) | None => self.get(scope, &keys::ATTEMPT_TIMEOUT),
        }
    }

    /// The dialect with the documentation and the support contact of the scope, which are weaker
    /// than the dialect's own where they are written under `defaults`.
    fn described(&mut self, scope: &Scope<'a>, dialect: Arc<Dialect>) -> Arc<Dialect> {
        let has = |written: Option<&Item>, known: bool, weak: Option<&Item>| {
            written.or(if known { None } else { weak }).is_some()
        };
        let weak = |setting: &dyn Declaration| scope.weak.and_then(|it| it.find(setting.path()));
        let (strong, known) = (scope.strong(&keys::DOCUMENTATION), dialect.documentation.is_some());
        let documentation = has(strong, known, weak(&keys::DOCUMENTATION))
            .then(|| self.optional(scope, &keys::DOCUMENTATION))
            .flatten();
        let (strong, known) = (scope.strong(&keys::SUPPORT_CONTACT), dialect.support.is_some());
        let contact = has(strong, known, weak(&keys::SUPPORT_CONTACT))
            .then(|| self.optional(scope, &keys::SUPPORT_CONTACT))
            .flatten();
        if documentation.is_none() && contact.is_none() {
            return dialect;
        }
        let support = contact.map(|contact| {
            let when = self.get(scope, &keys::SUPPORT_WHEN);
            Support { contact: contact.as_ref().into(), when }
        });
        Arc::new(Dialect {
            documentation: documentation
                .map(|it| it.as_ref().into())
                .or_else(|| dialect.documentation.clone()),
            support: support.or_else(|| dialect.support.clone()),
            ..(*dialect).clone()
        })
    }

    fn wait(&mut self, scope: &Scope<'a>) -> (Duration, Duration) {
        let wait = self.get(scope, &keys::WAIT_DEFAULT);
        let max = self.get(scope, &keys::WAIT_MAX);
        if wait > max {
            let written = scope.written(&keys::WAIT_DEFAULT);
            let written = written.or_else(|| scope.written(&keys::WAIT_MAX));
            let message =
                format!("`wait.default` {} is more than `wait.max` {}", Length(wait), Length(max));
            let key = scope.key(&keys::WAIT_DEFAULT);
            self.conflict(written.map(|it| it.at), key, message, "a default up to the maximum");
        }
        (wait, max)
    }

    fn backoff(&mut self, scope: &Scope<'a>) -> Backoff {
        let base = self.get(scope, &keys::BACKOFF_BASE);
        let factor = self.get(scope, &keys::BACKOFF_FACTOR);
        let max = self.get(scope, &keys::BACKOFF_MAX);
        if base > max {
            let written = scope.written(&keys::BACKOFF_BASE);
            let written = written.or_else(|| scope.written(&keys::BACKOFF_MAX));
            let (shown, limit) = (Length(base), Length(max));
            let message = format!("`backoff.base` {shown} is more than `backoff.max` {limit}");
            let key = scope.key(&keys::BACKOFF_BASE);
            self.conflict(written.map(|it| it.at), key, message, "a base up to the maximum");
        }
        Backoff { base, factor, max }
    }
}

/// Which calls a `match` or an entry of `exempt` is for.
pub(super) fn matcher(item: &Item) -> Matcher {
    let scope = Scope::of(Some(item), keys::MATCHER, "");
    let path = scope.written_value(&keys::MATCH_PATH).map(|path| path.pattern);
    Matcher { methods: scope.written_list(&keys::MATCH_METHODS), path }
}

pub(super) fn call_matcher(item: &Item) -> CallMatcher {
    let scope = Scope::of(Some(item), keys::CALL_MATCHER, "");
    CallMatcher {
        matcher: matcher(item),
        headers: scope.written_list(&keys::MATCH_HEADERS).unwrap_or_default(),
        query: scope.written_list(&keys::MATCH_QUERY).unwrap_or_default(),
    }
}
