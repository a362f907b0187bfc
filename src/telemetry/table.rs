//! Every metric, one row each: identifier, type, name, labels and help text.
//!
//! Names follow OpenTelemetry's HTTP conventions and, for the process, those of Prometheus' client
//! libraries, so that ready-made dashboards fit; all others begin with `evenkeel_`. No label ever
//! comes from a request: upstreams, clients and policies are those of the configuration, all other
//! labels have a closed set of values.
//!
//! A new metric needs a row here, a counter in `metrics` and a line in `exposition`.

/// The description of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

macro_rules! metrics {
    ($($id:ident: $kind:ident $name:literal [$($label:literal),* $(,)?] $help:literal;)+) => {
        $(pub(super) const $id: Metric = Metric {
            name: $name,
            help: $help,
            kind: MetricKind::$kind,
            labels: &[$($label),*],
        };)+

        /// Every metric.
        pub const METRICS: &[Metric] = &[$($id),+];
    };
}

metrics! {
    BUILD_INFO: Gauge "evenkeel_build_info" ["version"]
        "The version of this build";
    CALLS: Histogram "http_server_request_duration_seconds" [
        "upstream", "http_request_method", "url_scheme", "http_route",
        "http_response_status_code", "error_type",
    ]
        "Duration of calls, from the head of the request to the head of the response";
    CALLS_ACTIVE: Gauge "http_server_active_requests" ["upstream"]
        "Calls in progress";
    CLIENT_CALLS: Counter "evenkeel_client_calls_total" ["upstream", "client", "result"]
        "Calls by client and result";
    ATTEMPTS: Histogram "http_client_request_duration_seconds" [
        "upstream", "http_request_method", "server_address", "server_port",
        "http_response_status_code", "error_type",
    ]
        "Duration of attempts, from their start to the head of the response or the failure";
    ATTEMPTS_TOTAL: Counter "evenkeel_upstream_attempts_total" ["upstream", "outcome"]
        "Attempts by outcome; their sum is the most that the vendor may have counted";
    RETRIES: Counter "evenkeel_retries_total" ["upstream", "reason"]
        "Attempts after the first, by the error they follow";
    NOT_RETRIED: Counter "evenkeel_retries_suppressed_total" ["upstream", "reason"]
        "Failed calls that were not retried, by reason";
    ADMITTED: Counter "evenkeel_ratelimit_requests_total" ["upstream", "limit_of", "result"]
        "Requests for a slot, by result: one per attempt (limit_of upstream), and one per call \
         of a client with a limit of its own (limit_of client); shadow_rejected is counted in \
         addition";
    WAITED: Histogram "evenkeel_ratelimit_time_in_queue_seconds" [
        "upstream", "limit_of", "waited_for",
    ]
        "Time that requests for a slot waited, by what they waited for; immediate grants are \
         not counted";
    PROBLEMS: Counter "evenkeel_problems_total" ["upstream", "problem", "source"]
        "Problems sent to clients";
    THROTTLED: Counter "evenkeel_upstream_throttled_total" ["upstream"]
        "Responses in which the vendor limited the rate";
    UNEXPECTED: Counter "evenkeel_upstream_throttled_unexpected_total" ["upstream"]
        "Of these, the ones that arrived although the configured allowance had room; must stay 0";
    UNRECOGNISED: Counter "evenkeel_problems_unrecognised_total" ["upstream"]
        "Error bodies that no dialect recognised";
    BROKEN: Counter "evenkeel_bodies_broken_total" ["upstream", "by"]
        "Response bodies that broke after their head, by the side that broke";
    CONNECTIONS_OPEN: Gauge "evenkeel_client_connections_open" []
        "Open client connections";
    CONNECTIONS: Counter "evenkeel_client_connections_total" []
        "Accepted client connections";
    LIMIT: Gauge "evenkeel_ratelimit_limit" ["upstream", "policy"]
        "The allowance currently assumed";
    CONFIGURED: Gauge "evenkeel_ratelimit_limit_configured" ["upstream", "policy"]
        "The configured allowance";
    REMAINING: Gauge "evenkeel_ratelimit_remaining" ["upstream", "policy"]
        "Free slots, of the account with the fewest";
    OCCUPIED: Gauge "evenkeel_ratelimit_occupied" ["upstream", "policy"]
        "Occupied slots";
    IN_FLIGHT: Gauge "evenkeel_ratelimit_in_flight" ["upstream", "policy"]
        "Units of attempts under way; for the policy of an upstream's own name, its attempts";
    UNRECORDED: Gauge "evenkeel_unrecorded" ["upstream", "policy"]
        "Accounts in which what is used of the allowance cannot be recorded";
    RESET: Gauge "evenkeel_ratelimit_reset_seconds" ["upstream", "policy"]
        "Time until the next slot is released";
    DRIFT: Gauge "evenkeel_ratelimit_drift" ["upstream", "policy"]
        "The vendor's last statement minus the gateway's own value, for remaining slots or else \
         for the limit; above 0 the vendor grants more than assumed, below 0 others use it \
         too";
    QUEUED: Gauge "evenkeel_ratelimit_queued_requests" ["upstream", "policy"]
        "Calls queued for the allowance";
    PACE: Gauge "evenkeel_pace_ratio" ["upstream", "policy"]
        "The reduced pace after throttling, as a fraction of the full pace";
    HOLD: Gauge "evenkeel_hold" ["upstream", "policy", "cause"]
        "Accounts with a hold, by its cause";
    HOLD_REMAINING: Gauge "evenkeel_hold_remaining_seconds" ["upstream", "policy"]
        "Remaining time of the longest hold";
    PAUSED: Gauge "evenkeel_paused" ["upstream", "policy"]
        "Accounts in which an operator has paused it";
    LOWERED: Gauge "evenkeel_lowered" ["upstream", "policy"]
        "Accounts in which an operator has lowered its limit";
    HOLD_FAILURES: Gauge "evenkeel_hold_failed_probes" ["upstream", "policy"]
        "Failed probes of the hold in a row";
    WAITING: Gauge "evenkeel_waiting_calls" ["upstream"]
        "Waiting calls";
    WAITING_BY_CLASS: Gauge "evenkeel_waiting_calls_by_class" ["upstream", "class"]
        "Waiting calls by the class that they have reached";
    WAITING_BY_CLIENT: Gauge "evenkeel_waiting_calls_by_client" ["upstream", "client"]
        "Waiting calls by client, of clients with any";
    LONGEST_WAIT: Gauge "evenkeel_longest_wait_seconds" ["upstream"]
        "How long the first call in the queue has waited";
    ACCOUNTS: Gauge "evenkeel_accounts" ["upstream"]
        "Accounts currently distinguished";
    OVERFLOW: Counter "evenkeel_accounts_overflow_calls_total" ["upstream"]
        "Calls that shared an account because the table of accounts was full";
    WORKERS: Gauge "evenkeel_workers" []
        "Workers";
    UPSTREAMS: Gauge "evenkeel_upstreams" []
        "Configured upstreams";
    CLIENTS: Gauge "evenkeel_clients" []
        "Configured clients";
    LEVERS: Counter "evenkeel_levers_total" ["upstream", "lever"]
        "Levers that operators have pulled";
    FORGOTTEN: Counter "evenkeel_forgotten_units_total" ["upstream"]
        "Spent units that operators had the gateway forget: the vendor may count them still";
    RELOADS: Counter "evenkeel_reloads_total" ["result"]
        "Reloads of the configuration; a refused one changed nothing";
    CONFIG_LOADED: Gauge "evenkeel_config_loaded_timestamp_seconds" []
        "When the configuration in force was loaded, in seconds since 1970";
    CPU: Counter "process_cpu_seconds_total" []
        "CPU time of the process, user and system";
    RESIDENT: Gauge "process_resident_memory_bytes" []
        "Resident memory of the process";
    VIRTUAL: Gauge "process_virtual_memory_bytes" []
        "Virtual memory of the process";
    OPEN_FILES: Gauge "process_open_fds" []
        "Open file descriptors of the process";
    OPEN_FILES_MAX: Gauge "process_max_fds" []
        "Limit of open file descriptors";
    THREADS: Gauge "process_threads" []
        "Threads of the process";
    STARTED: Gauge "process_start_time_seconds" []
        "Start of the process, in seconds since 1970";
}
