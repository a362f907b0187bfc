//! The settings of an upstream, and of what may stand under `defaults` and in an entry of `routes`.

use std::borrow::Cow;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::cost::COST_KEYS;
use super::declare::*;
use super::units::{DAY, GIB, HOUR, KIB, MIB, MILLISECOND};
use crate::allowance::Mode;
use crate::config::format::{
    CallLimit, ClockTime, Count, Factor, FirstDay, Flag, FreeText, Header, HeaderField, HeaderText,
    Headroom, Host, HttpMethod, PathPattern, Percent, Prefix, QueryText, Rate, Share, Size, Span,
    Token, UpstreamUrl, Word, Zone,
};
use crate::gateway::{ClientAddress, ErrorShape, Redirects};
use crate::outcome::SupportWhen;
use crate::problem::StatusPolicy;
use crate::retry::client::ClientRetries;
use crate::upstream::Protocol;

/// In which shape a client gets errors.
pub(crate) const ERROR_SHAPES: &[(&str, ErrorShape)] =
    &[("problem", ErrorShape::Problem), ("vendor", ErrorShape::Vendor)];

/// One upstream.
pub(crate) static UPSTREAM: Groups = &[VENDOR, UPSTREAM_ONLY, GRANTS, CONNECTION, POLICY];
/// What is merged into every upstream.
pub(crate) static UPSTREAM_DEFAULTS: Groups = &[CONNECTION, POLICY];
/// One entry of `routes`.
pub(crate) static ROUTE_ENTRY: Groups = &[ROUTE_ENTRY_ONLY, POLICY];
/// When a calendar period begins.
pub(crate) static RESETS_KEYS: Groups = &[RESETS_SETTINGS];
/// A bucket, and how it refills.
pub(crate) static BUCKET_KEYS: Groups = &[BUCKET_SETTINGS];
pub(crate) static REFILL_KEYS: Groups = &[REFILL_SETTINGS];
/// One allowance.
pub(crate) static ALLOWANCE: Groups = &[ALLOWANCE_ONLY, SPACING];
/// A choice of calls.
pub(crate) static MATCHER: Groups = &[MATCHER_SETTINGS];
/// The same by headers and query too.
pub(crate) static CALL_MATCHER: Groups = &[MATCHER_SETTINGS, CONDITION_SETTINGS];

group! {
    /// What a profile may know too.
    VENDOR:

    URL: Optional<UpstreamUrl> = optional("url", UpstreamUrl,
        Absent::Means("that of the profile; required without one"),
        "The URL of the vendor's API; its path takes the place of the route's prefix.");

    ACCOUNT: Section = Declared::new("account", Map::INSIDE,
        Absent::Means("one account per upstream"), "The account that the vendor counts.");

    ACCOUNT_HEADER: Optional<HeaderField> = optional("account.header", HeaderField::OF_ACCOUNT,
        Absent::Means("requests are not told apart"),
        "The request header that tells the vendor's accounts apart; never a credential.");

    ACCOUNT_NAME: Optional<Token> = optional("account.name",
        Token { accepted: "a name of letters, digits and `-`" }, Absent::Means("not shared"),
        "Upstreams with the same name share one account.");

    EXEMPT_EVERYWHERE: Maps = Declared::new("exempt", MapList::up_to(64, CALL_MATCHER),
        Absent::Means("no call"),
        "Which calls no allowance counts that has no `exempt` of its own.");

    ROUTES: Maps = Declared::new("routes", MapList::up_to(256, ROUTE_ENTRY),
        Absent::Means("every call is treated alike"),
        "Calls that are treated differently; the first match wins.");
}

group! {
    /// What the vendor grants: an upstream, and a tier of a profile.
    GRANTS:

    ALLOWANCES: Entries = Declared::new("allowances",
        Named { of: Element::Shorthand("limit", ALLOWANCE), max: 64 },
        Absent::Means("nothing is counted"),
        "What the vendor grants, by name; a single limit may stand for `{ limit: … }`.");
}

