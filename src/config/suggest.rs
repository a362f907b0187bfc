//! Suggests what was probably meant by an unknown key, or by a text where a map or a list belongs,
//! in words that can be copied into the file.
//!
//! A text that may be a secret is never repeated: only numbers, durations, words and the like are
//! carried into a suggestion.

use super::diagnostic::nearest;
use super::format::{AnyFormat, HeaderField, HttpMethod, PathPattern};
use super::keys::{self, Groups, Key, Keys, Kind};
use super::synonyms::{KEYS_OF_BARE_VALUES, REMARKS, SWITCHES, SYNONYMS};
use super::tree::{Member, Node, Value};

/// What an unknown key probably means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// The key of the same map that it takes the place of.
    pub(super) key: Option<&'static str>,
    /// What to write instead.
    pub(super) words: Option<String>,
    /// What to do where there is nothing to write.
    pub(super) remark: Option<&'static str>,
}

pub(super) fn for_unknown_key(found: &str, node: &Node, keys: Keys) -> Suggestion {
    let name = folded(found);
    if let Some(key) = keys.each().find(|key| folded(key.name) == name) {
        return Suggestion { key: Some(key.name), words: Some(key.name.into()), remark: None };
    }
    let has = |names: &str| names.split(' ').any(|other| other == name);
    if let Some((_, remark)) = REMARKS.iter().find(|(names, _)| has(names)) {
        return Suggestion { remark: Some(remark), ..Suggestion::default() };
    }
    let mut synonyms = SYNONYMS.iter().filter(|(_, names)| has(names));
    let synonym = synonyms
        .find(|(path, _)| keys.kind_at(path.split('.')).is_some())
        .map(|(path, _)| path.split('.').collect());
    let path = synonym.or_else(|| key_inside(&name, keys)).or_else(|| joined_path(&name, keys));
    if let Some(path) = path {
        let key = keys.find(path[0]).map(|key| key.name);
        let words = Some(at_path(&path, found, node, keys));
        return Suggestion { key, words, remark: None };
    }
    if let Some(near) = nearest(found, keys.each().map(|key| key.name)) {
        let key = keys.find(&near).map(|key| key.name);
        return Suggestion { key, words: Some(near), remark: None };
    }
    Suggestion { words: key_elsewhere(&name), ..Suggestion::default() }
}

/// The map that a text in its place probably stands for: `retry: false`, `wait: 30s`.
pub(super) fn map_for_text(key: &str, text: &str, keys: Keys) -> Option<String> {
    let lower = text.trim().to_ascii_lowercase();
    let off = ["false", "off", "no", "none", "disabled", "never", "0"].contains(&&*lower);
    let on = ["true", "on", "yes", "enabled"].contains(&&*lower);
    let switch = SWITCHES.iter().find(|(name, ..)| *name == key);
    if let Some((_, when_off, when_on)) = switch.filter(|_| off || on) {
        let words = if off { when_off } else { when_on };
        return Some((*words).to_owned()).filter(|words| !words.is_empty());
    }
    if let Some(secret) = keys.each().find(|key| matches!(key.kind, Kind::Secret))
        && key != "admin"
    {
        // Only names, so that no secret is repeated.
        return Some(match keys.find("scheme") {
            Some(_) => AUTHORIZATION.to_owned(),
            None => format!("{{ {}: {{ env: NAME }} }}", secret.name),
        });
    }
    if off || on {
        return None;
    }
    // A name has no hyphen, most headers have one.
    if key == "account" && text.contains('-') {
        return Some(format!("{{ header: {} }}", HeaderField::ANY.suggest(text)?));
    }
    if text.starts_with('/') && keys.find("match").is_some() {
        return Some(format!("{{ match: {{ path: {} }} }}", PathPattern.suggest(text)?));
    }
    if key == "retry"
        && let Ok(retries) = lower.parse::<u64>()
    {
        return Some(format!("{{ attempts: {} }}", retries.saturating_add(1)));
    }
    if let Some((method, path)) = text.split_once(' ')
        && keys.find("methods").is_some()
        && let (Some(method), Some(path)) = (HttpMethod.suggest(method), PathPattern.suggest(path))
    {
        return Some(format!("{{ methods: [{method}], path: {path} }}"));
    }
    map_with_value(key, text, keys)
}

