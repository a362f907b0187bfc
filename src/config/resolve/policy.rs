//! The policy of one kind of call, from `defaults`, the dialect, the upstream and the route entry.

use std::time::Duration;

use super::reader::{Resolver, Scope};
use crate::config::format::Length;
use crate::config::item::Item;
use crate::config::keys;
use crate::config::provenance::Origin;
use crate::dialect::Dialect;
use crate::gateway::{AddKey, CallPolicy, Expose, Idempotency, Inspect, Repeat};
use crate::retry::backoff::Backoff;
use crate::routing::route::Matcher;

impl<'a> Resolver<'a> {
    /// The policy of a scope; `None` when its dialect is faulty or not defined.
    pub(super) fn call_policy(&mut self, scope: &Scope<'a>) -> Option<CallPolicy> {
        let dialect = self.dialect(scope);
        let attempt_timeout = self.attempt_timeout(scope, dialect.as_deref());
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
            redirects: self.get(scope, &keys::REDIRECTS),
            client_address: self.get(scope, &keys::CLIENT_ADDRESS),
            repeat: Repeat::ByMethod,
            inspect: Inspect::Errors,
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
        let inspect_success = self.get(scope, &keys::INSPECT_SUCCESS);
        let require = self.list(scope, &keys::REQUIRE);
        Some(CallPolicy {
            repeat: if repeatable { Repeat::Declared } else { Repeat::ByMethod },
            inspect: if inspect_success { Inspect::SuccessToo } else { Inspect::Errors },
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
