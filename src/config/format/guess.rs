//! Guesses which valid text was meant where a word, path or URL is in the notation of another
//! program (`yes`, `h2`, `^/orders/.*`).
//!
//! A guess need not be valid: the format parses it before a diagnostic shows it.

use crate::config::diagnostic::nearest;

pub(super) fn flag(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let yes = ["true", "yes", "y", "on", "1", "enable", "enabled", "always", "t"];
    let no = ["false", "no", "n", "off", "0", "disable", "disabled", "never", "none", "f"];
    let word = yes.contains(&&*lower).then_some("true");
    word.or(no.contains(&&*lower).then_some("false")).map(str::to_owned)
}

/// Words of other programs, beside ours for the same; the first that the setting accepts counts.
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

pub(super) fn word(text: &str, words: &[&str]) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let joined = lower.replace(['_', '-', ' '], "");
    let same = words.iter().find(|word| word.replace('_', "") == joined).copied();
    let synonym = || {
        let mut accepted = SYNONYMS.iter().filter(|(ours, _)| words.contains(ours));
        accepted.find(|(_, others)| others.contains(&&*lower)).map(|(ours, _)| *ours)
    };
    let off = || ["none", "quiet", "silent", "false", "no"].contains(&&*lower).then_some("off");
    let word = same.or_else(synonym).or_else(|| off().filter(|off| words.contains(off)));
    word.map(str::to_owned).or_else(|| nearest(&lower, words.iter().copied()))
}

/// The text without a scheme and without what follows the host.
pub(super) fn authority(text: &str) -> &str {
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
pub(super) fn pattern(text: &str) -> Option<String> {
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

pub(super) fn prefix(text: &str) -> Option<String> {
    let path = path_of(text);
    let path = path.trim_end_matches('$').trim_end_matches(".*").trim_end_matches(['*', '/']);
    Some(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
}

pub(super) fn url(text: &str) -> Option<String> {
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
pub(super) fn address(text: &str) -> Option<String> {
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