/// The map with the key that the text is a value of.
fn map_with_value(key: &str, text: &str, keys: Keys) -> Option<String> {
    let first = KEYS_OF_BARE_VALUES.iter().find(|(name, _)| *name == key);
    let first = first.and_then(|(_, first)| keys.find(first));
    let valid = |key: &Key| leaf(key.kind).is_some_and(|format| format.check(text).is_ok());
    let near = |key: &Key| leaf(key.kind).is_some_and(|format| format.suggest(text).is_some());
    let key = first
        .filter(near)
        .or_else(|| keys.each().find(valid))
        .or_else(|| keys.each().find(near))?;
    let value = leaf(key.kind)?.suggest(text)?;
    let listed = matches!(key.kind, Kind::List { .. });
    let value = if listed { format!("[{value}]") } else { value };
    Some(format!("{{ {}: {value} }}", key.name))
}

const AUTHORIZATION: &str = "{ header: authorization, scheme: Bearer, value: { env: NAME } }";

/// The list that a text in its place probably stands for: `methods: get`, `methods: GET, POST`.
pub(super) fn list_for_text(text: &str, of: Kind) -> Option<String> {
    let format = leaf(of)?;
    let items = text.split([',', ' ', '|', ';']).filter(|item| !item.is_empty());
    let items = items.map(|item| format.suggest(item));
    let items = items.collect::<Option<Vec<_>>>().filter(|items| !items.is_empty())?;
    Some(format!("[{}]", items.join(", ")))
}

/// Whether a key of this name holds a secret more often than not.
pub(super) fn names_a_secret(key: &str) -> bool {
    const PARTS: &str =
        "key token secret password passwd credential auth bearer header cookie user pwd";
    let key = folded(key);
    PARTS.split(' ').any(|part| key.contains(part))
}

/// Lower case, without what joins words: `baseUrl`, `base_url` and `base-url` are the same.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The path as flow maps, with the value where it can be shown and is valid there.
fn at_path(path: &[&'static str], found: &str, node: &Node, keys: Keys) -> String {
    if path == ["auth", "value"] {
        return format!("auth: {AUTHORIZATION}");
    }
    let kind = keys.kind_at(path.iter().copied());
    let value = node.text().and_then(|text| {
        let kind = kind?;
        if let Kind::Map(inside) = kind {
            return map_for_text(path.last()?, text, inside);
        }
        shown_value(path, found, text, leaf(kind)?)
    });
    let placeholder = if matches!(kind, Some(Kind::Secret)) { "{ env: NAME }" } else { "…" };
    let mut words = value.unwrap_or_else(|| placeholder.into());
    for (depth, key) in path.iter().enumerate().rev() {
        words =
            if depth == 0 { format!("{key}: {words}") } else { format!("{{ {key}: {words} }}") };
    }
    if words.ends_with(": …") && path.len() == 1 { path[0].to_owned() } else { words }
}

/// The value as YAML, if it is of a format that never holds a secret.
fn shown_value(path: &[&str], found: &str, text: &str, format: &dyn AnyFormat) -> Option<String> {
    const UNITS_OF_RATES: [(&str, &str); 6] = [
        ("rpm", "m"),
        ("perminute", "m"),
        ("perhour", "h"),
        ("perday", "day"),
        ("rps", "s"),
        ("persecond", "s"),
    ];
    let name = folded(found);
    let number = text.trim().parse::<u64>();
    if name.contains("retr") && path.last() == Some(&"attempts") {
        let attempts = number.ok()?.saturating_add(1).to_string();
        return format.check(&attempts).is_ok().then_some(attempts);
    }
    // `timeout_ms: 500` and `requests_per_minute: 60` have the unit in the name.
    let unit = UNITS_OF_RATES.iter().find(|(rate, _)| name.contains(rate)).map(|(_, unit)| *unit);
    let text = match (number, unit) {
        (Ok(number), _) if name.ends_with("ms") => format!("{number}ms"),
        (Ok(number), Some(unit)) if path.last() == Some(&"limit") => format!("{number}/{unit}"),
        (Ok(_) | Err(_), _) => text.to_owned(),
    };
    format.suggest(&text).filter(|_| !format.may_hold_secret())
}

/// The format of the single value that a kind holds, or that may stand for it.
fn leaf(kind: Kind) -> Option<&'static dyn AnyFormat> {
    match kind {
        Kind::Value(format) => Some(format),
        Kind::Shorthand { key, keys } => leaf(keys.find(key)?.kind),
        Kind::List { of, .. } => leaf(of.into()),
        Kind::Map(_) | Kind::Named { .. } | Kind::Secret | Kind::Data(_) => None,
    }
}