group! {
    UPSTREAM_ONLY:

    USE: Optional<Token> = optional("use", Token { accepted: "the name of a profile" },
        Absent::Means("no profile"),
        "A profile, own or built in: what is known of the vendor. `evenkeel profile` lists them.");

    TIER: Optional<Token> = optional("tier", Token { accepted: "the name of one of its tiers" },
        Absent::Means("no allowance but those written here"),
        "The tier of the profile whose allowances are in force.");

    AUTH: Section = Declared::new("auth", Map::INSIDE,
        Absent::Means("the client's own credential is sent on"),
        "A credential that is sent instead of the client's.");

    AUTH_HEADER: Optional<HeaderField> = optional("auth.header", HeaderField::ANY,
        Absent::Required, "The header that carries the credential.");

    AUTH_SCHEME: Optional<Token> = optional("auth.scheme",
        Token { accepted: "a scheme such as `Bearer`" }, Absent::Means("the bare value"),
        "The word before the value, such as `Bearer`.");

    AUTH_VALUE: SecretSetting =
        Declared::new("auth.value", SecretReference, Absent::Required, "The credential.");

    ROUTE: Section = Declared::new("route", Map::INSIDE.or_bare("path"),
        Absent::Means("the path `/<name>`"),
        "Which requests it gets: a path prefix, or `{ host, path }`.");

    ROUTE_HOST: Optional<Host> = optional("route.host", Host, Absent::Means("any host"),
        "The host that clients ask for.");

    ROUTE_PATH: Optional<Prefix> = optional("route.path", Prefix,
        Absent::Means("`/` with a host, `/<name>` without"),
        "The prefix of whole segments that is removed.");

}

group! {
    ALLOWANCE_ONLY:

    LIMIT: Optional<CallLimit> = optional("limit", CallLimit,
        Absent::Means("given unless `bucket` or `concurrency` is"),
        "Calls per window, as the vendor counts them.");

    RESETS: Section = Declared::new("resets", Map::of(RESETS_KEYS),
        Absent::Means("the vendor counts a rolling window"),
        "When the vendor's day, week or month begins, if it counts `limit` by the calendar.");

    BUCKET: Section = Declared::new("bucket", Map::of(BUCKET_KEYS),
        Absent::Means("given unless `limit` or `concurrency` is"),
        "A leaky or token bucket: so many calls at once, and more as it refills.");

    CONCURRENCY: Optional<Count<u32>> = optional("concurrency", Count { min: 1, max: 1_000_000 },
        Absent::Means("given unless `limit` or `bucket` is"), "Calls at the same time.");

    /// What is granted is there to be used, unless others use it too.
    HEADROOM: Setting<Share> = setting("headroom", Share { max: 100_000_000 },
        Headroom::Units(0),
        "How much of what is granted is left to whoever else uses the account.");

    COST: Section = Declared::new("cost", Map::of(COST_KEYS).or_bare("default"),
        Absent::Means("one unit for each call"),
        "How many units a call takes; a number alone may stand for `{ default: … }`.");

    ARRIVAL_GUARD: Optional<Span> = optional("arrival_guard",
        Span { min: MILLISECOND, max: HOUR },
        Absent::Means("1s for windows under a minute, none for longer ones"),
        "The longest a request can be under way before the vendor counts it; \
         the promise rests on it.");

    LINGER: Optional<Span> = optional("linger", Span { min: Duration::ZERO, max: HOUR },
        Absent::Means("1s, and 30s beside `concurrency`"),
        "How long an attempt that was given up without an answer still counts.");

    COUNTED: Maps = Declared::new("match", MapList::up_to(64, CALL_MATCHER).or_bare(),
        Absent::Means("every call"), "Which calls it counts: those that any of these matches.");

    EXEMPT: Maps = Declared::new("exempt", MapList::up_to(64, CALL_MATCHER),
        Absent::Means("no call"), "Which calls the vendor does not count.");

    /// An allowance is there to be kept.
    MODE: Setting<Word<Mode>> = setting("mode",
        Word(&[("enforce", Mode::Enforce), ("observe", Mode::Observe)]), Mode::Enforce,
        "`observe` counts and reports, and never holds a call back.");
}

