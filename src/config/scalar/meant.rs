//! A text that does not fit → the text that was probably meant, in the form the key accepts.
//!
//! Reads the ways in which people and other programs write words, paths and URLs (`yes`, `h2`,
//! `^/orders/.*`); `amount` reads numbers with units (`500rpm`, `1.5 hours`). A suggestion is only
//! made where it fits: the caller reads every one of them before it is shown.

use super::amount::{NOTHING, count, duration, endless, extreme, limit, percent, size};
use super::quantity::{Bytes, Length};
use crate::config::fault::nearest;
use crate::config::keys::Scalar;

/// What was probably meant.
pub(super) fn value(text: &str, scalar: &Scalar) -> Option<String> {
    let text = text.trim();
    match scalar {
        Scalar::Limit => limit(text),
        Scalar::Duration { min, max } => {
            let span = endless(text, *min, *max).or_else(|| duration(text).map(Length))?;
            Some(span.to_string())
        }
        Scalar::Size { min, max } => {
            let bytes = extreme(text, *min, *max).or_else(|| size(text))?;
            Some(Bytes(bytes).to_string())
        }
        Scalar::Rate { .. } => {
            if NOTHING.contains(&&*text.to_ascii_lowercase()) {
                return Some("0B/s".to_owned());
            }
            let amount = text.split(['/', 'p']).next().unwrap_or(text);
            Some(format!("{}/s", Bytes(size(amount.trim())?)))
        }
        Scalar::Percent { .. } => percent(text),
        Scalar::Count { min, max } => {
            Some(extreme(text, *min, *max).or_else(|| count(text))?.to_string())
        }
        Scalar::Workers { .. } => count(text).map(|number| number.to_string()).or_else(|| {
            let cores = ["cores", "cpu", "cpus", "num_cpus", "default", "max", "0"];
            cores.contains(&&*text.to_ascii_lowercase()).then(|| "auto".to_owned())
        }),
        Scalar::Version => text.contains('1').then(|| "1".to_owned()),
        Scalar::Factor { .. } => text.trim_matches(['x', '×', 'X', ' ']).to_owned().into(),
        Scalar::Flag => flag(text),
        Scalar::Word(words) => word(text, words),
        Scalar::Level => word(text, &super::LEVELS),
        Scalar::Pattern => pattern(text),
        Scalar::Prefix => prefix(text),
        Scalar::Host => Some(authority(text).split(':').next()?.to_owned()),
        Scalar::Url => url(text),
        Scalar::Address => address(text),
        Scalar::Header | Scalar::AccountHeader => {
            Some(text.trim_end_matches(':').trim_end().replace(' ', "-"))
        }
        Scalar::Method => nearest(&text.to_ascii_uppercase(), super::METHODS.into_iter()),
        Scalar::Text { .. } | Scalar::Token { .. } => None,
    }
}

/// The variable that a text such as `${NAME}` stands for in other programs.
pub(in crate::config) fn variable(text: &str) -> Option<&str> {
    const FORMS: [(&str, &str); 8] = [
        ("${", "}"),
        ("$(", ")"),
        ("{{", "}}"),
        ("<%=", "%>"),
        ("%", "%"),
        ("$", ""),
        ("env:", ""),
        ("env.", ""),
    ];
    let text = text.trim();
    FORMS.iter().find_map(|(before, behind)| {
        let name = text.strip_prefix(before)?.strip_suffix(behind)?.trim();
        let name = [".Env.", "env.", "env:", "ENV:", "env "]
            .iter()
            .fold(name, |name, word| name.strip_prefix(word).unwrap_or(name));
        let name = name.split(":-").next()?.split(":?").next()?.trim();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (starts && name.chars().all(letters)).then_some(name)
    })
}

/// The first variable in braces anywhere in a text.
pub(in crate::config) fn variable_inside(text: &str) -> Option<&str> {
    let start = text.find("${")?;
    let end = start + text[start..].find('}')?;
    variable(&text[start..=end])
}

fn flag(text: &str) -> Option<String> {
    let said = text.to_ascii_lowercase();
    let yes = ["true", "yes", "y", "on", "1", "enable", "enabled", "always", "t"];
    let no = ["false", "no", "n", "off", "0", "disable", "disabled", "never", "none", "f"];
    let meant = yes.contains(&said.as_str()).then_some("true");
    meant.or(no.contains(&said.as_str()).then_some("false")).map(str::to_owned)
}

