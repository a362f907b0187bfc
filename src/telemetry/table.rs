//! Every metric, in one table: name, meaning, type and labels.
//!
//! Names: OpenTelemetry's HTTP conventions where they have one, and those of Prometheus' own
//! clients for the process, so that ready-made dashboards fit; `evenkeel_` before everything else.
//! No label ever comes from a request: upstreams, clients and policies are those of the
//! configuration, everything else is a closed list.

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As it is exposed.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// What tells its series apart.
    pub labels: &'static [&'static str],
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

/// Every metric, in the order of exposition.
pub const METRICS: [Metric; 42] = [
    BUILD_INFO,
    CALLS,
    CALLS_ACTIVE,
    CLIENT_CALLS,
    ATTEMPTS,
    ATTEMPTS_TOTAL,
    RETRIES,
    NOT_RETRIED,
    ADMITTED,
    WAITED,
    PROBLEMS,
    THROTTLED,
    UNEXPECTED,
    UNRECOGNISED,
    BROKEN,
    CONNECTIONS_OPEN,
    CONNECTIONS,
    LIMIT,
    CONFIGURED,
    REMAINING,
    OCCUPIED,
    RESET,
    DRIFT,
    QUEUED,
    PACE,
    HOLD,
    HOLD_REMAINING,
    HOLD_FAILURES,
    WAITING,
    LONGEST_WAIT,
    ACCOUNTS,
    OVERFLOW,
    WORKERS,
    UPSTREAMS,
    CLIENTS,
    CPU,
    RESIDENT,
    VIRTUAL,
    OPEN_FILES,
    OPEN_FILES_MAX,
    THREADS,
    STARTED,
];

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric { name, help, kind: Kind::Counter, labels }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Metric {
    Metric { name, help, kind: Kind::Gauge, labels }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric { name, help, kind: Kind::Histogram, labels }
}

const UPSTREAM: &[&str] = &["upstream"];
const POLICY: &[&str] = &["upstream", "policy"];
const HELD: &[&str] = &["upstream", "policy", "cause"];
const REASON: &[&str] = &["upstream", "reason"];

pub(super) const BUILD_INFO: Metric = gauge("evenkeel_build_info", "This build", &["version"]);
pub(super) const CALLS: Metric = histogram(
    "http_server_request_duration_seconds",
    "Calls, from the request's head to the answer's",
    &[
        "upstream",
        "http_request_method",
        "url_scheme",
        "http_route",
        "http_response_status_code",
        "error_type",
    ],
);
pub(super) const CALLS_ACTIVE: Metric =
    gauge("http_server_active_requests", "Calls under way", UPSTREAM);
pub(super) const CLIENT_CALLS: Metric = counter(
    "evenkeel_client_calls_total",
    "Calls of each client",
    &["upstream", "client", "result"],
);
pub(super) const ATTEMPTS: Metric = histogram(
    "http_client_request_duration_seconds",
    "Attempts, from their beginning to the answer's head or the failure",
    &[
        "upstream",
        "http_request_method",
        "server_address",
        "server_port",
        "http_response_status_code",
        "error_type",
    ],
);
pub(super) const ATTEMPTS_TOTAL: Metric = counter(
    "evenkeel_upstream_attempts_total",
    "Attempts by what came of them; the sum is what the vendor may have counted",
    &["upstream", "outcome"],
);
pub(super) const RETRIES: Metric =
    counter("evenkeel_retries_total", "Attempts after the first, by what they repair", REASON);
pub(super) const NOT_RETRIED: Metric = counter(
    "evenkeel_retries_suppressed_total",
    "Failed calls that were not tried again, by the reason",
    REASON,
);
pub(super) const ADMITTED: Metric = counter(
    "evenkeel_ratelimit_requests_total",
    "What asked for a slot, by what came of it: attempts (limit_of upstream), and once each the \
     calls of clients with a limit of their own (limit_of client); shadow_rejected counts besides",
    &["upstream", "limit_of", "result"],
);
pub(super) const WAITED: Metric = histogram(
    "evenkeel_ratelimit_time_in_queue_seconds",
    "How long what asked for a slot waited, and for what, unless it got one at once",
    &["upstream", "limit_of", "waited_for"],
);
pub(super) const PROBLEMS: Metric = counter(
    "evenkeel_problems_total",
    "Problems that clients were told",
    &["upstream", "problem", "source"],
);
pub(super) const THROTTLED: Metric = counter(
    "evenkeel_upstream_throttled_total",
    "Answers that said that the vendor limits the rate",
    UPSTREAM,
);
pub(super) const UNEXPECTED: Metric = counter(
    "evenkeel_upstream_throttled_unexpected_total",
    "Of these, those that a configured allowance with room should have prevented; must stay 0",
    UPSTREAM,
);
pub(super) const UNRECOGNISED: Metric = counter(
    "evenkeel_problems_unrecognised_total",
    "Error bodies that no dialect understood",
    UPSTREAM,
);
pub(super) const BROKEN: Metric = counter(
    "evenkeel_bodies_broken_total",
    "Answers whose body broke off behind their head, by whose side broke",
    &["upstream", "by"],
);
pub(super) const CONNECTIONS_OPEN: Metric =
    gauge("evenkeel_client_connections_open", "Client connections", &[]);