group! {
    RESETS_SETTINGS:

    RESETS_AT: Setting<ClockTime> = setting("at", ClockTime, Time::midnight(),
        "The time of day, in its zone.");

    RESETS_DAY: Optional<FirstDay> = optional("day", FirstDay,
        Absent::Means("every day, `mon`, or `1`"),
        "The weekday on which a week begins, or the day of the month: its last one if it is shorter.");

    RESETS_ZONE: Setting<Zone> = setting("zone", Zone, TimeZone::UTC,
        "The vendor's time zone.");
}

group! {
    BUCKET_SETTINGS:

    BUCKET_SIZE: Optional<Count<u32>> = optional("size", Count { min: 1, max: 100_000_000 },
        Absent::Required, "How many calls at once, after rest.");

    BUCKET_REFILL: Section = Declared::new("refill", Map::of(REFILL_KEYS).or_bare("rate"),
        Absent::Required, "How fast it refills; a rate alone may stand for `{ rate: … }`.");
}

group! {
    REFILL_SETTINGS:

    REFILL_RATE: Optional<CallLimit> = optional("rate", CallLimit, Absent::Required,
        "So many calls per time.");

    REFILL_EVERY: Optional<Span> = optional("every", Span { min: MILLISECOND, max: DAY },
        Absent::Means("it refills all the time"),
        "The time between two steps, if the vendor refills in steps; one step of the size is then \
         never used.");
}

/// At rest, 2 % of a limit may go at once: a page that makes several calls loads at once.
pub(crate) const BURST_DIVISOR: u32 = 50;
/// Shorter windows need an arrival guard: below it the exact rule costs more than 1 % of calls.
pub(crate) const GUARDED_BELOW: Duration = Duration::from_secs(60);
/// A request that is a second under way is stuck, not on a slow network.
pub(crate) const ARRIVAL_GUARD_DEFAULT: Duration = Duration::from_secs(1);
/// A vendor counts a call when it arrives, which is at most a little after it was given up.
pub(crate) const WINDOW_LINGER: Duration = Duration::from_secs(1);
/// A call that was given up may keep the vendor busy as long as most timeouts of servers.
pub(crate) const CONCURRENCY_LINGER: Duration = Duration::from_secs(30);

group! {
    /// How the calls of a limit are spaced: the vendor's, or a client's.
    SPACING:

    SPREAD: Optional<Word<Spreading>> = optional("spread",
        Word(&[
            ("auto", Spreading::Auto), ("even", Spreading::Even), ("none", Spreading::None),
        ]),
        Absent::Means("`even` beside `burst` or where the dialect says so, else `auto`"),
        "`auto` spreads what is left from half of the limit on; `even` spaces all calls evenly; \
         `none` only counts.");

    BURST: Optional<Count<u32>> = optional("burst", Count { min: 1, max: 100_000_000 },
        Absent::Means("a fiftieth of the limit, at least 1"),
        "With `spread: even`, how many may start at once after rest.");
}

/// How calls are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spreading {
    Auto,
    Even,
    None,
}

group! {
    MATCHER_SETTINGS:

    MATCH_METHODS: List<HttpMethod> = Declared::new("methods",
        Values { format: HttpMethod, min: 1, max: 16, bare: Bare::Refused }, Absent::Means("every method"),
        "Any of these methods.");

    MATCH_PATH: Optional<PathPattern> = optional("path", PathPattern,
        Absent::Means("every path"),
        "The path behind the route's prefix; `*` is one segment, `**` any rest.");
}

