//! The keys of one upstream, and of what may stand under `defaults` and in a route's entry.

use std::time::Duration;

use super::form::*;
use super::{Data, Fallback, Key, Kind, Scalar};
use crate::config::defaults as d;
use crate::config::scalar::Plain;

pub(super) const UPSTREAM: &[Key] = &[
    key(
        "url",
        Kind::One(Scalar::Url),
        Fallback::Required,
        "Where the vendor's API is; its path takes the place of the route's prefix.",
    ),
    key(
        "route",
        Kind::Short { key: "path", keys: &[ROUTE] },
        means("the path `/<name>`"),
        "Which requests it gets: a path prefix, or `{ host, path }`.",
    ),
    key(
        "account",
        Kind::Map(&[ACCOUNT]),
        means("one account per upstream"),
        "Whom the vendor counts.",
    ),
    key(
        "auth",
        Kind::Map(&[AUTH]),
        means("the client's own credential is sent on"),
        "A credential that is sent instead of the client's.",
    ),
    key(
        "allowances",
        Kind::Named { of: &Kind::Short { key: "limit", keys: &[ALLOWANCE] }, max: 64 },
        means("nothing is counted"),
        "What the vendor grants, by name; a single limit may stand for `{ limit: … }`.",
    ),
    key(
        "routes",
        Kind::List { of: &Kind::Map(&[ROUTE_ENTRY, ROUTE_TIMEOUTS, POLICY]), min: 0, max: 256 },
        means("every call is treated alike"),
        "Calls that are treated differently; the first match wins.",
    ),
];

const ROUTE: &[Key] = &[
    key("host", Kind::One(Scalar::Host), means("any host"), "The host that clients ask for."),
    key(
        "path",
        Kind::One(Scalar::Prefix),
        means("`/` with a host, `/<name>` without"),
        "The prefix of whole segments that is removed.",
    ),
];

const ACCOUNT: &[Key] = &[
    key(
        "header",
        Kind::One(Scalar::AccountHeader),
        means("requests are not told apart"),
        "The request header that tells the vendor's accounts apart; never a credential.",
    ),
    key(
        "name",
        Kind::One(Scalar::Token { accepted: "a name of letters, digits and `-`" }),
        means("not shared"),
        "Upstreams that say the same name share one account.",
    ),
];

const AUTH: &[Key] = &[
    key(
        "header",
        Kind::One(Scalar::Header),
        Fallback::Required,
        "The header that carries the credential.",
    ),
    key(
        "scheme",
        Kind::One(Scalar::Token { accepted: "a scheme such as `Bearer`" }),
        means("the bare value"),
        "The word before the value, such as `Bearer`.",
    ),
    key("value", Kind::Secret, Fallback::Required, "The credential."),
];

const ALLOWANCE: &[Key] = &[
    key(
        "limit",
        Kind::One(Scalar::Limit),
        means("given unless `concurrency` is"),
        "Calls per window, as the vendor counts them.",
    ),
    key(
        "concurrency",
        count(1, 1_000_000),
        means("given unless `limit` is"),
        "Calls at the same time.",
    ),
    key(
        "burst",
        count(1, 100_000_000),
        means("a fiftieth of the limit, at least 1"),
        "How many may start at once after rest.",
    ),
    key(
        "spread",
        word(&["even", "none"]),
        Fallback::Is(|| Plain::Word(d::SPREAD)),
        "`even` spaces calls evenly; `none` only counts.",
    ),
    key(
        "arrival_guard",
        span(MILLISECOND, HOUR),
        means("1s for windows under a minute, none for longer ones"),
        "The longest a request can be under way before the vendor counts it; \
         the promise rests on it.",
    ),
    key("match", Kind::Map(&[MATCH]), means("every call"), "Which calls it counts."),
    key(
        "exempt",
        Kind::List { of: &Kind::Map(&[MATCH]), min: 0, max: 64 },
        means("no call"),
        "Which calls the vendor does not count.",
    ),
    key(
        "mode",
        word(&["enforce", "observe"]),
        Fallback::Is(|| Plain::Word(d::MODE)),
        "`observe` counts and reports, and never holds a call back.",
    ),
];