pub(super) const CONNECTIONS: Metric =
    counter("evenkeel_client_connections_total", "Client connections accepted", &[]);
pub(super) const LIMIT: Metric =
    gauge("evenkeel_ratelimit_limit", "The allowance that is believed", POLICY);
pub(super) const CONFIGURED: Metric =
    gauge("evenkeel_ratelimit_limit_configured", "The allowance that is configured", POLICY);
pub(super) const REMAINING: Metric =
    gauge("evenkeel_ratelimit_remaining", "Free slots; of the account with the fewest", POLICY);
pub(super) const OCCUPIED: Metric = gauge("evenkeel_ratelimit_occupied", "Occupied slots", POLICY);
pub(super) const RESET: Metric =
    gauge("evenkeel_ratelimit_reset_seconds", "Until the next slot is released", POLICY);
pub(super) const DRIFT: Metric = gauge(
    "evenkeel_ratelimit_drift",
    "What the vendor last said less what was believed: of the slots that remain, else of the limit; \
     above 0 less is used than is granted, below 0 others use it too",
    POLICY,
);
pub(super) const QUEUED: Metric =
    gauge("evenkeel_ratelimit_queued_requests", "Calls in line for the allowance", POLICY);
pub(super) const PACE: Metric =
    gauge("evenkeel_pace_ratio", "The pace after throttling, as a part of the full one", POLICY);
pub(super) const HOLD: Metric =
    gauge("evenkeel_hold", "Accounts on which a hold stands, by its cause", HELD);
pub(super) const HOLD_REMAINING: Metric =
    gauge("evenkeel_hold_remaining_seconds", "What is left of the longest hold", POLICY);
pub(super) const HOLD_FAILURES: Metric =
    gauge("evenkeel_hold_failed_probes", "Probes of the hold that failed in a row", POLICY);
pub(super) const WAITING: Metric = gauge("evenkeel_waiting_calls", "Calls that wait", UPSTREAM);
pub(super) const LONGEST_WAIT: Metric =
    gauge("evenkeel_longest_wait_seconds", "How long the call in front has waited", UPSTREAM);
pub(super) const ACCOUNTS: Metric = gauge("evenkeel_accounts", "Accounts told apart now", UPSTREAM);
pub(super) const OVERFLOW: Metric = counter(
    "evenkeel_accounts_overflow_calls_total",
    "Calls whose account had no place in the full table, and that shared one",
    UPSTREAM,
);
pub(super) const WORKERS: Metric = gauge("evenkeel_workers", "Workers", &[]);
pub(super) const UPSTREAMS: Metric = gauge("evenkeel_upstreams", "Upstreams configured", &[]);
pub(super) const CLIENTS: Metric = gauge("evenkeel_clients", "Clients configured", &[]);
pub(super) const CPU: Metric =
    counter("process_cpu_seconds_total", "CPU time of the process, user and system", &[]);
pub(super) const RESIDENT: Metric =
    gauge("process_resident_memory_bytes", "Resident memory of the process", &[]);
pub(super) const VIRTUAL: Metric =
    gauge("process_virtual_memory_bytes", "Virtual memory of the process", &[]);
pub(super) const OPEN_FILES: Metric = gauge("process_open_fds", "Open file descriptors", &[]);
pub(super) const OPEN_FILES_MAX: Metric =
    gauge("process_max_fds", "File descriptors that may be open", &[]);
pub(super) const THREADS: Metric = gauge("process_threads", "Threads of the process", &[]);
pub(super) const STARTED: Metric =
    gauge("process_start_time_seconds", "When the process started, in seconds since 1970", &[]);