/// Words of other programs, and ours for the same; the first that the key knows counts.
const SYNONYMS: [(&str, &[&str]); 25] = [
    ("http2", &["h2", "h2c", "2", "2.0", "http/2", "http/2.0", "http_2", "http-2", "grpc"]),
    ("http1", &["h1", "1", "1.1", "http", "http/1", "http/1.1", "http1.1", "http_1", "http11"]),
    ("auto", &["default", "automatic", "any", "detect", "true", "on", "yes"]),
    ("interactive", &["high", "urgent", "important", "critical", "realtime", "user"]),
    ("normal", &["medium", "default", "standard", "middle", "regular"]),
    ("batch", &["low", "background", "bulk", "lowest", "idle", "offline"]),
    ("observe", &["shadow", "dry_run", "dry-run", "dryrun", "report", "report_only", "monitor"]),
    ("observe", &["log", "audit", "warn", "permissive", "count", "off", "false", "disabled"]),
    ("enforce", &["enforced", "enforcing", "strict", "block", "on", "true", "enabled", "limit"]),
    ("keep", &["pass", "original", "vendor", "preserve", "passthrough", "upstream", "raw"]),
    ("map", &["mapped", "normalise", "normalize", "rewrite", "problem", "true"]),
    ("rewrite", &["rewritten", "map", "on", "true", "yes", "follow"]),
    ("pass", &["passthrough", "keep", "off", "false", "no", "none", "ignore", "manual"]),
    ("send", &["forward", "true", "on", "yes", "pass", "keep", "add", "x-forwarded-for"]),
    ("drop", &["false", "off", "no", "none", "remove", "hide", "strip", "anonymise", "anonymize"]),
    ("even", &["true", "on", "yes", "smooth", "uniform", "evenly", "steady", "linear", "auto"]),
    ("none", &["false", "off", "no", "never", "disabled", "0", "nothing", "burst"]),
    ("all", &["true", "on", "yes", "every", "everything", "always", "full", "verbose"]),
    ("errors_and_slow", &["errors", "error", "slow", "failures", "some", "default", "problems"]),
    ("text", &["pretty", "plain", "console", "human", "logfmt", "compact", "line"]),
    ("json", &["structured", "jsonl", "ndjson", "machine"]),
    ("warn", &["warning", "warnings"]),
    ("error", &["err", "errors", "fatal", "critical", "crit", "alert", "emerg"]),
    ("info", &["information", "notice", "normal", "default", "informational"]),
    ("debug", &["verbose", "dbg", "all"]),
];

fn word(text: &str, words: &[&str]) -> Option<String> {
    let said = text.to_ascii_lowercase();
    let same = words.iter().find(|word| word.replace('_', "") == said.replace(['_', '-', ' '], ""));
    let named = || {
        let known = SYNONYMS.iter().filter(|(ours, _)| words.contains(ours));
        known.filter(|(_, theirs)| theirs.contains(&said.as_str())).map(|(ours, _)| *ours).next()
    };
    let off =
        || (["none", "quiet", "silent", "false", "no"].contains(&said.as_str())).then_some("off");
    let meant = same.copied().or_else(named).or_else(|| off().filter(|off| words.contains(off)));
    meant.map(str::to_owned).or_else(|| nearest(&said, words.iter().copied()))
}

/// Text without a scheme, and without what follows the host.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The path of a URL, or a path without its slash.
fn path_of(text: &str) -> String {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    format!("/{}", path.trim_start_matches(['/', '^']))
}

/// `orders`, `^/orders/.*`, `/orders*`, `/a/**/b`: every star that is not a segment of its own.
fn pattern(text: &str) -> Option<String> {
    let path = path_of(text).trim_end_matches('$').replace(".*", "**").replace(".+", "**");
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "**" => {
                parts.push("**".to_owned());
                break;
            }
            part if part.len() > 1 && part.ends_with('*') => {
                parts.push(part.trim_end_matches('*').to_owned());
                parts.push("**".to_owned());
                break;
            }
            part if part.contains('*') => parts.push("*".to_owned()),
            part => parts.push(part.to_owned()),
        }
    }
    Some(parts.join("/"))
}

fn prefix(text: &str) -> Option<String> {
    let path = path_of(text);
    let path = path.trim_end_matches('$').trim_end_matches(".*").trim_end_matches(['*', '/']);
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

fn url(text: &str) -> Option<String> {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => match text.split_once(":/") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text.trim_start_matches('/')),
        },
    };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let here = host == "localhost" || host.starts_with("127.") || rest.starts_with("[::1]");
    let scheme = match scheme.as_deref() {
        Some("http" | "ws" | "tcp" | "h2c" | "grpc" | "htp") => "http",
        Some(_) => "https",
        None if here => "http",
        None => "https",
    };
    Some(format!("{scheme}://{rest}"))
}

