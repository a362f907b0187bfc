//! The settings at the top level of the file, and those of a client.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::declare::*;
use super::profile::PROFILE;
use super::units::{DAY, GIB, HOUR, KIB, MIB, SECOND};
use super::upstream::{ERROR_SHAPES, SPACING, UPSTREAM, UPSTREAM_DEFAULTS};
use crate::allowance::{FirstStart, OnLossMode};
use crate::config::format::{
    Address, CallLimit, Count, Flag, Folder, Header, HeaderField, LogLevel, Percent, Size, Span,
    Token, Version, Word, Workers,
};
use crate::gateway::ErrorShape;
use crate::retry::client::ClientRetries;
use crate::routing::client::Priority;
use crate::telemetry::{Access, Format as LogFormat};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The whole file.
pub(crate) static FILE: Groups = &[TOP];
/// One client.
pub(crate) static CLIENT: Groups = &[CLIENT_SETTINGS];
/// The limit of one client.
pub(crate) static CLIENT_LIMIT_KEYS: Groups = &[CLIENT_LIMIT_SETTINGS, SPACING];

group! {
    TOP:

    VERSION: Setting<Version> =
        setting("version", Version, 1, "The version of this format.");

    LISTEN: Section = section("listen",
        "Where clients are served, and the bounds of their connections.");

    /// Loopback: a gateway that holds credentials is not offered to a network by accident.
    LISTEN_ADDRESS: Setting<Address> = setting("listen.address", Address,
        SocketAddr::new(LOOPBACK, 8080), "The address clients connect to.");

    /// A header of our own, so that `Authorization` stays free for the vendor.
    CLIENT_KEY_HEADER: Setting<HeaderField> = setting("listen.client_key_header",
        HeaderField::ANY, Header::of("evenkeel-key"),
        "The header that carries a client's key; read and removed.");

    /// The pseudonym of RFC 9110 §7.6.3. A random mark per process tells loops from chains.
    VIA: Setting<Token> = setting("listen.via",
        Token { accepted: "a name of letters, digits and `-`" }, Cow::Borrowed("evenkeel"),
        "The gateway's name in `Via` and `Proxy-Status`; each process adds a mark of its own.");

    /// One per core, because workers share nothing.
    WORKERS: Setting<Workers> = setting("listen.workers", Workers { max: 1_024 }, None,
        "Threads that serve; `auto` is one per core.");

    LISTEN_HEAD: Section =
        section("listen.head", "Bounds of a request's head.");

    /// Twice what browsers and SDKs send with large cookies.
    HEAD_BYTES: Setting<Size> = setting("listen.head.max", Size { min: KIB, max: MIB }, 32 * KIB,
        "Bytes of a head; more is answered 431.");

    /// What other proxies allow; more is an attack or a mistake.
    HEADERS: Setting<Count<usize>> = setting("listen.head.headers",
        Count { min: 1, max: 10_000 }, 100, "Headers of a request; more is answered 431.");

    /// The length that RFC 9110 §4.1 asks every recipient to support.
    TARGET_BYTES: Setting<Size> = setting("listen.head.target", Size { min: 256, max: MIB },
        8 * KIB, "Bytes of a request target; more is answered 414.");

    /// A head is one packet or two; ten seconds are enough for the slowest network.
    HEAD_TIMEOUT: Setting<Span> = setting("listen.head.timeout",
        Span { min: SECOND, max: HOUR }, Duration::from_secs(10), "How long a head may take.");

    /// Longer than the 60 s of common balancers, so that they close first and no call is lost.
    LISTEN_IDLE: Setting<Span> = setting("listen.idle", Span { min: SECOND, max: DAY },
        Duration::from_secs(75),
        "How long an unused client connection is kept; longer than the balancer in front keeps \
         it.");

    LISTEN_CONNECTIONS: Section =
        section("listen.connections", "Bounds of client connections.");

    /// Some 100 MiB of idle connections, and well under common limits of open files.
    LISTEN_CONNECTIONS_MAX: Setting<Count<usize>> = setting("listen.connections.max",
        Count { min: 1, max: 1_000_000 }, 10_000, "Client connections over all workers.");

    /// The least that RFC 9113 §6.5.2 recommends.
    LISTEN_STREAMS: Setting<Count<u32>> = setting("listen.connections.streams",
        Count { min: 1, max: 100_000 }, 100,
        "HTTP/2 streams of one client connection at the same time.");

    ADMIN: Section = section("admin",
        "The listener for operators: health, metrics, status.");

    /// Loopback, because it shows traffic and releases holds.
    ADMIN_ADDRESS: Setting<Address> = setting("admin.address", Address,
        SocketAddr::new(LOOPBACK, 9900),
        "The address of the admin listener; anything but loopback needs a token.");

    ADMIN_TOKEN: SecretSetting = Declared::new("admin.token", SecretReference,
        Absent::Means("no token, and loopback only"),
        "The bearer token of requests that change something; reading needs none. In the log its \
         name is `admin`.");

    /// One for each operator or program: levers are logged with the name.
    ADMIN_TOKENS: Entries = Declared::new("admin.tokens",
        Named { of: Element::Secret, max: 1_000 },
        Absent::Means("only `admin.token`, if there is one"),
        "Further tokens of requests that change something, by the name of their holder.");

    STATE: Section = section("state",
        "Where allowances are recorded, so that they outlive the process.");

    STATE_DIR: Optional<Folder> = optional("state.dir", Folder,
        Absent::Means("`$STATE_DIRECTORY`, which systemd sets; without it nothing outlives the \
            process"),
        "The directory of the records; one process uses it at a time.");

    FIRST_START: Optional<Word<FirstStart>> = optional("state.first_start",
        Word(&[("spent", FirstStart::Spent), ("unused", FirstStart::Unused)]),
        Absent::Means("`spent` for windows up to an hour; longer ones need a decision"),
        "What counts as spent of an allowance of which nothing is on record.");

    /// A shorter window is over soon after a restart, and is not worth writing to a disk.
    SHORTEST_WINDOW: Setting<Span> = setting("state.shortest_window",
        Span { min: Duration::from_millis(1), max: DAY }, Duration::from_secs(60),
        "Shorter windows are not recorded: after a restart they count as spent.");

    STORE: Section = section("store", "Where replicas share allowances: Redis 7 or Valkey.");

    STORE_REDIS: Section = section("store.redis", "The server, and how it is reached.");

    STORE_URL: SecretSetting = Declared::new("store.redis.url", SecretReference,
        Absent::Means("every process counts for itself"),
        "`redis://` or `rediss://` with user and password; several, with commas between, of \
            Sentinels or nodes of a cluster.");

    STORE_SENTINEL: Optional<Token> = optional("store.redis.sentinel_master",
        Token { accepted: "the name of a master" }, Absent::Means("no Sentinels"),
        "The master that the Sentinels at the URL name.");

    STORE_CLUSTER: Setting<Flag> = setting("store.redis.cluster", Flag, false,
        "Whether the URL is of nodes of a cluster.");

    STORE_PREFIX: Setting<Token> = setting("store.prefix",
        Token { accepted: "a name of letters, digits and `-`" }, Cow::Borrowed("evenkeel"),
        "What the names of the keys begin with; gateways with the same one share allowances.");

    /// Long enough for a server in another zone; decisions then take less than 50 ms.
    STORE_TIMEOUT: Setting<Span> = setting("store.timeout",
        Span { min: Duration::from_millis(1), max: Duration::from_secs(10) },
        Duration::from_millis(40), "For how long an answer of the store is awaited.");

    ON_LOSS: Setting<Word<OnLossMode>> = setting("store.on_loss",
        Word(&[("reserve", OnLossMode::Reserve), ("stop", OnLossMode::Stop)]),
        OnLossMode::Reserve,
        "What a replica grants while the store is away: its `reserve`, or nothing.");

    /// Ten replicas keep a tenth of the allowance back for it.
    RESERVE: Setting<Percent> = setting("store.reserve", Percent { max: 50 }, 1,
        "The part of each allowance that a replica has leased for that time.");

    RESERVES_MAX: Setting<Count<u32>> = setting("store.replicas_max",
        Count { min: 1, max: 1_000 }, 10, "How many replicas have a reserve.");

    STORE_FIRST_START: Optional<Word<FirstStart>> = optional("store.first_start",
        Word(&[("spent", FirstStart::Spent), ("unused", FirstStart::Unused)]),
        Absent::Means("`spent` for windows up to an hour; longer ones need a decision"),
        "What counts as spent in a store that holds nothing yet.");

    CLIENTS: Entries = Declared::new("clients",
        Named { of: Element::Map(CLIENT), max: 10_000 },
        Absent::Means("every request is of the client `default` and needs no key"),
        "The clients that may call, by name.");

    DEFAULTS: Section = Declared::new("defaults", Map::of(UPSTREAM_DEFAULTS), Absent::Default,
        "What is merged into every upstream.");

    UPSTREAMS: Entries = Declared::new("upstreams",
        Named { of: Element::Map(UPSTREAM), max: 1_000 }, Absent::Required,
        "The vendors' APIs, by name.");

    DIALECTS: Entries = Declared::new("dialects", Named { of: Element::Dialect, max: 1_000 },
        Absent::Means("only the built-in ones"),
        "Own dialects, by name; also files in `dialects/` beside the main file. \
         The same name replaces a built-in one.");

    PROFILES: Entries = Declared::new("profiles", Named { of: Element::Map(PROFILE), max: 1_000 },
        Absent::Means("only the built-in ones"),
        "Own profiles, by name; also files in `profiles/` beside the main file. \
         The same name replaces a built-in one.");

    REPLAY: Section = section("replay",
        "Request bodies kept for another attempt, over all calls.");

    /// 256 calls with full buffers.
    REPLAY_TOTAL: Setting<Size> = setting("replay.total", Size { min: 0, max: 64 * GIB },
        64 * MIB, "Bytes of all replay buffers together.");

    ACCOUNTS: Section =
        section("accounts", "Vendor accounts, over all upstreams.");

    /// A thousand customers of ten vendors, in some 20 MiB.
    ACCOUNTS_MAX: Setting<Count<usize>> = setting("accounts.max",
        Count { min: 1, max: 10_000_000 }, 10_000,
        "Accounts told apart at the same time; further ones share one overflow account.");

    TELEMETRY: Section = section("telemetry", "What is logged.");

    LOG: Section = section("telemetry.log", "The log, on stderr.");

    /// What an operator reads on a quiet day.
    LOG_LEVEL: Setting<LogLevel> = setting("telemetry.log.level", LogLevel,
        Cow::Borrowed("info"), "The least important lines that are written.");

    /// The calls an operator asks about.
    LOG_ACCESS: Setting<Word<Access>> = setting("telemetry.log.access",
        Word(&[
            ("none", Access::None),
            ("errors_and_slow", Access::ErrorsAndSlow),
            ("all", Access::All),
        ]),
        Access::ErrorsAndSlow, "Which calls get a line.");

    /// Text on a terminal, JSON for collectors.
    LOG_FORMAT: Setting<Word<LogFormat>> = setting("telemetry.log.format",
        Word(&[("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)]),
        LogFormat::Auto, "The format of a line; `auto` is text on a terminal, JSON otherwise.");

    SHUTDOWN: Section = section("shutdown", "How the gateway stops.");

    /// Behind a balancer, 5 s let it notice; without one the delay has no use.
    SHUTDOWN_DELAY: Setting<Span> = setting("shutdown.delay",
        Span { min: Duration::ZERO, max: HOUR }, Duration::ZERO,
        "How long serving goes on after readiness went off; 5s behind a balancer.");

    /// What orchestrators grant before they kill.
    SHUTDOWN_GRACE: Setting<Span> = setting("shutdown.grace",
        Span { min: Duration::ZERO, max: DAY }, Duration::from_secs(30),
        "How long calls may then take to end.");
}

group! {
    CLIENT_SETTINGS:

    CLIENT_KEY: SecretSetting = Declared::new("key", SecretReference, Absent::Required,
        "What the client presents, in its key header or as `Authorization: Bearer`.");

    CLIENT_PRIORITY: Setting<Word<Priority>> = setting("priority",
        Word(&[
            ("interactive", Priority::Interactive),
            ("normal", Priority::Normal),
            ("batch", Priority::Batch),
        ]),
        Priority::Normal, "How urgent its calls are.");

    CLIENT_SHARE: Setting<Count<u32>> = setting("share", Count { min: 1, max: 1_000 }, 1,
        "Its weight among the clients whose calls wait; what others leave unused is everybody's.");

    CLIENT_ERRORS: Optional<Word<ErrorShape>> = optional("errors", Word(ERROR_SHAPES),
        Absent::Means("as the route and the upstream say"),
        "The shape of its errors, `problem` or `vendor`; stronger than the upstream's.");

    OWN_RETRIES: Optional<Word<ClientRetries>> = optional("client_retries",
        Word(&[
            ("auto", ClientRetries::AsRequested),
            ("true", ClientRetries::Yes),
            ("false", ClientRetries::No),
        ]),
        Absent::Means("as the upstream says"),
        "Whether it retries by itself, so that blind retries are left to it.");

    CLIENT_LIMIT: Section = Declared::new("limit",
        Map::of(CLIENT_LIMIT_KEYS).or_bare("limit"),
        Absent::Means("no limit of its own"), "The limit of its calls, charged once per call.");
}

group! {
    CLIENT_LIMIT_SETTINGS:

    CLIENT_LIMIT_CALLS: Optional<CallLimit> =
        optional("limit", CallLimit, Absent::Required, "Calls per window.");
}