const MATCH: &[Key] = &[
    key(
        "methods",
        Kind::List { of: &Kind::One(Scalar::Method), min: 1, max: 16 },
        means("every method"),
        "Any of these methods.",
    ),
    key(
        "path",
        Kind::One(Scalar::Pattern),
        means("every path"),
        "The path behind the route's prefix; `*` is one segment, `**` any rest.",
    ),
];

const ROUTE_ENTRY: &[Key] = &[
    key("match", Kind::Map(&[MATCH]), Fallback::Required, "Which calls it is for."),
    key(
        "repeatable",
        Kind::One(Scalar::Flag),
        Fallback::Is(|| Plain::Flag(false)),
        "The operation may be performed twice, whatever its method.",
    ),
    key(
        "inspect_success",
        Kind::One(Scalar::Flag),
        Fallback::Is(|| Plain::Flag(false)),
        "Answers that claim success are looked at too.",
    ),
    key(
        "require",
        Kind::List { of: &Kind::One(Scalar::Header), min: 0, max: 16 },
        means("no header"),
        "Headers without which a call is refused here.",
    ),
    key(
        "rules",
        Kind::Data(Data::Rules),
        means("no rules of its own"),
        "Rules that stand before the dialect's.",
    ),
];

pub(super) const DEFAULTS_OWN: &[Key] = &[key(
    "timeouts",
    Kind::Map(&[TIMEOUT_CONNECT, TIMEOUTS]),
    INSIDE,
    "How long one phase of an attempt may take.",
)];

const ROUTE_TIMEOUTS: &[Key] = &[key(
    "timeouts",
    Kind::Map(&[TIMEOUTS]),
    INSIDE,
    "How long one phase of an attempt may take.",
)];

const TIMEOUT_CONNECT: &[Key] = &[key(
    "connect",
    span(MILLISECOND, HOUR),
    Fallback::Is(|| Plain::Duration(d::CONNECT_TIMEOUT)),
    "DNS, TCP and TLS together.",
)];

const TIMEOUTS: &[Key] = &[
    key(
        "attempt",
        span(MILLISECOND, DAY),
        Fallback::Is(|| Plain::Duration(d::ATTEMPT_TIMEOUT)),
        "From the request sent to the answer's head; a dialect may know better.",
    ),
    key(
        "idle",
        span(MILLISECOND, DAY),
        Fallback::Is(|| Plain::Duration(d::IDLE_TIMEOUT)),
        "Between two pieces of a body, either way.",
    ),
    key(
        "request_rate",
        Kind::One(Scalar::Rate { min: 0, max: GIB }),
        Fallback::Is(|| Plain::Rate(d::REQUEST_RATE)),
        "The least average over 30s at which a client must send its request's body; 0B/s for none.",
    ),
];

pub(super) const CONNECTION: &[Key] = &[
    key("queue", Kind::Map(&[QUEUE]), INSIDE, "The waiting room."),
    key(
        "connections",
        Kind::Map(&[CONNECTIONS]),
        INSIDE,
        "Connections to the vendor, over all workers.",
    ),
    key(
        "protocol",
        word(&["auto", "http1", "http2"]),
        Fallback::Is(|| Plain::Word(d::PROTOCOL)),
        "Which HTTP the vendor is spoken to in.",
    ),
    key("tls", Kind::Map(&[TLS]), INSIDE, "Whose certificates are believed."),
    key("head", Kind::Map(&[HEAD]), INSIDE, "How large the head of an answer may be."),
];

const HEAD: &[Key] = &[
    key(
        "max",
        size(KIB, MIB),
        Fallback::Is(|| Plain::Size(d::ANSWER_HEAD)),
        "Bytes of an answer's head; a larger one is a 502 that names this key.",
    ),
    key(
        "headers",
        count(1, 10_000),
        Fallback::Is(|| Plain::Count(d::ANSWER_HEADERS)),
        "Header lines of an answer; more are a 502 that names this key.",
    ),
];

const QUEUE: &[Key] = &[key(
    "max",
    count(0, 1_000_000),
    Fallback::Is(|| Plain::Count(d::QUEUE)),
    "Calls that may wait; 0 means nobody waits.",
)];

const CONNECTIONS: &[Key] = &[
    key(
        "max",
        count(1, 100_000),
        Fallback::Is(|| Plain::Count(d::CONNECTIONS)),
        "Connections at the same time.",
    ),
    key(
        "idle",
        span(MILLISECOND, DAY),
        Fallback::Is(|| Plain::Duration(d::CONNECTION_IDLE)),
        "How long an unused one is kept.",
    ),
];