group! {
    CONDITION_SETTINGS:

    MATCH_HEADERS: List<HeaderText> = Declared::new("headers",
        Values { format: HeaderText, min: 1, max: 16, bare: Bare::ListOfOne },
        Absent::Means("whatever its headers"),
        "All of these headers: `NAME`, or `NAME=VALUE`.");

    MATCH_QUERY: List<QueryText> = Declared::new("query",
        Values { format: QueryText, min: 1, max: 16, bare: Bare::ListOfOne },
        Absent::Means("whatever its query"),
        "All of these parameters of the query: `NAME`, or `NAME=VALUE`.");
}

group! {
    ROUTE_ENTRY_ONLY:

    ENTRY_MATCH: Section = Declared::new("match", Map::of(MATCHER), Absent::Required,
        "Which calls it is for.");

    REPEATABLE: Setting<Flag> = setting("repeatable", Flag, false,
        "The operation may be performed twice, whatever its method.");

    REQUIRE: List<HeaderField> = Declared::new("require",
        Values { format: HeaderField::ANY, min: 0, max: 16, bare: Bare::Refused }, Absent::Means("no header"),
        "Headers without which a call is rejected here.");

    RULES: Rules = Declared::new("rules", RuleData, Absent::Means("no rules of its own"),
        "Rules that stand before the dialect's.");
}

group! {
    /// What belongs to the upstream as a whole: an upstream and `defaults`.
    CONNECTION:

    /// DNS, TCP and TLS of a distant vendor take a third of it; a lost packet is sent again once.
    CONNECT_TIMEOUT: Setting<Span> = setting("timeouts.connect",
        Span { min: MILLISECOND, max: HOUR }, Duration::from_secs(3),
        "DNS, TCP and TLS together.");

    QUEUE: Section = section("queue", "The waiting calls.");

    /// Half a minute at 33 calls a second; each place costs less than 4 KiB.
    QUEUE_MAX: Setting<Count<usize>> = setting("queue.max", Count { min: 0, max: 1_000_000 },
        1_000, "Calls that may wait; with 0 no call waits.");

    /// However many calls one client has waiting, there is room for those of others.
    QUEUE_PER_CLIENT: Setting<Percent> = setting("queue.per_client", Percent { max: 100 }, 50,
        "How much of what the others leave one of several clients may fill.");

    CONNECTIONS: Section =
        section("connections", "Connections to the vendor, over all workers.");

    /// What one vendor tolerates from one client.
    CONNECTIONS_MAX: Setting<Count<usize>> = setting("connections.max",
        Count { min: 1, max: 100_000 }, 256, "Connections at the same time.");

    /// Shorter than the 20 s and more after which servers close, so that no call meets a close.
    CONNECTION_IDLE: Setting<Span> = setting("connections.idle",
        Span { min: MILLISECOND, max: DAY }, Duration::from_secs(15),
        "How long an unused one is kept.");

    /// ALPN decides over TLS; HTTP/1.1 in clear.
    PROTOCOL: Setting<Word<Protocol>> = setting("protocol",
        Word(&[
            ("auto", Protocol::Auto),
            ("http1", Protocol::Http1),
            ("http2", Protocol::Http2),
        ]),
        Protocol::Auto, "The version of HTTP that is used to the vendor.");

    TLS: Section = section("tls", "Which certificates are trusted.");

    TLS_CA: Optional<FreeText> = optional("tls.ca",
        FreeText { accepted: "the path of a file; a relative one starts at this file" },
        Absent::Means("the roots the operating system trusts"),
        "A PEM file with the only roots that are trusted.");

    ANSWER_HEAD: Section = section("head", "How large the head of an answer may be.");

    /// With cookies and security policies, heads stay under a quarter of it.
    ANSWER_HEAD_BYTES: Setting<Size> = setting("head.max", Size { min: KIB, max: MIB }, 64 * KIB,
        "Bytes of an answer's head; a larger one is a 502 that names this key.");

    /// Twice what the most talkative vendors send.
    ANSWER_HEADERS: Setting<Count<usize>> = setting("head.headers",
        Count { min: 1, max: 10_000 }, 256,
        "Header lines of an answer; more are a 502 that names this key.");
}

