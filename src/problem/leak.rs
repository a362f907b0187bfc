//! What must never reach a client out of a vendor's texts, by named rules: stack traces, keys and
//! tokens, connection strings, statements of SQL, files, internal hosts and card numbers.
//!
//! One set of all patterns is searched first; only those that it finds are replaced. What merely
//! looks alike stays: ids, hashes, public URLs, JSON Pointers, codes with dots, SQL words in prose.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet};

/// A kind of text that must not reach clients.
struct Rule {
    name: &'static str,
    pattern: &'static str,
    /// What stands in its place.
    label: &'static str,
    /// Whether a match is one, where the pattern alone cannot tell.
    confirms: fn(&Captures<'_>, &str) -> bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The text ends where it begins.
    Trace,
    /// Gives access, also to the client itself, whose own cookies and nonces are in headers.
    Secret,
    /// Says how the vendor is built.
    Internal,
}

/// Which texts are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaks {
    All,
    /// Not secrets: those in headers are meant for the client.
    Internals,
}

/// The text without leaks. Where a pattern has a group `leak` or `lookup`, only that is replaced.
pub(super) fn without_leaks(text: &str, which: Leaks) -> Cow<'_, str> {
    let found = SET.matches(text);
    let mut shown = Cow::Borrowed(text);
    for (rule, pattern) in found.iter().map(|number| (&RULES[number], &PATTERNS[number])) {
        match (rule.kind, which) {
            (Kind::Secret, Leaks::Internals) => continue,
            (Kind::Trace, _) => {
                if let Some(start) = pattern.find(&shown).map(|trace| trace.start()) {
                    shown = match shown {
                        Cow::Borrowed(text) => Cow::Borrowed(&text[..start]),
                        Cow::Owned(text) => Cow::Owned(text[..start].to_owned()),
                    };
                }
            }
            (Kind::Secret, Leaks::All) | (Kind::Internal, _) => {
                let replaced = pattern
                    .replace_all(&shown, |found: &Captures<'_>| replacement(rule, found, &shown));
                if let Cow::Owned(replaced) = replaced {
                    shown = Cow::Owned(replaced);
                }
            }
        }
    }
    shown
}

fn replacement(rule: &Rule, found: &Captures<'_>, text: &str) -> String {
    let whole = found.get_match();
    if !(rule.confirms)(found, text) {
        return whole.as_str().to_owned();
    }
    let part = found.name("leak").or_else(|| found.name("lookup"));
    let leak = part.map_or_else(|| whole.range(), |part| part.range());
    let before = &whole.as_str()[..leak.start - whole.start()];
    let behind = &whole.as_str()[leak.end - whole.start()..];
    [before, rule.label, behind].concat()
}

/// Whether the value of a member with this name is a secret, and not a word about one, as in a list
/// of faulty fields.
pub(super) fn is_secret_member(name: &str, value: &str) -> bool {
    const NAMES: [&str; 16] = [
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "secretkey",
        "clientsecret",
        "apikey",
        "apisecret",
        "accesskey",
        "accesstoken",
        "refreshtoken",
        "sessiontoken",
        "privatekey",
        "authorization",
        "connectionstring",
    ];
    is_named(name, &NAMES) && looks_random(value)
}

/// Letters and digits of a name that is compared; no name in the lists is longer.
const NAME_BYTES_MAX: usize = 24;

/// Whether a name is one of these, without regard to letter case and punctuation.
pub(super) fn is_named(name: &str, names: &[&str]) -> bool {
    let (mut plain, mut length) = ([0; NAME_BYTES_MAX], 0);
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric) {
        let Some(place) = plain.get_mut(length) else { return false };
        *place = byte.to_ascii_lowercase();
        length += 1;
    }
    names.iter().any(|it| *it.as_bytes() == plain[..length])
}