/// The sections among the keys, with the keys inside.
fn sections(keys: Keys) -> impl Iterator<Item = (&'static str, Keys)> {
    keys.each().filter_map(|key| {
        let (Kind::Map(inside) | Kind::Shorthand { keys: inside, .. }) = key.kind else {
            return None;
        };
        Some((key.name, inside))
    })
}

/// A key of that name in a section: `attempts` beside `retry`.
fn key_inside(name: &str, keys: Keys) -> Option<Vec<&'static str>> {
    sections(keys).find_map(|(section, inside)| {
        let key = inside.each().find(|key| folded(key.name) == name)?;
        Some(vec![section, key.name])
    })
}

/// Where a path was written as one word: `shutdown_grace`, `attemptTimeout`.
fn joined_path(name: &str, keys: Keys) -> Option<Vec<&'static str>> {
    /// A shorter key at the beginning of an unknown one is chance.
    const KEY_LETTERS_MIN: usize = 4;
    let path = sections(keys).find_map(|(section, inside)| {
        let whole = folded(section);
        let singular = whole.trim_end_matches('s');
        let parts = [&*whole, singular];
        let behind = parts.iter().find_map(|part| name.strip_prefix(part));
        let before = parts.iter().find_map(|part| name.strip_suffix(part));
        [behind, before].into_iter().flatten().find_map(|rest| {
            let found = inside.each().find(|key| folded(key.name) == rest);
            let path = found.map(|key| vec![key.name]).or_else(|| joined_path(rest, inside));
            path.map(|path| [vec![section], path].concat())
        })
    });
    let prefix = |key: &Key| {
        let prefix = folded(key.name);
        KEY_LETTERS_MIN <= prefix.len() && name.starts_with(&prefix)
    };
    path.or_else(|| keys.each().find(prefix).map(|key| vec![key.name]))
}

/// The settings of one entry that stand where its name should: `allowances: { concurrency: 8 }`.
pub(super) fn entries_without_names(key: &str, members: &[Member], of: Kind) -> Option<String> {
    let (Kind::Map(inside) | Kind::Shorthand { keys: inside, .. }) = of else { return None };
    let known = |member: &Member| inside.find(&member.key);
    let is_entry = |member: &Member| match (&member.node.value, of) {
        (Value::Map(fields), _) => fields.iter().any(|field| known(field).is_some()),
        (Value::Plain(text) | Value::Quoted(text), Kind::Shorthand { .. }) => {
            leaf(of).is_some_and(|format| format.check(text).is_ok())
        }
        (Value::Nothing | Value::Plain(_) | Value::Quoted(_) | Value::List(_), _) => false,
    };
    let all_known = !members.is_empty() && members.iter().all(|member| known(member).is_some());
    if !all_known || members.iter().all(is_entry) {
        return None;
    }
    let shown = |member: &Member| {
        let format = known(member).and_then(|key| leaf(key.kind));
        let text = member.node.text().filter(|_| !names_a_secret(&member.key));
        let value = text.and_then(|text| shown_value(&[], "", text, format?));
        format!("{}: {}", member.key, value.as_deref().unwrap_or("…"))
    };
    let name = if key == "allowances" { "all" } else { "NAME" };
    let shown: Vec<_> = members.iter().map(shown).collect();
    Some(format!("{{ {name}: {{ {} }} }}", shown.join(", ")))
}

