//! The keys of the file, but for what concerns one upstream.

use std::time::Duration;

use super::form::*;
use super::upstream::{CONNECTION, DEFAULTS_OWN, POLICY, UPSTREAM};
use super::{Data, Fallback, Key, Kind, Scalar};
use crate::config::defaults as d;
use crate::config::scalar::Plain;

pub(super) const ROOT_KEYS: &[Key] = &[
    key(
        "version",
        Kind::One(Scalar::Version),
        Fallback::Is(|| Plain::Count(1)),
        "The version of this format.",
    ),
    key(
        "listen",
        Kind::Map(&[LISTEN]),
        INSIDE,
        "Where clients are served, and the bounds of their connections.",
    ),
    key("admin", Kind::Map(&[ADMIN]), INSIDE, "Where operators look in: health, metrics, status."),
    key(
        "state",
        Kind::Later { of: &Kind::Map(&[STATE]) },
        means("nothing outlives the process"),
        "Where allowances are remembered over a restart.",
    ),
    key(
        "store",
        Kind::Later { of: &Kind::Data(Data::Free) },
        means("every process counts for itself"),
        "Where replicas share allowances.",
    ),
    key(
        "clients",
        Kind::Named { of: &Kind::Map(&[CLIENT]), max: 10_000 },
        means("everybody is the client `default` and needs no key"),
        "Who may call, by name.",
    ),
    key(
        "defaults",
        Kind::Map(&[DEFAULTS_OWN, CONNECTION, POLICY]),
        INSIDE,
        "What is merged into every upstream.",
    ),
    key(
        "upstreams",
        Kind::Named { of: &Kind::Map(&[UPSTREAM, DEFAULTS_OWN, CONNECTION, POLICY]), max: 1_000 },
        Fallback::Required,
        "The vendors' APIs, by name.",
    ),
    key(
        "dialects",
        Kind::Named { of: &Kind::Data(Data::Dialect), max: 1_000 },
        means("only the built-in ones"),
        "Own dialects, by name; also files in `dialects/` beside the main file. \
         A same name replaces the built-in.",
    ),
    key(
        "replay",
        Kind::Map(&[REPLAY_ALL]),
        INSIDE,
        "Request bodies kept for another attempt, over all calls.",
    ),
    key("accounts", Kind::Map(&[ACCOUNTS]), INSIDE, "Vendor accounts, over all upstreams."),
    key("telemetry", Kind::Map(&[TELEMETRY]), INSIDE, "How much is written down."),
    key("shutdown", Kind::Map(&[SHUTDOWN]), INSIDE, "How stopping goes."),
];

const LISTEN: &[Key] = &[
    key(
        "address",
        Kind::One(Scalar::Address),
        Fallback::Is(|| Plain::Address(d::LISTEN_ADDRESS)),
        "The address clients connect to.",
    ),
    key(
        "client_key_header",
        Kind::One(Scalar::Header),
        Fallback::Is(|| header(d::CLIENT_KEY_HEADER)),
        "The header that carries a client's key; read and removed.",
    ),
    key(
        "via",
        Kind::One(Scalar::Token { accepted: "a name of letters, digits and `-`" }),
        Fallback::Is(|| text(d::VIA)),
        "Our name in `Via` and `Proxy-Status`; each process adds a mark of its own.",
    ),
    key(
        "workers",
        Kind::One(Scalar::Workers { max: 1_024 }),
        Fallback::Is(|| Plain::Word(d::WORKERS)),
        "Threads that serve; `auto` is one per core.",
    ),
    key("head", Kind::Map(&[LISTEN_HEAD]), INSIDE, "Bounds of a request's head."),
    key(
        "idle",
        span(SECOND, DAY),
        Fallback::Is(|| Plain::Duration(d::LISTEN_IDLE)),
        "How long an unused client connection is kept; longer than the balancer in front keeps it.",
    ),
    key("connections", Kind::Map(&[LISTEN_CONNECTIONS]), INSIDE, "Bounds of client connections."),
];

