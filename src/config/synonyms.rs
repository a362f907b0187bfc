//! The names that other programs give to our keys, and what to say about names that have no key
//! here. Names are folded: lower case, without `_` and `-`.

/// Sections that people switch on and off, with what to write for `off` and for `on`. Those with
/// empty texts cannot be switched.
pub(super) const SWITCHES: [(&str, &str, &str); 12] = [
    ("idempotency", "{ add: false }", "{ add: true }"),
    ("retry", "{ attempts: 1 }", "{ attempts: 4 }"),
    ("queue", "{ max: 0 }", "{ max: 1000 }"),
    ("wait", "{ default: 0s }", "{ default: 30s }"),
    ("replay", "{ max_body: 0B }", "{ max_body: 256KiB }"),
    ("backoff", "{ base: 1ms, max: 1ms }", "{ base: 250ms, max: 10s }"),
    (
        "expose",
        "{ server_timing: false, rate_limit: false }",
        "{ server_timing: true, rate_limit: true }",
    ),
    ("log", "{ level: off }", "{ level: info }"),
    ("telemetry", "{ log: { level: off } }", "{ log: { level: info } }"),
    ("admin", "", ""),
    ("tls", "", ""),
    ("shutdown", "{ delay: 0s, grace: 0s }", "{ delay: 0s, grace: 30s }"),
];

/// Sections of which a bare value means another key than the first.
pub(super) const KEYS_OF_BARE_VALUES: [(&str, &str); 7] = [
    ("listen", "address"),
    ("admin", "address"),
    ("timeouts", "attempt"),
    ("shutdown", "grace"),
    ("account", "name"),
    ("match", "path"),
    ("exempt", "methods"),
];

/// Where a setting stands here, and its names elsewhere. The first place that exists counts.
pub(super) const SYNONYMS: [(&str, &str); 47] = [
    (
        "url",
        "baseurl baseuri uri endpoint target backend server servers origin proxypass address \
         apiurl destination href vendorurl upstream host",
    ),
    (
        "upstreams",
        "backends services vendors apis targets providers upstream service vendor servers \
         clusters",
    ),
    ("upstreams.NAME.url", "url baseurl proxypass"),
    ("clients", "consumers users tenants apikeys client callers keys"),
    ("listen.address", "port bind listenaddress listenaddr address addr http server"),
    ("address", "port bind addr host listen interface url socket"),
    ("telemetry.log.level", "loglevel verbosity level"),
    ("telemetry.log", "log logging logs logger"),
    ("telemetry.log.access", "accesslog"),
    ("admin.address", "metrics prometheus status health adminaddress management monitoring"),
    ("limit.limit", "ratelimit rate quota rps rpm throttle limits"),
    (
        "limit",
        "rate requests calls max maxrequests count rps rpm quota ratelimit requestsperminute \
         requestspersecond requestsperhour",
    ),
    (
        "allowances.all.limit",
        "ratelimit ratelimits ratelimiting limit limits quota quotas throttle rate rps rpm \
         maxrps requestspersecond requestsperminute requestsperhour",
    ),
    ("allowances", "allowance budgets"),
    ("key", "apikey token secret password credential authtoken"),
    (
        "concurrency",
        "maxconcurrent maxconcurrency concurrent parallel parallelism inflight maxinflight \
         maxconnections concurrentrequests",
    ),
    ("allowances.all.concurrency", "concurrency maxconcurrent maxconcurrency parallel parallelism"),
    ("allowances.all.burst", "burst burstsize"),
    ("burst", "burstsize capacity bucketsize maxburst"),
    ("arrival_guard", "guard latency"),
    (
        "retry.attempts",
        "retries maxretries retrycount numretries attempts maxattempts tries maxtries",
    ),
    ("attempts", "retries maxretries max count retrycount numretries maxattempts tries limit"),
    ("retry.budget", "retrybudget"),
    ("retry.backoff.base", "backoff retrydelay retrybackoff backofffactor"),
    ("idempotency.header", "idempotencykey idempotencykeyheader"),
    ("idempotency.add", "addidempotencykey autoidempotency idempotencykeys"),
    ("client_retries", "clientretry sdkretries"),
    ("backoff.base", "delay initialdelay basedelay wait interval mindelay"),
    ("backoff.max", "maxdelay maxbackoff"),
    ("base", "initial delay min start initialinterval"),
    ("factor", "multiplier exponent rate"),
    ("timeouts.connect", "connecttimeout connectiontimeout dialtimeout connecttimeoutms"),
    (
        "timeouts.attempt",
        "timeout timeoutms timeoutseconds requesttimeout responsetimeout readtimeout \
         proxyreadtimeout timeoutsec",
    ),
    ("attempt", "request response read total timeout overall head"),
    ("timeouts.idle", "idletimeout streamtimeout bodytimeout"),
    ("wait.default", "maxwait queuetimeout patience waittimeout waittime"),
    ("default", "time timeout seconds"),
    ("queue.max", "queuesize maxqueue queuelength maxqueuesize pending"),
    ("max", "size length limit count capacity"),
    (
        "connections.max",
        "maxconnections poolsize pool connectionpool maxconns keepaliveconnections",
    ),
    ("tls.ca", "ca cafile cacert cabundle ssl certificate trust rootca cacertificate sslcert"),
    ("ca", "cafile cacert bundle roots certificate cabundle rootca pem file"),
    ("route.path", "path prefix location pathprefix listenpath match strippath basepath"),
    (
        "auth.value",
        "apikey token key secret password bearer bearertoken credentials credential \
         authorization accesstoken authtoken",
    ),
    ("value", "token key secret password apikey credential env file bearer"),
    ("scheme", "type kind prefix method"),
    ("match.path", "path prefix pattern url"),
];

/// Older spellings of settings, which stay accepted.
pub(super) const RENAMED: [(&str, (&str, &str)); 1] =
    [("idempotency_header", ("idempotency", "header"))];

/// Names of what has no key here, and what to do instead.
pub(super) const REMARKS: [(&str, &str); 9] = [
    (
        "headers requestheaders addheaders setheaders extraheaders defaultheaders",
        "nothing here; the client's headers pass as they are; a credential goes under `auth`",
    ),
    (
        "verify verifyssl sslverify insecure skipverify insecureskipverify tlsverify \
         rejectunauthorized strictssl verification",
        "nothing here; certificates are always checked; `tls: { ca: FILE }` names the one to \
         believe",
    ),
    (
        "circuitbreaker breaker outlierdetection healthcheck healthchecks",
        "nothing here; an upstream of which half the calls fail is held by itself",
    ),
    (
        "per window interval period unit duration timeunit",
        "nothing here; the window stands behind the limit, as in `limit: 10/s`",
    ),
    (
        "username basicauth user basic",
        "`auth: { header: authorization, scheme: Basic, value: { env: NAME } }`, with the \
         base64 of user:password in the variable",
    ),
    (
        "cert certfile clientcert clientcertificate keyfile privatekey mtls",
        "nothing here; client certificates are not supported yet",
    ),
    (
        "include includes extends import imports",
        "nothing here; several files are layered with several `-c`",
    ),
    ("cache caching cachettl", "nothing here; answers are not cached"),
    ("jitter", "nothing here; the backoff always has full jitter"),
];