/// A key of that name in another part of the file.
fn key_elsewhere(name: &str) -> Option<String> {
    if let Some(path) = key_inside(name, Keys::of(keys::UPSTREAM_DEFAULTS)) {
        return Some(format!("defaults: {{ {}: {{ {}: … }} }}", path[0], path[1]));
    }
    let key_in = |groups: Groups| {
        Keys::of(groups).each().find(|key| folded(key.name) == name).map(|key| key.name)
    };
    let defaults =
        || key_in(keys::UPSTREAM_DEFAULTS).map(|key| format!("defaults: {{ {key}: … }}"));
    let upstream =
        || key_in(keys::UPSTREAM).map(|key| format!("upstreams: {{ NAME: {{ {key}: … }} }}"));
    let top = || key_in(keys::FILE).map(|key| format!("{key}, at the top of the file"));
    let allowance =
        || key_in(keys::ALLOWANCE).map(|key| format!("allowances: {{ all: {{ {key}: … }} }}"));
    defaults().or_else(upstream).or_else(top).or_else(allowance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::{Location, Value};

    fn node(text: &str) -> Node {
        Node { at: Location::whole(0), value: Value::Plain(text.into()) }
    }

    /// The keys of a section.
    fn inside(groups: Groups, path: &str) -> Keys {
        match Keys::of(groups).kind_at(path.split('.')) {
            Some(Kind::Map(keys) | Kind::Shorthand { keys, .. }) => keys,
            _ => panic!("{path} is not a section"),
        }
    }

    #[test]
    fn keys_of_other_programs_get_our_key_as_suggestion() {
        let upstream = Keys::of(keys::UPSTREAM);
        let rows = [
            ("base_url", "https://a.b", "url"),
            ("baseURL", "https://a.b", "url"),
            ("Url", "https://a.b", "url"),
            ("proxy_pass", "https://a.b", "url"),
            ("timeout", "30", "timeouts: { attempt: 30s }"),
            ("connect_timeout", "5 sec", "timeouts: { connect: 5s }"),
            ("timeout_ms", "500", "timeouts: { attempt: 500ms }"),
            ("retries", "3", "retry: { attempts: 4 }"),
            ("maxRetries", "0", "retry: { attempts: 1 }"),
            ("attempts", "3", "retry: { attempts: 3 }"),
            ("rate_limit", "10 per second", "allowances: { all: { limit: 10/s } }"),
            ("requests_per_minute", "60", "allowances: { all: { limit: 60/m } }"),
            ("rps", "5", "allowances: { all: { limit: 5/s } }"),
            ("max_connections", "5", "connections: { max: 5 }"),
            ("queue_size", "50", "queue: { max: 50 }"),
            ("max-body", "1MB", "replay: { max_body: 1MiB }"),
            ("prefix", "/v", "route: { path: … }"),
            ("retry_budget", "0.2", "retry: { budget: 20% }"),
            ("attemptTimeout", "5", "timeouts: { attempt: 5s }"),
            ("timeouts_request_rate", "2KB/s", "timeouts: { request_rate: 2KiB/s }"),
            ("head_max", "1MB", "head: { max: 1MiB }"),
        ];
        for (found, value, meant) in rows {
            let words = for_unknown_key(found, &node(value), upstream).words;
            assert_eq!(words.as_deref(), Some(meant), "{found}");
        }
        let rows = [
            ("port", "8080", "listen: { address: 127.0.0.1:8080 }"),
            ("log_level", "INFO", "telemetry: { log: { level: info } }"),
            ("backends", "", "upstreams"),
            ("shutdown_grace", "10", "shutdown: { grace: 10s }"),
            ("listen.head.max", "64KB", "listen: { head: { max: 64KiB } }"),
            ("telemetryLogFormat", "json", "telemetry: { log: { format: json } }"),
            ("timeouts", "", "defaults: { timeouts: … }"),
            ("url", "", "upstreams: { NAME: { url: … } }"),
        ];
        for (found, value, meant) in rows {
            let words = for_unknown_key(found, &node(value), Keys::of(keys::FILE)).words;
            assert_eq!(words.as_deref(), Some(meant), "{found}");
        }
        let auth = inside(keys::UPSTREAM, "auth");
        for (found, meant) in
            [("token", "value: { env: NAME }"), ("env", "value: { env: NAME }"), ("type", "scheme")]
        {
            let words = for_unknown_key(found, &node("s3cret"), auth).words;
            assert_eq!(words.as_deref(), Some(meant), "{found}");
        }
        let timeouts = inside(keys::UPSTREAM, "timeouts");
        assert_eq!(
            for_unknown_key("idleTimeout", &node(""), timeouts).words.as_deref(),
            Some("idle")
        );
        let nothing = for_unknown_key("zebra", &node(""), upstream);
        assert_eq!(nothing, Suggestion::default());
        assert!(for_unknown_key("verify_ssl", &node("false"), upstream).remark.is_some());
    }

    #[test]
    fn a_text_in_place_of_a_map_gets_a_map_as_suggestion() {
        let upstream = |key| inside(keys::UPSTREAM, key);
        let rows = [
            ("account", "x-acc", Some("{ header: x-acc }")),
            ("account", "acme", Some("{ name: acme }")),
            ("tls", "false", None),
            ("tls", "on", None),
        ];
        for (key, text, meant) in rows {
            assert_eq!(map_for_text(key, text, upstream(key)).as_deref(), meant, "{key}: {text}");
        }
        assert_eq!(map_for_text("admin", "false", inside(keys::FILE, "admin")), None);
        let port = map_for_text("admin", "9901", inside(keys::FILE, "admin"));
        assert_eq!(port.as_deref(), Some("{ address: 127.0.0.1:9901 }"));
        let routes = Keys::of(keys::ROUTE_ENTRY);
        let meant = map_for_text("routes", "/a/*", routes);
        assert_eq!(meant.as_deref(), Some("{ match: { path: /a/* } }"));
    }

    #[test]
    fn no_suggestion_repeats_a_text_that_may_be_a_secret() {
        let upstream = Keys::of(keys::UPSTREAM);
        for found in ["api_key", "token", "apiKey", "bearer_token", "authorization"] {
            let words = for_unknown_key(found, &node("s3cret"), upstream).words.unwrap();
            assert!(words.starts_with("auth: ") && !words.contains("s3cret"), "{words}");
        }
        let client = Keys::of(keys::CLIENT);
        let words = map_for_text("shop", "s3cret", client).unwrap();
        assert_eq!(words, "{ key: { env: NAME } }");
        for name in ["X-API-Key", "clientSecret", "proxy_password", "authorization"] {
            assert!(names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn every_synonym_leads_to_a_declared_key() {
        let maps = [
            Keys::of(keys::FILE),
            inside(keys::FILE, "listen"),
            inside(keys::FILE, "listen.head"),
            Keys::of(keys::CLIENT),
            Keys::of(keys::UPSTREAM),
            Keys::of(keys::ALLOWANCE),
            Keys::of(keys::ROUTE_ENTRY),
            inside(keys::UPSTREAM, "tls"),
            inside(keys::UPSTREAM, "auth"),
            inside(keys::UPSTREAM, "retry"),
            inside(keys::UPSTREAM, "retry.backoff"),
            inside(keys::UPSTREAM, "timeouts"),
            inside(keys::UPSTREAM, "wait"),
        ];
        for (place, _) in SYNONYMS {
            let exists = |map: &Keys| map.kind_at(place.split('.')).is_some();
            assert!(maps.iter().any(exists), "no key {place}");
        }
    }
}