const LISTEN_HEAD: &[Key] = &[
    key(
        "max",
        size(KIB, MIB),
        Fallback::Is(|| Plain::Size(d::HEAD_BYTES)),
        "Bytes of a head; more is answered 431.",
    ),
    key(
        "headers",
        count(1, 10_000),
        Fallback::Is(|| Plain::Count(d::HEADERS)),
        "Headers of a request; more is answered 431.",
    ),
    key(
        "target",
        size(256, MIB),
        Fallback::Is(|| Plain::Size(d::TARGET_BYTES)),
        "Bytes of a request target; more is answered 414.",
    ),
    key(
        "timeout",
        span(SECOND, HOUR),
        Fallback::Is(|| Plain::Duration(d::HEAD_TIMEOUT)),
        "How long a head may take.",
    ),
];

const LISTEN_CONNECTIONS: &[Key] = &[
    key(
        "max",
        count(1, 1_000_000),
        Fallback::Is(|| Plain::Count(d::LISTEN_CONNECTIONS)),
        "Client connections over all workers.",
    ),
    key(
        "streams",
        count(1, 100_000),
        Fallback::Is(|| Plain::Count(d::STREAMS)),
        "HTTP/2 streams of one client connection at the same time.",
    ),
];

const ADMIN: &[Key] = &[
    key(
        "address",
        Kind::One(Scalar::Address),
        Fallback::Is(|| Plain::Address(d::ADMIN_ADDRESS)),
        "The address of the admin listener; anything but loopback needs a token.",
    ),
    key(
        "token",
        Kind::Secret,
        means("no token, and loopback only"),
        "The bearer token that what changes something must carry; reading needs none.",
    ),
];

const STATE: &[Key] = &[
    key("dir", FILE_PATH, means("nothing outlives the process"), "The folder of the records."),
    key(
        "first_start",
        word(&["spent", "unused"]),
        Fallback::Is(|| Plain::Word(d::FIRST_START)),
        "What a window without a record counts as.",
    ),
];

const CLIENT: &[Key] = &[
    key(
        "key",
        Kind::Secret,
        Fallback::Required,
        "What the client presents, in its key header or as `Authorization: Bearer`.",
    ),
    key(
        "priority",
        word(&["interactive", "normal", "batch"]),
        Fallback::Is(|| Plain::Word(d::PRIORITY)),
        "How urgent its calls are.",
    ),
    key(
        "share",
        count(1, 1_000),
        Fallback::Is(|| Plain::Count(d::SHARE)),
        "Its weight among the waiting clients; accepted, and not in force yet.",
    ),
    key(
        "limit",
        Kind::Short { key: "limit", keys: &[CLIENT_LIMIT] },
        means("no limit of its own"),
        "What we impose on it, charged once a call.",
    ),
];

const CLIENT_LIMIT: &[Key] = &[
    key("limit", Kind::One(Scalar::Limit), Fallback::Required, "Calls per window."),
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
];

const REPLAY_ALL: &[Key] = &[key(
    "total",
    size(0, 64 * GIB),
    Fallback::Is(|| Plain::Size(d::REPLAY_TOTAL)),
    "Bytes of all replay buffers together.",
)];

const ACCOUNTS: &[Key] = &[key(
    "max",
    count(1, 10_000_000),
    Fallback::Is(|| Plain::Count(d::ACCOUNTS)),
    "Accounts told apart at the same time; further ones share one overflow account.",
)];

const TELEMETRY: &[Key] = &[key("log", Kind::Map(&[LOG]), INSIDE, "The log, on stderr.")];

const LOG: &[Key] = &[
    key(
        "level",
        Kind::One(Scalar::Level),
        Fallback::Is(|| text(d::LOG_LEVEL)),
        "The least important lines that are written.",
    ),
    key(
        "access",
        word(&["none", "errors_and_slow", "all"]),
        Fallback::Is(|| Plain::Word(d::LOG_ACCESS)),
        "Which calls get a line.",
    ),
    key(
        "format",
        word(&["auto", "text", "json"]),
        Fallback::Is(|| Plain::Word(d::LOG_FORMAT)),
        "What a line looks like; `auto` is text on a terminal, JSON otherwise.",
    ),
];

const SHUTDOWN: &[Key] = &[
    key(
        "delay",
        span(Duration::ZERO, HOUR),
        Fallback::Is(|| Plain::Duration(d::SHUTDOWN_DELAY)),
        "How long serving goes on after readiness went off; 5s behind a balancer.",
    ),
    key(
        "grace",
        span(Duration::ZERO, DAY),
        Fallback::Is(|| Plain::Duration(d::SHUTDOWN_GRACE)),
        "How long calls may then take to end.",
    ),
];