group! {
    /// How a call is treated: an upstream, `defaults`, and an entry of `routes`.
    POLICY:

    TIMEOUTS: Section = section("timeouts", "How long one phase of an attempt may take.");

    /// What vendors promise where they promise anything; a dialect may have a better value.
    ATTEMPT_TIMEOUT: Setting<Span> = setting("timeouts.attempt",
        Span { min: MILLISECOND, max: DAY }, Duration::from_secs(30),
        "From the request sent to the answer's head; a dialect may have its own.");

    /// A body that pauses longer has broken off.
    IDLE_TIMEOUT: Setting<Span> = setting("timeouts.idle", Span { min: MILLISECOND, max: DAY },
        Duration::from_secs(30), "Between two pieces of a body, either way.");

    /// A modem of 1995 sends three times as fast; a slower client only keeps a place from others.
    REQUEST_RATE: Setting<Rate> = setting("timeouts.request_rate", Rate { max: GIB }, 1 << 10,
        "The lowest average over 30s at which a client must send its request's body; \
         0B/s for none.");

    /// It recognises the errors of vendors without a dialect of their own.
    DIALECT: Setting<FreeText> = setting("dialect",
        FreeText { accepted: "the name of a dialect, own or built in" }, Cow::Borrowed("auto"),
        "How the vendor reports errors.");

    DOCUMENTATION: Optional<FreeText> = optional("documentation",
        FreeText { accepted: "a URL" }, Absent::Means("that of the dialect"),
        "Where the vendor documents its errors; shown in problems.");

    SUPPORT: Section = Declared::new("support", Map::INSIDE.or_bare("contact"),
        Absent::Means("that of the dialect"), "Where clients may ask for help.");

    SUPPORT_CONTACT: Optional<FreeText> = optional("support.contact",
        FreeText { accepted: "an address, like help@vendor.example" }, Absent::Required,
        "The address.");

    /// Asking earlier is of no use: the retries may still succeed.
    SUPPORT_WHEN: Setting<Word<SupportWhen>> = setting("support.when",
        Word(&[
            ("exhausted", SupportWhen::Exhausted),
            ("always", SupportWhen::Always),
            ("hint", SupportWhen::Hint),
        ]),
        SupportWhen::Exhausted, "When it is named: once the retries are used up, in every \
        problem, or as a hint beside the documentation.");

    /// A success is not read unless asked for.
    INSPECT_SUCCESS: Setting<Flag> = setting("inspect_success", Flag, false,
        "Answers that claim success are inspected too.");

    WAIT: Section =
        section("wait", "How long a call may be held before its last attempt starts.");

    /// How long people and most HTTP clients still wait.
    WAIT_DEFAULT: Setting<Span> = setting("wait.default", Span { min: Duration::ZERO, max: DAY },
        Duration::from_secs(30),
        "The patience of a call that does not ask with `Prefer: wait=N`.");

    /// Connections on the way do not outlive longer waits.
    WAIT_MAX: Setting<Span> = setting("wait.max", Span { min: Duration::ZERO, max: DAY },
        Duration::from_secs(600), "The most patience a call may ask for.");

    RETRY: Section = section("retry", "Sending again.");

    /// Three retries cure what a retry can cure.
    ATTEMPTS: Setting<Count<u32>> = setting("retry.attempts", Count { min: 1, max: 100 }, 4,
        "Sends in total, the first included; 1 means no retry.");

    BACKOFF: Section = section("retry.backoff",
        "The wait where the vendor does not say one, with full jitter.");

    /// A short interruption is over in a quarter of a second.
    BACKOFF_BASE: Setting<Span> = setting("retry.backoff.base",
        Span { min: MILLISECOND, max: HOUR }, Duration::from_millis(250),
        "The longest first wait.");

    /// The usual doubling.
    BACKOFF_FACTOR: Setting<Factor> = setting("retry.backoff.factor",
        Factor { min: 1.0, max: 10.0 }, 2.0, "How much longer each further wait may be.");

    /// For longer waits a hold is the better tool.
    BACKOFF_MAX: Setting<Span> = setting("retry.backoff.max",
        Span { min: MILLISECOND, max: HOUR }, Duration::from_secs(10), "No wait is longer.");

    /// A vendor in trouble sees at most 1.1 × the traffic.
    RETRY_BUDGET: Setting<Percent> = setting("retry.budget", Percent { max: 100 }, 10,
        "Blind retries as a share of calls.");

    REPLAY_BODIES: Section =
        section("replay", "Request bodies kept for another attempt.");

    /// Nearly every JSON call fits; a stream does not, and need not.
    REPLAY_BODY: Setting<Size> = setting("replay.max_body", Size { min: 0, max: 64 * MIB },
        256 * KIB, "Bytes of one call's body; a larger one streams through and only loses replay.");

    /// SDKs that retry say so in their requests.
    CLIENT_RETRIES: Setting<Word<ClientRetries>> = setting("client_retries",
        Word(&[
            ("auto", ClientRetries::AsRequested),
            ("true", ClientRetries::Yes),
            ("false", ClientRetries::No),
        ]),
        ClientRetries::AsRequested,
        "Whether the clients retry by themselves, so that blind retries are left to them; `auto` \
         is as the request says.");

    IDEMPOTENCY: Section =
        section("idempotency", "The key by which the vendor recognises a repeated request.");

    /// The name in the IETF draft that vendors follow.
    IDEMPOTENCY_HEADER: Setting<HeaderField> = setting("idempotency.header",
        HeaderField::ANY, Header::of("idempotency-key"),
        "The header that makes a request safe to repeat.");

    /// Safe only at a vendor that honours the key.
    IDEMPOTENCY_ADD: Setting<Flag> = setting("idempotency.add", Flag, false,
        "A POST, or another request not safe to repeat, gets a key where the client sent none.");

    /// One meaning has one status.
    STATUS: Setting<Word<StatusPolicy>> = setting("status",
        Word(&[("map", StatusPolicy::Map), ("keep", StatusPolicy::Keep)]), StatusPolicy::Map,
        "`map` gives one meaning one status; `keep` leaves the vendor's.");

    /// The documented shape is the contract; an SDK may know the vendor's only.
    ERRORS: Setting<Word<ErrorShape>> = setting("errors", Word(ERROR_SHAPES), ErrorShape::Problem,
        "`problem` gives every error the documented shape; `vendor` leaves the vendor's, and the \
         gateway's own follow the template `own` of the dialect.");

    ERRORS_ALLOWED: List<Word<ErrorShape>> = Declared::new("errors_allowed",
        Values { format: Word(ERROR_SHAPES), min: 0, max: 2, bare: Bare::Refused },
        Absent::Means("`problem`, and what `errors` says"),
        "What a request may ask for with `Evenkeel-Errors`.");

    /// A redirect that leads past the gateway would escape the pace.
    REDIRECTS: Setting<Word<Redirects>> = setting("redirects",
        Word(&[("rewrite", Redirects::Rewrite), ("pass", Redirects::Pass)]), Redirects::Rewrite,
        "Whether URLs and paths under `url` in answer headers are mapped back to the gateway, \
         and `Destination` forward.");

    /// The addresses of clients are private.
    CLIENT_ADDRESS: Setting<Word<ClientAddress>> = setting("client_address",
        Word(&[("drop", ClientAddress::Drop), ("send", ClientAddress::Send)]),
        ClientAddress::Drop, "Whether the vendor learns the client's address.");

    EXPOSE: Section = section("expose", "Informative headers on answers.");

    /// Headers that were not asked for are noise.
    EXPOSE_SERVER_TIMING: Setting<Flag> = setting("expose.server_timing", Flag, false,
        "`Server-Timing`: how long the call waited, and how long the vendor took.");

    /// Headers that were not asked for are noise.
    EXPOSE_RATE_LIMIT: Setting<Flag> = setting("expose.rate_limit", Flag, false,
        "`RateLimit` and `RateLimit-Policy` of the allowance that binds.");
}
