//! Settings for the tests of `explain`, after the documentation of Wordbee.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, Method};

use crate::allowance::{AccountRule, Allowance, Grant, QueueBounds, Spread};
use crate::config::Settings;
use crate::dialect::{Dialect, Extract, HoldRule, Replay, Rule, RuleScope, When};
use crate::outcome::{Code, HoldCause};
use crate::retry::backoff::Backoff;
use crate::retry::client::ClientRetries;
use crate::routing::client::Clients;
use crate::routing::route::{Entry, Matcher, Routes};
use crate::{admin, gateway, server, telemetry, upstream};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(in crate::cli) fn settings() -> Settings {
    let address = "127.0.0.1:0".parse().unwrap();
    let entry = Entry { host: None, prefix: "/wordbee".into(), upstream: 0 };
    Settings {
        server: server::Settings {
            address,
            workers: 1,
            head_timeout: seconds(10),
            idle_timeout: seconds(75),
            connections_max: 100,
            head_bytes_max: 32 << 10,
            headers_max: 100,
            target_bytes_max: 8 << 10,
            streams_max: 100,
            shutdown: server::Shutdown { delay: seconds(0), grace: seconds(30) },
        },
        admin: admin::Settings { address, tokens: Vec::new() },
        gateway: gateway::Settings {
            clients: Clients::without_keys(HeaderName::from_static("evenkeel-key")),
            client_limits: vec![None],
            client_errors: vec![None],
            client_retries: vec![None],
            routes: Routes::new(vec![entry]),
            upstreams: vec![wordbee()],
            replay_bytes_max: 64 << 20,
            accounts_max: 10_000,
            via: "evenkeel".into(),
        },
        upstreams: vec![upstream::Settings {
            name: "wordbee".into(),
            origin: upstream::Origin {
                scheme: upstream::Scheme::Https,
                authority: "acme.example".parse().unwrap(),
                host: "acme.example".into(),
                port: 443,
            },
            protocol: upstream::Protocol::Auto,
            roots: upstream::TlsRoots::System,
            connect_timeout: seconds(3),
            connections_max: 256,
            idle_timeout: seconds(15),
            response_limits: upstream::ResponseLimits {
                head_bytes_max: 64 << 10,
                headers_max: 256,
            },
        }],
        telemetry: telemetry::Settings {
            level: "info".into(),
            access: telemetry::Access::All,
            format: telemetry::Format::Text,
        },
        state: None,
        store: None,
    }
}

fn wordbee() -> gateway::Upstream {
    let search =
        Matcher { methods: Some(vec![Method::POST]), path: Some("/search".parse().unwrap()) };
    let declared = gateway::CallPolicy { repeat: gateway::Repeat::Declared, ..policy() };
    gateway::Upstream {
        name: "wordbee".into(),
        origin: "https://acme.example".into(),
        base_path: "/api".into(),
        account: AccountRule::Header(HeaderName::from_static("x-auth-accountid")),
        allowances: vec![hourly()],
        queue: QueueBounds::of_one_client(1_000),
        credential: None,
        routes: vec![(search, declared)],
        policy: policy(),
    }
}

fn hourly() -> Allowance {
    let login = Matcher { methods: None, path: Some("/auth/token".parse().unwrap()) };
    let spread = Spread::Even { burst: 20 };
    let grant = Grant::Window { limit: 1000, window: seconds(3600), spread, arrival_guard: None };
    let exempt = vec![login];
    let exempt = exempt.into_iter().map(Into::into).collect();
    Allowance { exempt, ..Allowance::new("hourly", grant, Duration::from_secs(1)) }
}

fn policy() -> gateway::CallPolicy {
    let base = Duration::from_millis(250);
    gateway::CallPolicy {
        attempt_timeout: seconds(60),
        idle_timeout: seconds(30),
        request_rate: 1024,
        wait: seconds(30),
        wait_max: seconds(600),
        attempts: 4,
        backoff: Backoff { base, factor: 2.0, max: seconds(10) },
        budget_percent: 10,
        replay_body_max: 256 << 10,
        client_retries: ClientRetries::AsRequested,
        idempotency: gateway::Idempotency {
            header: HeaderName::from_static("idempotency-key"),
            add: gateway::AddKey::Never,
        },
        status: crate::problem::StatusPolicy::Map,
        errors: gateway::ErrorShape::Problem,
        errors_allowed: None,
        redirects: gateway::Redirects::Rewrite,
        client_address: gateway::ClientAddress::Drop,
        repeat: gateway::Repeat::ByMethod,
        inspect: gateway::Inspect::Errors,
        require: Vec::new(),
        expose: gateway::Expose::default(),
        dialect: Arc::new(dialect()),
    }
}

fn dialect() -> Dialect {
    Dialect {
        name: "wordbee".into(),
        guesses: false,
        documentation: None,
        support: None,
        attempt_timeout: Some(seconds(60)),
        spreads_evenly: false,
        extract: Extract::default(),
        own: None,
        rules: vec![throttled()],
    }
}

fn throttled() -> Rule {
    Rule {
        name: "throttled".into(),
        when: When { status: vec![(429, 429)], ..When::default() },
        code: Code::RateLimited,
        replay: Replay::ByTable,
        retry: None,
        hold: Some(HoldRule {
            scope: RuleScope::Allowance,
            cause: HoldCause::Throttle,
            length: None,
            at_least: seconds(10),
            slow_sixteenths: 8,
        }),
        status: None,
        support: None,
    }
}