/// Whether a value is rather a key than a word: letters and digits, without blanks.
fn looks_random(value: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_code = value.len() < 24 && value.contains('_') && value.bytes().all(is_word);
    let has = |kind: fn(&u8) -> bool| value.as_bytes().iter().any(kind);
    value.len() >= 6
        && !is_code
        && !has(u8::is_ascii_whitespace)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

const fn always(_: &Captures<'_>, _: &str) -> bool {
    true
}

/// In the order of replacement: what contains others comes first.
static RULES: [Rule; 13] = [
    Rule {
        name: "stack trace",
        pattern: concat!(
            // Python, PHP, Rust, .NET, Go, Java.
            r#"Traceback \(most recent call last\)|[Ss]tack (?:back)?trace:|File "[^"\n]*", line \d+"#,
            r"|thread '[^'\n]*' (?:\(\d+\) )?panicked at (?:'[^'\n]*', )?\S+:\d+|goroutine \d+ \[",
            r"|(?m:^)\s*(?:Caused by: \S|#\d+\s+\S+\(\d+\)|--- End of )|--- End of (?:inner|stack)",
            // Ruby, Go, Elixir.
            r"|[\w./-]*\w\.rb:\d+:in |(?m:^)\s*[\w./-]+\.go:\d+ \+0x|\(\w+ [\d.]+\) lib/\S+\.exs?:\d+:",
            // Java and .NET: `at a.b.C.run(C.java:1)`; JavaScript: `at run (/a.js:1:2)`.
            r"|\s+at\s+(?:async\s+|new\s+)?(?:[\w$<>`]+[./])+[\w$<>`]+\s?\([^)\n]*\)?",
            r"|\s+at\s+(?:async\s+|new\s+)?\S+\s\([^)\n]*:\d+:\d+\)|(?m)^\s*at\s(?:async\s)?\S+:\d+:\d+$",
        ),
        label: "",
        confirms: always,
        kind: Kind::Trace,
    },
    Rule {
        name: "private key",
        pattern: r"(?s)-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY-----|\z)",
        label: SECRET,
        confirms: always,
        kind: Kind::Secret,
    },
    Rule {
        name: "connection string",
        pattern: concat!(
            r"(?i)(?-u:\b)(?:jdbc:[a-z0-9:@]+//|(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|amqps?",
            r"|mssql|sqlserver|oracle|clickhouse|kafka|ldaps?|memcached|cockroachdb|cassandra|couchbase",
            r#"|neo4j|bolt|nats)(?:\+[a-z0-9]+)?://)[^\s"'<>()\[\]]+"#,
            r"|(?-u:\b)(?:server|data source|host|hostname|addr|address|user id|uid|database|driver",
            r#"|initial catalog|defaultendpointsprotocol|accountname|endpoint)\s?=[^;\n"=]*;[^\n"]*?"#,
            r#"(?:password|pwd|accountkey|sharedaccesskey)\s?=\s?[^;\s"'\[\]]+(?:;[^\s"']*)?"#,
        ),
        label: "[connection string]",
        confirms: always,
        kind: Kind::Internal,
    },
    Rule {
        name: "credential in a URL",
        pattern: concat!(
            r"(?-u:\b)[A-Za-z][A-Za-z0-9+.-]{1,20}://",
            r#"(?<leak>[^\s/?#@"'<>\[\]]*:[^\s/?#@"'<>\[\]]*)@"#,
        ),
        label: SECRET,
        confirms: always,
        kind: Kind::Secret,
    },
    Rule {
        name: "token with a prefix",
        pattern: concat!(
            r"(?-u:\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}\b|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",
            r"|[sr]k_(?:live|test)_[0-9A-Za-z]{10,}|whsec_[\w+/]{16,}",
            r"|sk-(?:[A-Za-z0-9]{1,12}-){0,3}[A-Za-z0-9_]{16,}[\w-]*|gh[oprsu]_[A-Za-z0-9]{30,}",
            r"|github_pat_\w{22,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}",
            r"|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|SG\.[\w-]{16,}\.[\w-]{16,}|npm_[A-Za-z0-9]{36}",
            r"|hf_[A-Za-z0-9]{30,}|dop_v1_[0-9a-f]{64}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*))",
        ),
        label: SECRET,
        confirms: always,
        kind: Kind::Secret,
    },
    Rule {
        name: "authorization",
        pattern: r"(?i)(?-u:\b)(?:bearer|basic)(?: |%20|\+)+(?<leak>[a-z0-9._~+/-]{16,}=*)",
        label: SECRET,
        confirms: |found, _| looks_random(&found["leak"]),
        kind: Kind::Secret,
    },
    Rule {
        name: "named secret",
        pattern: concat!(
            r"(?i)(?:[?&](?<query>key|token|auth|sig)|(?<password>password|passwd|pwd|passphrase)",
            r"|secret|api[_-]?key|(?:secret|access|account|private|shared-?access)[_-]?key",
            r"|(?:access|refresh|auth|session|security)[_-]?token|(?:amz|goog)-signature)",
            r#"\\?["']?\s?(?<mark>[=:])\s?\\?["']?(?<leak>[^\s&;,"'<>(){}\[\]\\]+)"#,
        ),
        label: SECRET,
        confirms: |found, _| {
            let value = &found["leak"];
            let length_min = if found.name("query").is_some() { 16 } else { 6 };
            let is_password = found.name("password").is_some() && &found["mark"] == "=";
            (length_min <= value.len() && looks_random(value)) || (is_password && !is_remark(value))
        },
        kind: Kind::Secret,
    },
    Rule {
        name: "card number",
        pattern: concat!(
            r"(?-u:\b)(?:[0-9]{4}(?:[ -][0-9]{4}){3}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}|[0-9]{14,16})",
            r"(?-u:\b)",
        ),
        label: "[card number]",
        confirms: |found, _| is_card(&found[0]),
        kind: Kind::Secret,
    },
    Rule {
        name: "SQL",
        pattern: concat!(
            r"(?s:\(SQL: .*)|(?-u:\b)SELECT\s[^;]*?\sFROM\s[^;\n]*|(?-u:\b)DELETE FROM\s[^;\n]*",
            r"|(?-u:\b)UPDATE\s\S+\sSET\s[^;\n]*|(?i:(?-u:\b)(?:select\s[^;\n]*?\sfrom\s\S+\s",
            r"(?:as\s\S+\s)?(?:where|limit|order by|group by|inner join|left join|join)\s",
            r"|insert into\s\S+\s?\(|update\s\S+\sset\s\S+\s?=|delete from\s\S+\swhere\s)[^;\n]*)",
        ),
        label: "[SQL]",
        // Where clients write the queries themselves, a caret shows the place of the mistake.
        confirms: |_, text| !text.contains("  ^"),
        kind: Kind::Internal,
    },
    Rule {
        name: "file",
        pattern: concat!(
            r#"(?:^|[\s"'`(\[=:,;>|])(?<leak>(?:file://)?/(?:var|etc|proc|tmp|private/var|nix/store"#,
            r"|usr/(?:lib|local|share|src|bin|sbin|app)|(?:opt|srv|home|mnt)/[\w.-]+|Users/[a-z][a-z.-]+)",
            r"(?:/[\w.@+$~-]+)+(?::\d+)*",
            r"|(?:file://)?/(?:[\w.@+$~-]+/)+[\w.@+$~-]+\.[a-z]{1,5}:\d+(?::\d+)?(?-u:\b)",
            r"|(?:file://)?/(?:app|code|workspace|build|go|rustc|src|www|root)/(?:[\w.@+$~-]+/)*",
            r"[\w.@+$~-]+\.(?:java|kt|scala|py|rb|php|m?js|cjs|tsx?|go|rs|cs|exs?|pl|jar|dll|so)(?-u:\b)",
            r#"|[A-Za-z]:[\\/](?:[^\\/:*?"'<>|\s]+[\\/]+)*[^\\/:*?"'<>|\s,;)]+(?::\d+)*"#,
            r#"|\\\\[\w.-]+\\[\w$.-]+(?:\\[^\\/:*?"'<>|\s]+)*)"#,
        ),
        label: "[file]",
        confirms: always,
        kind: Kind::Internal,
    },
    Rule {
        name: "address in a private network",
        pattern: concat!(
            r"(?-u:\b)(?:(?:10|127)(?:\.\d{1,3}){3}|(?:169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])",
            r"|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))(?:\.\d{1,3}){2}|0\.0\.0\.0)",
            r"(?:/\d{1,2})?(?::\d{1,5})?(?-u:\b)",
            r"|(?i:\[?(?-u:\b)(?:fe80|f[cd][0-9a-f]{2}):[0-9a-f:]+[0-9a-f](?:%[a-z0-9]+)?(?-u:\b))",
            r"(?:\](?::\d{1,5})?|:\d{1,5}(?-u:\b))?|\[::1\](?::\d{1,5})?",
        ),
        label: HOST,
        confirms: |found, text| {
            let before = &text[..found.get_match().start()];
            !before.ends_with("version ") && !before.ends_with("Version ")
        },
        kind: Kind::Internal,
    },
    Rule {
        name: "internal host",
        pattern: concat!(
            r"(?i)(?-u:\b)(?:(?:[a-z0-9_-]+\.)+(?:internal|local|localdomain|lan|corp|intranet|svc|consul",
            r"|home\.arpa)|localhost|ip(?:-\d{1,3}){4}(?:\.[a-z0-9.-]*[a-z0-9])?)(?-u:\b)",
            r"(?::\d{1,5}(?-u:\b))?",
            // By the ports of databases and queues.
            r"|(?-u:\b)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?:(?:1433|1521|2181|2379|3306|5432|5672|6379",
            r"|8500|9042|9092|9200|9300|11211|27017)(?-u:\b)",
        ),
        label: HOST,
        // `error.internal` is a code.
        confirms: |found, _| {
            let first = found[0].split('.').next().unwrap_or_default().to_ascii_lowercase();
            !["error", "errors", "err", "exception", "code", "fault", "reason"].contains(&&*first)
        },
        kind: Kind::Internal,
    },
    Rule {
        name: "host that was not reached",
        pattern: concat!(
            r"(?-u:\b)(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED) (?<leak>(?-u:[\w.-]*\w)(?::\d{1,5})?)",
            r"|(?-u:\b)lookup (?<lookup>(?-u:[\w.-]*\w))(?: on \S+)?: no such host",
        ),
        label: HOST,
        confirms: always,
        kind: Kind::Internal,
    },
];

/// In place of keys, tokens and passwords, also of those in members.
pub(super) const SECRET: &str = "[secret]";
const HOST: &str = "[internal host]";

static SET: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(RULES.iter().map(|rule| rule.pattern)).expect("a test compiles the patterns")
});

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let compiled = |rule: &Rule| Regex::new(rule.pattern).expect(rule.name);
    RULES.iter().map(compiled).collect()
});