/// `localhost:8080`, `:8080`, `8080`, `http://127.0.0.1:8080/`, `*:8080`.
fn address(text: &str) -> Option<String> {
    let text = authority(text);
    if text.parse::<u16>().is_ok() {
        return Some(format!("127.0.0.1:{text}"));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "8080"));
    Some(match host {
        "localhost" => format!("127.0.0.1:{port}"),
        "" | "*" => format!("0.0.0.0:{port}"),
        "::1" | "::" => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::read;
    use super::*;

    /// What a fault about `text` suggests.
    fn suggested(text: &str, scalar: &Scalar) -> Option<String> {
        read(text, scalar).expect_err(text).remove(0).nearest
    }

    #[test]
    fn limits_as_people_write_them_are_understood() {
        let rows = [
            ("500rpm", "500/m"),
            ("10 per second", "10/s"),
            ("1000/month", "1000/31d"),
            ("100 req/min", "100/m"),
            ("5rps", "5/s"),
            ("5 RPS", "5/s"),
            ("10k/h", "10000/h"),
            ("1,000 requests per hour", "1000/h"),
            ("1_000/day", "1000/day"),
            ("0.5/s", "1/2s"),
            ("1.5/s", "3/2s"),
            ("10r/s", "10/s"),
            ("60/60", "60/m"),
            ("5 per 10 seconds", "5/10s"),
            ("1 request every 100ms", "1/100ms"),
            ("12000/year", "1000/31d"),
            ("300 per quarter", "100/31d"),
            ("10/fortnight", "10/14d"),
            ("70/week", "70/7d"),
            ("10/Second", "10/s"),
            ("10", "10/s"),
            ("2M/day", "2000000/day"),
            ("10qps", "10/s"),
            ("100@1m", "100/m"),
            ("10hz", "10/s"),
            ("1e3/h", "1000/h"),
        ];
        for (text, meant) in rows {
            assert_eq!(suggested(text, &Scalar::Limit).as_deref(), Some(meant), "{text}");
        }
        for text in ["ten/s", "unlimited", "1/s/s", "10/parsec", "-5/s", ""] {
            assert_eq!(suggested(text, &Scalar::Limit), None, "{text}");
        }
    }

    #[test]
    fn durations_as_people_write_them_are_understood() {
        const ANY: Scalar =
            Scalar::Duration { min: Duration::from_millis(1), max: Duration::from_secs(86_400) };
        let rows = [
            ("30 sec", "30s"),
            ("1 hour", "1h"),
            ("1 hour 30 minutes", "1h30m"),
            ("1 minute and 5 seconds", "1m5s"),
            ("1.5h", "1h30m"),
            ("1.5s", "1s500ms"),
            ("PT30S", "30s"),
            ("PT1H30M", "1h30m"),
            ("00:01:30", "1m30s"),
            ("30S", "30s"),
            ("250 MS", "250ms"),
            ("30", "30s"),
            ("30000", "30s"),
            ("30s1m", "1m30s"),
            ("none", "1d"),
            ("never", "1d"),
            ("0", "1d"),
        ];
        for (text, meant) in rows {
            assert_eq!(suggested(text, &ANY).as_deref(), Some(meant), "{text}");
        }
        for text in ["soon", "-3s", "3 parsecs", "2 weeks"] {
            assert_eq!(suggested(text, &ANY), None, "{text}");
        }
        let from_zero = Scalar::Duration { min: Duration::ZERO, max: Duration::from_secs(60) };
        assert_eq!(suggested("off", &from_zero).as_deref(), Some("0s"));
    }

    #[test]
    fn sizes_numbers_and_shares_are_understood() {
        let size = Scalar::Size { min: 0, max: 1 << 30 };
        let count = Scalar::Count { min: 1, max: 100 };
        let share = Scalar::Percent { max: 100 };
        let factor = Scalar::Factor { min: 1.0, max: 10.0 };
        let rows = [
            ("64KB", &size, "64KiB"),
            ("64k", &size, "64KiB"),
            ("1.5 MB", &size, "1536KiB"),
            ("1_048_576", &size, "1MiB"),
            ("65536", &size, "64KiB"),
            ("unlimited", &size, "1GiB"),
            ("off", &size, "0B"),
            ("3x", &count, "3"),
            ("4 times", &count, "4"),
            ("0", &count, "1"),
            ("none", &count, "1"),
            ("unlimited", &count, "100"),
            ("4.0", &count, "4"),
            ("0.1", &share, "10%"),
            ("10", &share, "10%"),
            ("10 percent", &share, "10%"),
            ("off", &share, "0%"),
            ("2x", &factor, "2"),
        ];
        for (text, scalar, meant) in rows {
            assert_eq!(suggested(text, scalar).as_deref(), Some(meant), "{text}");
        }
    }

    #[test]
    fn words_of_other_programs_are_understood() {
        let protocol = Scalar::Word(&["auto", "http1", "http2"]);
        let mode = Scalar::Word(&["enforce", "observe"]);
        let status = Scalar::Word(&["map", "keep"]);
        let rows = [
            ("h2", &protocol, "http2"),
            ("HTTP/1.1", &protocol, "http1"),
            ("HTTP2", &protocol, "http2"),
            ("shadow", &mode, "observe"),
            ("dry-run", &mode, "observe"),
            ("Enforce", &mode, "enforce"),
            ("passthrough", &status, "keep"),
            ("kep", &status, "keep"),
            ("TRUE!", &Scalar::Flag, ""),
            ("Yes", &Scalar::Flag, "true"),
            ("tRue", &Scalar::Flag, "true"),
            ("disabled", &Scalar::Flag, "false"),
            ("WARNING", &Scalar::Level, "warn"),
            ("INFO", &Scalar::Level, "info"),
            ("get", &Scalar::Method, "GET"),
            ("PSOT", &Scalar::Method, "POST"),
            ("orders", &Scalar::Pattern, "/orders"),
            ("^/orders/.*$", &Scalar::Pattern, "/orders/**"),
            ("/orders*", &Scalar::Pattern, "/orders/**"),
            ("/a/**/b", &Scalar::Pattern, "/a/**"),
            ("https://a.example/orders?x=1", &Scalar::Pattern, "/orders"),
            ("/vendor/*", &Scalar::Prefix, "/vendor"),
            ("http://api.local:80/x", &Scalar::Host, "api.local"),
            ("api.local:8080", &Scalar::Host, "api.local"),
            ("localhost:3000", &Scalar::Url, "http://localhost:3000"),
            ("htps://a.example/v1", &Scalar::Url, "https://a.example/v1"),
            ("8080", &Scalar::Address, "127.0.0.1:8080"),
            ("*:8080", &Scalar::Address, "0.0.0.0:8080"),
            ("http://127.0.0.1:8080", &Scalar::Address, "127.0.0.1:8080"),
            ("::1:8080", &Scalar::Address, "[::1]:8080"),
            ("X-Account:", &Scalar::Header, "X-Account"),
            ("X Account", &Scalar::Header, "X-Account"),
            ("v1", &Scalar::Version, "1"),
        ];
        for (text, scalar, meant) in rows {
            let meant = Some(meant).filter(|meant| !meant.is_empty());
            assert_eq!(suggested(text, scalar).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn variables_are_recognised() {
        let named = ["${KEY}", "$KEY", "$(KEY)", "${KEY:-x}", "{{ KEY }}", "%KEY%", "env:KEY"];
        for text in named {
            assert_eq!(variable(text), Some("KEY"), "{text}");
        }
        assert_eq!(variable("{{ .Env.KEY }}"), Some("KEY"));
        for text in ["$", "${}", "50%", "env", "$1", "a$KEY", "/a$b"] {
            assert_eq!(variable(text), None, "{text}");
        }
        assert_eq!(variable_inside("Bearer ${TOKEN}"), Some("TOKEN"));
    }

    proptest::proptest! {
        /// Whatever the text: no panic, and every suggestion fits.
        #[test]
        fn suggestions_fit(text in "[ -~äµ]{0,20}") {
            let all = [
                Scalar::Limit, Scalar::Flag, Scalar::Level, Scalar::Header, Scalar::Method,
                Scalar::Address, Scalar::Host, Scalar::Prefix, Scalar::Pattern, Scalar::Url,
                Scalar::Size { min: 1, max: 1 << 20 }, Scalar::Count { min: 1, max: 9 },
                Scalar::Percent { max: 100 }, Scalar::Word(&["map", "keep"]),
                Scalar::Duration { min: Duration::from_millis(1), max: Duration::from_secs(60) },
            ];
            for scalar in all {
                let misfits = read(&text, &scalar).err().unwrap_or_default();
                for meant in misfits.into_iter().filter_map(|misfit| misfit.nearest) {
                    proptest::prop_assert!(read(&meant, &scalar).is_ok(), "{text} → {meant}");
                }
            }
        }
    }
}