const TLS: &[Key] = &[key(
    "ca",
    FILE_PATH,
    means("the roots the operating system trusts"),
    "A PEM file with the only roots that are believed.",
)];

pub(super) const POLICY: &[Key] = &[
    key(
        "dialect",
        DIALECT_NAME,
        Fallback::Is(|| text(d::DIALECT)),
        "How the vendor speaks when something is wrong.",
    ),
    key(
        "wait",
        Kind::Map(&[WAIT]),
        INSIDE,
        "How long a call may be held before its last attempt starts.",
    ),
    key("retry", Kind::Map(&[RETRY]), INSIDE, "Sending again."),
    key("replay", Kind::Map(&[REPLAY]), INSIDE, "Request bodies kept for another attempt."),
    key(
        "idempotency_header",
        Kind::One(Scalar::Header),
        Fallback::Is(|| header(d::IDEMPOTENCY_HEADER)),
        "The header that makes a request safe to repeat.",
    ),
    key(
        "status",
        word(&["map", "keep"]),
        Fallback::Is(|| Plain::Word(d::STATUS)),
        "`map` gives one meaning one status; `keep` leaves the vendor's.",
    ),
    key(
        "redirects",
        word(&["rewrite", "pass"]),
        Fallback::Is(|| Plain::Word(d::REDIRECTS)),
        "Whether URLs and paths under `url` in answer headers are mapped back to us, and `Destination` forward.",
    ),
    key(
        "client_address",
        word(&["drop", "send"]),
        Fallback::Is(|| Plain::Word(d::CLIENT_ADDRESS)),
        "Whether the vendor learns the client's address.",
    ),
    key("expose", Kind::Map(&[EXPOSE]), INSIDE, "Informative headers on answers."),
];

const WAIT: &[Key] = &[
    key(
        "default",
        span(Duration::ZERO, DAY),
        Fallback::Is(|| Plain::Duration(d::WAIT)),
        "The patience of a call that does not ask with `Prefer: wait=N`.",
    ),
    key(
        "max",
        span(Duration::ZERO, DAY),
        Fallback::Is(|| Plain::Duration(d::WAIT_MAX)),
        "The most patience a call may ask for.",
    ),
];

const RETRY: &[Key] = &[
    key(
        "attempts",
        count(1, 100),
        Fallback::Is(|| Plain::Count(d::ATTEMPTS)),
        "Sends in total, the first included; 1 means no retry.",
    ),
    key(
        "backoff",
        Kind::Map(&[BACKOFF]),
        INSIDE,
        "The wait we choose ourselves, with full jitter.",
    ),
    key(
        "budget",
        Kind::One(Scalar::Percent { max: 100 }),
        Fallback::Is(|| Plain::Percent(d::BUDGET)),
        "Blind retries as a share of calls.",
    ),
];

const BACKOFF: &[Key] = &[
    key(
        "base",
        span(MILLISECOND, HOUR),
        Fallback::Is(|| Plain::Duration(d::BACKOFF_BASE)),
        "The longest first wait.",
    ),
    key(
        "factor",
        Kind::One(Scalar::Factor { min: 1.0, max: 10.0 }),
        Fallback::Is(|| Plain::Factor(d::BACKOFF_FACTOR)),
        "How much longer each further wait may be.",
    ),
    key(
        "max",
        span(MILLISECOND, HOUR),
        Fallback::Is(|| Plain::Duration(d::BACKOFF_MAX)),
        "No wait is longer.",
    ),
];

const REPLAY: &[Key] = &[key(
    "max_body",
    size(0, 64 * MIB),
    Fallback::Is(|| Plain::Size(d::REPLAY_BODY)),
    "Bytes of one call's body; a larger one streams through and only loses replay.",
)];

const EXPOSE: &[Key] = &[
    key(
        "server_timing",
        Kind::One(Scalar::Flag),
        Fallback::Is(|| Plain::Flag(d::EXPOSE)),
        "`Server-Timing`: how long the call waited, and how long the vendor took.",
    ),
    key(
        "rate_limit",
        Kind::One(Scalar::Flag),
        Fallback::Is(|| Plain::Flag(d::EXPOSE)),
        "`RateLimit` and `RateLimit-Policy` of the allowance that binds.",
    ),
];