/// Words about a password in place of one, and passwords that are hidden already.
fn is_remark(value: &str) -> bool {
    const REMARKS: [&str; 9] =
        ["required", "missing", "invalid", "null", "none", "true", "false", "empty", "string"];
    REMARKS.iter().any(|remark| value.eq_ignore_ascii_case(remark))
        || value.bytes().all(|byte| !byte.is_ascii_alphanumeric())
}

/// Whether digits are the number of a card: its length, a known issuer, and the check digit.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let starts = |count: usize| digits.iter().take(count).fold(0, |number, it| number * 10 + it);
    let issued = match digits.len() {
        14 => matches!(starts(3), 300..=305) || matches!(starts(2), 36 | 38),
        15 => matches!(starts(2), 34 | 37),
        16 => {
            starts(1) == 4
                || matches!(starts(2), 35 | 51..=55 | 65)
                || matches!(starts(3), 644..=649)
                || matches!(starts(4), 2221..=2720 | 6011)
        }
        _ => false,
    };
    let luhn = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    issued && luhn.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        without_leaks(text, Leaks::All).into_owned()
    }

    /// Rule, leak, and what is left of it.
    const LEAKS: &[(&str, &str, &str)] = &[
        ("stack trace", "x\n\tat com.acme.Db.run(Db.java:12)\n\t... 23 more", "x"),
        ("stack trace", "x\nCaused by: java.sql.SQLException: no", "x\n"),
        ("stack trace", "x Traceback (most recent call last): File", "x "),
        ("stack trace", "x\n  File \"/srv/a.py\", line 3, in f", "x\n  "),
        ("stack trace", "x   at Acme.Db.Run(String q) in C:\\a\\Db.cs:line 3", "x"),
        ("stack trace", "x --- End of inner exception stack trace ---", "x "),
        ("stack trace", "x\nStack trace:\n#0 /var/www/x.php(12): f()", "x\n"),
        ("stack trace", "x\n#1 {main}#2 a(3)", "x\n#1 {main}#2 a(3)"),
        ("stack trace", "x app/models/user.rb:12:in 'save'", "x "),
        ("stack trace", "x\n    at run (/srv/a.js:3:5)", "x"),
        ("stack trace", "x\n    at async /srv/a.js:3:5", "x\n"),
        ("stack trace", "x\n  at new Db (node:internal/db:9:1)", "x"),
        ("stack trace", "panic: x\n\ngoroutine 1 [running]:", "panic: x\n\n"),
        ("stack trace", "x\n\t/go/src/main.go:12 +0x1d", "x\n"),
        ("stack trace", "thread 'main' panicked at src/main.rs:4:5:\nx", ""),
        ("stack trace", "thread 'main' panicked at 'no', src/main.rs:4", ""),
        ("stack trace", "x stack backtrace:\n 0: std", "x "),
        ("stack trace", "x (ecto 3.1.0) lib/ecto/repo.ex:12: get", "x "),
        ("connection string", "to postgres://u:p@h/db: no", "to [connection string] no"),
        ("connection string", "mongodb+srv://u:p@c0.x.example/a?b=c", "[connection string]"),
        ("connection string", "(jdbc:oracle:thin:@//h:1521/x)", "([connection string])"),
        ("connection string", "redis://:pw@cache/0 down", "[connection string] down"),
        (
            "connection string",
            "bad Server=tcp:db;Database=x;User Id=sa;Password=a b;Encrypt=true",
            "bad [connection string] b;Encrypt=true",
        ),
        (
            "connection string",
            "AccountName=x;AccountKey=aGVsbG8=;EndpointSuffix=y",
            "[connection string]",
        ),
        ("credential in a URL", "https://bob:pw1@a.example/x", "https://[secret]@a.example/x"),
        ("authorization", "got Basic dXNlcjpwYXNzd29yZDE=", "got Basic [secret]"),
        ("named secret", "/v1?a=1&api_key=abc123&b", "/v1?a=1&api_key=[secret]&b"),
        ("named secret", "{\"client_secret\":\"abc-123\"}", "{\"client_secret\":\"[secret]\"}"),
        (
            "named secret",
            "{\\\"password\\\": \\\"hunter2\\\"}",
            "{\\\"password\\\": \\\"[secret]\\\"}",
        ),
        ("named secret", "db_password=hunter", "db_password=[secret]"),
        ("card number", "card 4111 1111 1111 1111 declined", "card [card number] declined"),
        ("card number", "card 5555555555554444.", "card [card number]."),
        ("card number", "3782-822463-10005", "[card number]"),
        ("SQL", "x: SELECT id, a FROM users WHERE id = 5; y", "x: [SQL]; y"),
        ("SQL", "(SQL: select * from orders)", "[SQL]"),
        ("SQL", "near select a.b from t where x = 1", "near [SQL]"),
        ("SQL", "INSERT INTO a (b) VALUES (1)", "[SQL]"),
        ("SQL", "UPDATE a SET b = 1\nx", "[SQL]\nx"),
        ("SQL", "delete from a where b = 1", "[SQL]"),
        ("file", "in /var/www/html/db.php on line 5", "in [file] on line 5"),
        ("file", "open '/etc/app/key.pem': no", "open '[file]': no"),
        ("file", "at=/home/deploy/app/x.js:12:3", "at=[file]"),
        ("file", "/app/src/index.js failed", "[file] failed"),
        ("file", "C:\\inetpub\\wwwroot\\a.cs:12 failed", "[file] failed"),
        ("file", "on \\\\files01\\share\\x now", "on [file] now"),
        ("file", "file:///usr/local/bin/x", "[file]"),
        (
            "address in a private network",
            "to 10.1.2.3:80 or 172.16.0.9.",
            "to [internal host] or [internal host].",
        ),
        (
            "address in a private network",
            "169.254.169.254, 100.64.0.1",
            "[internal host], [internal host]",
        ),
        (
            "address in a private network",
            "[fd00::12]:80 fe80::1%eth0",
            "[internal host] [internal host]",
        ),
        ("internal host", "db.prod.svc.cluster.local:80", "[internal host]"),
        ("internal host", "ip-10-0-3-7.eu-west-1.compute.internal", "[internal host]"),
        ("internal host", "from ip-10-0-3-7: no", "from [internal host]: no"),
        ("internal host", "redis-master:6379 refused", "[internal host] refused"),
        ("internal host", "http://vault.corp/x", "http://[internal host]/x"),
        (
            "host that was not reached",
            "getaddrinfo ENOTFOUND billing-db",
            "getaddrinfo ENOTFOUND [internal host]",
        ),
        (
            "host that was not reached",
            "dial tcp: lookup pay on 8.8.8.8:53: no such host",
            "dial tcp: lookup [internal host] on 8.8.8.8:53: no such host",
        ),
    ];

    /// Such rows too, put together here: programs that look for leaked tokens would find them.
    fn tokens() -> Vec<(&'static str, String, String)> {
        let letters = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2dE3f";
        let (upper, part) = ("IAIOSFODNN7EXAMPLE", &letters[..20]);
        let row = |rule, leak: String, left: &str| (rule, leak, left.to_owned());
        let key = "PRIVATE KEY";
        let pem = format!("-----BEGIN RSA {key}-----\nMII\n-----END RSA {key}-----");
        let jwt = format!("eyJhbGciOiJIUzI1.eyJ{part}");
        let mut rows = vec![
            row("private key", format!("x {pem} y"), "x [secret] y"),
            row("private key", format!("x -----BEGIN {key}-----\nMIIE"), "x [secret]"),
            row("token with a prefix", format!("{jwt}.x9-_ is bad"), "[secret] is bad"),
            row("token with a prefix", format!("AK{upper} x"), "[secret] x"),
            row("authorization", format!("got Bearer {part}"), "got Bearer [secret]"),
            row("named secret", format!("/b?sv=1&sig={part}"), "/b?sv=1&sig=[secret]"),
            ("token with a prefix", jwt.clone(), jwt),
        ];
        let prefixes = [
            ("AIza", 35),
            ("ya29.", 20),
            ("sk_live_", 20),
            ("rk_test_", 20),
            ("whsec_", 20),
            ("sk-", 30),
            ("sk-proj-", 30),
            ("sk-ant-api03-", 40),
            ("ghp_", 36),
            ("github_pat_", 30),
            ("glpat-", 20),
            ("xoxb-", 20),
            ("npm_", 36),
            ("hf_", 34),
        ];
        rows.extend(prefixes.map(|(start, length)| {
            let leak = format!("key {start}{} bad", &letters[..length]);
            row("token with a prefix", leak, "key [secret] bad")
        }));
        let digits = "0123456789abcdef".repeat(2);
        rows.push(row(
            "token with a prefix",
            format!("key shpat_{digits} bad"),
            "key [secret] bad",
        ));
        rows
    }

    #[test]
    fn every_rule_removes_its_leaks() {
        let mut wrong = Vec::new();
        let owned = |(rule, leak, left): &(&'static str, &str, &str)| {
            (*rule, (*leak).to_owned(), (*left).to_owned())
        };
        let rows: Vec<_> = LEAKS.iter().map(owned).chain(tokens()).collect();
        for (rule, leak, left) in &rows {
            if shown(leak) != *left || shown(left) != *left {
                wrong.push((rule, leak, shown(leak)));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for rule in &RULES {
            assert!(rows.iter().any(|(name, ..)| *name == rule.name), "{}", rule.name);
        }
    }

    #[test]
    fn what_merely_looks_like_a_leak_stays() {
        let texts = [
            "Order 3f2b8c1e-9d4a-4c6b-8e1f-2a7d5c9b0e11 was not found.",
            "etag 9b74c9897bac770ffc029102a200c5de, sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
            "Call +49 30 1234567890 or 1-800-555-0199 at 10:00.",
            "See https://docs.vendor.example/errors#rate_limited?x=1 (request req_8Kd2LmQ9xZ).",
            "Write to support@vendor.example, or visit https://status.vendor.example:8443/now.",
            "Order 4111111111111112, invoice 1234567890123456, at 1735689600000000",
            "Please select a plan from the list, update your settings, delete from cart.",
            "SELECT is not allowed here; insert a coin into the slot",
            "/data/attributes/home/street is missing, /Users/42/Groups, and/or, 1/2",
            "/v1/users/etc was moved to /orders/export.py",
            "Version 10.0.19041.1, version 10.1.2.3, 8.8.8.8, 11.2.3.4",
            "error.internal, errors.request.local, code 4:04, ratio 16:9, C: yes",
            "Password: must have 8 characters. The parameter password=required",
            "token: invalid_token_2, secret: missing, api_key=***, key = value",
            "Use `Authorization: Bearer TOKEN` or Basic authentication-with-passwords",
            "Bearer realm=\"api\", error=\"invalid_token\"",
            "risk-assessment-0123456789abcdef, task-0123456789abcdef0123, basket_sk_1",
            "eyJpZCI6MTIzNDU2Nzg5MCwiciI6MX0= is no cursor",
            "pk_live_0123456789abcdefghij and cus_9s6XKzkNRiz8i3, acct_1032D82eZvKYlo2C",
            "localhosted, mylocal.example, internal.example, lan party at noon",
            "Look at it (twice): the cat sat at home (alone).",
            "The lookup of a host failed: try again. ENOTFOUND",
            "arn:aws:iam::123456789012:user/bob, urn:uuid:f81d4fae",
            "2025-01-01T00:00:05.123Z, 00:00:05, fd12 and fe80",
            "SELECT Nme FROM Account\n       ^\nERROR at Row:1:Column:8",
        ];
        let changed = texts.iter().filter(|text| shown(text) != **text);
        let changed: Vec<_> = changed.map(|text| (text, shown(text))).collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }

    #[test]
    fn members_named_for_secrets_hide_keys_and_keep_remarks() {
        for (name, value) in
            [("password", "hunter2"), ("Api-Key", "abc123def"), ("authorization", "Zm9vOmJhcjE=")]
        {
            assert!(is_secret_member(name, value), "{name}");
        }
        for (name, value) in [
            ("password", "is too short, 8 at least"),
            ("password", "min_length_8"),
            ("token", "abc123def"),
            ("next_page_token", "abc123def"),
            ("api_key", "invalid"),
        ] {
            assert!(!is_secret_member(name, value), "{name}");
        }
    }

    #[test]
    fn headers_keep_what_is_meant_for_the_client() {
        let token = "sk_live_0123456789abcdefghij";
        assert_eq!(without_leaks(token, Leaks::Internals), token);
        let leaked = without_leaks("from ip-10-0-3-7.ec2.internal", Leaks::Internals);
        assert_eq!(leaked, "from [internal host]");
    }
}
