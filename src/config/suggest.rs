//! What was probably meant where a key is unknown, or where a text stands in place of a map or
//! a list: in words that can be copied into the file.
//!
//! Knows the names that other gateways and clients use. Refuses to repeat a text that may be a
//! secret: only numbers, durations, words and the like are carried into a suggestion.

use super::elsewhere::{FIRST_KEYS, REMARKS, SWITCHES, SYNONYMS};
use super::fault::nearest;
use super::keys::{self, Key, Keys, Kind, Scalar};
use super::scalar::{self, Plain};
use super::tree::{Member, Node, Value};

/// What an unknown key probably means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meant {
    /// The key of the same map that it takes the place of.
    pub(super) key: Option<&'static str>,
    /// What to write instead.
    pub(super) words: Option<String>,
    /// What to do where there is nothing to write.
    pub(super) remark: Option<&'static str>,
}

/// What an unknown key probably means, in a map of these keys.
pub(super) fn of_key(found: &str, node: &Node, keys: Keys) -> Meant {
    let plain = folded(found);
    let same = keys::each(keys).find(|key| folded(key.name) == plain);
    if let Some(key) = same {
        return Meant { key: Some(key.name), words: Some(key.name.into()), remark: None };
    }
    if let Some((_, remark)) = REMARKS.iter().find(|(names, _)| names.contains(&&*plain)) {
        return Meant { remark: Some(remark), ..Meant::default() };
    }
    let named = named_elsewhere(&plain, keys).or_else(|| inside(&plain, keys));
    let named = named.or_else(|| joined(&plain, keys));
    if let Some(path) = named {
        let key = keys::find(keys, path[0]).map(|key| key.name);
        let words = Some(written(&path, found, node, keys));
        return Meant { key, words, remark: None };
    }
    if let Some(near) = nearest(found, keys::each(keys).map(|key| key.name)) {
        let key = keys::find(keys, &near).map(|key| key.name);
        return Meant { key, words: Some(near), remark: None };
    }
    Meant { words: outside(&plain), ..Meant::default() }
}

/// The map that a text in its place probably stands for: `retry: false`, `wait: 30s`.
pub(super) fn of_text(key: &str, text: &str, keys: Keys) -> Option<String> {
    let said = text.trim().to_ascii_lowercase();
    let off = ["false", "off", "no", "none", "disabled", "never", "0"].contains(&&*said);
    let on = ["true", "on", "yes", "enabled"].contains(&&*said);
    let switched = SWITCHES.iter().find(|(name, ..)| *name == key);
    if let Some((_, when_off, when_on)) = switched.filter(|_| off || on) {
        return Some(if off { *when_off } else { *when_on })
            .filter(|words| !words.is_empty())
            .map(str::to_owned);
    }
    if keys::each(keys).any(|key| matches!(key.kind, Kind::Secret)) && key != "admin" {
        return secret_map(keys);
    }
    if off || on {
        return None;
    }
    // A name has no hyphen, most headers have one.
    if key == "account" && text.contains('-') {
        return Some(format!("{{ header: {} }}", scalar::meant(text, &Scalar::Header)?.to_yaml()));
    }
    if text.starts_with('/') && keys::find(keys, "match").is_some() {
        let path = scalar::meant(text, &Scalar::Pattern)?.to_yaml();
        return Some(format!("{{ match: {{ path: {path} }} }}"));
    }
    if key == "retry"
        && let Ok(retries) = said.parse::<u64>()
    {
        return Some(format!("{{ attempts: {} }}", retries.saturating_add(1)));
    }
    if let Some((method, path)) = text.split_once(' ')
        && keys::find(keys, "methods").is_some()
        && let (Some(method), Some(path)) =
            (scalar::meant(method, &Scalar::Method), scalar::meant(path, &Scalar::Pattern))
    {
        return Some(format!("{{ methods: [{method}], path: {path} }}"));
    }
    let first = FIRST_KEYS.iter().find(|(name, _)| *name == key).map(|(_, first)| *first);
    let first = first.and_then(|first| keys::find(keys, first));
    let read =
        |key: &&'static Key| leaf(&key.kind).is_some_and(|it| scalar::read(text, it).is_ok());
    let near =
        |key: &&'static Key| leaf(&key.kind).is_some_and(|it| scalar::meant(text, it).is_some());
    let key = first
        .filter(near)
        .or_else(|| keys::each(keys).find(read))
        .or_else(|| keys::each(keys).find(near))?;
    let value = leaf(&key.kind).and_then(|it| scalar::meant(text, it))?.to_yaml();
    let listed = matches!(key.kind, Kind::List { .. });
    let value = if listed { format!("[{value}]") } else { value };
    Some(format!("{{ {}: {value} }}", key.name))
}

/// The list that a text in its place probably stands for: `methods: get`, `methods: GET, POST`.
pub(super) fn of_items(text: &str, of: &'static Kind) -> Option<String> {
    let scalar = leaf(of)?;
    let items = text.split([',', ' ', '|', ';']).filter(|item| !item.is_empty());
    let items = items.map(|item| Some(scalar::meant(item, scalar)?.to_yaml()));
    let items = items.collect::<Option<Vec<_>>>().filter(|items| !items.is_empty())?;
    Some(format!("[{}]", items.join(", ")))
}

/// Whether a key of this name holds a secret more often than not.
pub(super) fn names_a_secret(key: &str) -> bool {
    const PARTS: [&str; 12] = [
        "key",
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "auth",
        "bearer",
        "header",
        "cookie",
        "user",
        "pwd",
    ];
    let key = folded(key);
    PARTS.iter().any(|part| key.contains(part))
}

/// Lower case, without what joins words: `baseUrl`, `base_url` and `base-url` are one.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '_' | '-' | '.' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The path, as flow maps, with the value where it can be shown and fits there.
fn written(path: &[&'static str], found: &str, node: &Node, keys: Keys) -> String {
    let value = node.text().and_then(|text| {
        let kind = kind_of(path, keys)?;
        let Kind::Map(inside) = kind else { return carried(path, found, text, leaf(kind)?) };
        of_text(path.last()?, text, inside)
    });
    let secret = matches!(kind_of(path, keys), Some(Kind::Secret));
    let value = value.unwrap_or_else(|| if secret { "{ env: NAME }" } else { "…" }.into());
    let mut words = value;
    for (depth, key) in path.iter().enumerate().rev() {
        words =
            if depth == 0 { format!("{key}: {words}") } else { format!("{{ {key}: {words} }}") };
    }
    if path == ["auth", "value"] {
        return "auth: { header: authorization, scheme: Bearer, value: { env: NAME } }".into();
    }
    if words.ends_with(": …") && path.len() == 1 { path[0].to_owned() } else { words }
}

/// The value, if it is of a kind that is never a secret.
fn carried(
    path: &[&'static str],
    found: &str,
    text: &str,
    scalar: &'static Scalar,
) -> Option<String> {
    if folded(found).contains("retr") && path.last() == Some(&"attempts") {
        let retries = text.trim().parse::<u64>().ok()?.saturating_add(1);
        return scalar::read(&retries.to_string(), scalar).ok().map(|plain| plain.to_yaml());
    }
    // `timeout_ms: 500` says its unit in its name.
    let text = match text.trim().parse::<u64>() {
        Ok(number) if folded(found).ends_with("ms") => format!("{number}ms"),
        Ok(number) if matches!(scalar, Scalar::Limit) => match rate_unit(&folded(found)) {
            Some(unit) => format!("{number}/{unit}"),
            None => text.to_owned(),
        },
        _ => text.to_owned(),
    };
    match scalar::meant(&text, scalar)? {
        plain @ Plain::Text(_) if matches!(scalar, Scalar::Level) => Some(plain.to_yaml()),
        plain @ (Plain::Flag(_)
        | Plain::Count(_)
        | Plain::Factor(_)
        | Plain::Percent(_)
        | Plain::Duration(_)
        | Plain::Size(_)
        | Plain::Rate(_)
        | Plain::Limit(_)
        | Plain::Word(_)
        | Plain::Method(_)
        | Plain::Address(_)) => Some(plain.to_yaml()),
        Plain::Text(_)
        | Plain::Header(..)
        | Plain::Host(_)
        | Plain::Prefix(_)
        | Plain::Pattern(..)
        | Plain::Url(_) => None,
    }
}

fn rate_unit(found: &str) -> Option<&'static str> {
    [
        ("rpm", "m"),
        ("perminute", "m"),
        ("perhour", "h"),
        ("perday", "day"),
        ("rps", "s"),
        ("persecond", "s"),
    ]
    .into_iter()
    .find(|(name, _)| found.contains(name))
    .map(|(_, unit)| unit)
}

/// What stands at a path below a map; any name does below a map of names.
fn kind_of(path: &[&'static str], keys: Keys) -> Option<&'static Kind> {
    let (first, rest) = path.split_first()?;
    let first = &keys::find(keys, first)?.kind;
    rest.iter().try_fold(first, |kind, name| match kind {
        Kind::Map(keys) | Kind::Short { keys, .. } => keys::find(keys, name).map(|key| &key.kind),
        Kind::Named { of, .. } => Some(*of),
        Kind::One(_) | Kind::List { .. } | Kind::Secret | Kind::Data(_) | Kind::Later { .. } => {
            None
        }
    })
}

/// The single value that a kind holds, or that may stand for it.
fn leaf(kind: &'static Kind) -> Option<&'static Scalar> {
    match kind {
        Kind::One(scalar) => Some(scalar),
        Kind::Short { key, keys } => leaf(&keys::find(keys, key)?.kind),
        Kind::List { of, .. } => leaf(of),
        Kind::Map(_) | Kind::Named { .. } | Kind::Secret | Kind::Data(_) | Kind::Later { .. } => {
            None
        }
    }
}

/// The place that other programs' name for it has here.
fn named_elsewhere(plain: &str, keys: Keys) -> Option<Vec<&'static str>> {
    let known = SYNONYMS.iter().filter(|(_, names)| names.contains(&plain));
    known
        .map(|(path, _)| path.split('.').collect::<Vec<_>>())
        .find(|path| kind_of(path, keys).is_some())
}

/// A key of that name in a map below: `attempts` beside `retry`.
fn inside(plain: &str, keys: Keys) -> Option<Vec<&'static str>> {
    let below = |key: &'static Key| {
        let (Kind::Map(keys) | Kind::Short { keys, .. }) = &key.kind else { return None };
        let found = keys::each(keys).find(|below| folded(below.name) == plain)?;
        Some(vec![key.name, found.name])
    };
    keys::each(keys).find_map(below)
}

/// Where the keys on the way to one were written as one word: `shutdown_grace`, `attemptTimeout`.
fn joined(plain: &str, keys: Keys) -> Option<Vec<&'static str>> {
    let below = |key: &'static Key| {
        let (Kind::Map(inside) | Kind::Short { keys: inside, .. }) = &key.kind else { return None };
        let name = folded(key.name);
        let single = name.trim_end_matches('s').to_owned();
        let starts = [&name, &single].into_iter().find_map(|name| plain.strip_prefix(&**name));
        let ends = [&name, &single].into_iter().find_map(|name| plain.strip_suffix(&**name));
        [starts, ends].into_iter().flatten().find_map(|rest| {
            let found = keys::each(inside).find(|below| folded(below.name) == rest);
            let path = found.map(|found| vec![found.name]).or_else(|| joined(rest, inside));
            path.map(|path| [vec![key.name], path].concat())
        })
    };
    let prefixed = |key: &&'static Key| {
        let name = folded(key.name);
        KEY_LETTERS_MIN <= name.len() && plain.starts_with(&name)
    };
    let path = keys::each(keys).find_map(below);
    path.or_else(|| keys::each(keys).find(prefixed).map(|key| vec![key.name]))
}

/// A shorter key at the beginning of an unknown one is chance.
const KEY_LETTERS_MIN: usize = 4;

/// The settings of one entry that stand where its name should: `allowances: { concurrency: 8 }`.
pub(super) fn of_unnamed(key: &str, members: &[Member], of: &'static Kind) -> Option<String> {
    let (Kind::Map(inside) | Kind::Short { keys: inside, .. }) = of else { return None };
    let known = |member: &Member| keys::find(inside, &member.key);
    let entry = |member: &Member| match (&member.node.value, of) {
        (Value::Map(fields), _) => fields.iter().any(|field| known(field).is_some()),
        (Value::Plain(text) | Value::Quoted(text), Kind::Short { key, .. }) => {
            keys::find(inside, key)
                .and_then(|key| leaf(&key.kind))
                .is_some_and(|scalar| scalar::read(text, scalar).is_ok())
        }
        (Value::Nothing | Value::Plain(_) | Value::Quoted(_) | Value::List(_), _) => false,
    };
    let all_known = !members.is_empty() && members.iter().all(|member| known(member).is_some());
    if !all_known || members.iter().all(entry) {
        return None;
    }
    let shown = |member: &Member| {
        let scalar = known(member).and_then(|key| leaf(&key.kind));
        let text = member.node.text().filter(|_| !names_a_secret(&member.key));
        let value = text.and_then(|text| carried(&[], "", text, scalar?));
        format!("{}: {}", member.key, value.as_deref().unwrap_or("…"))
    };
    let name = if key == "allowances" { "all" } else { "NAME" };
    let shown: Vec<_> = members.iter().map(shown).collect();
    Some(format!("{{ {name}: {{ {} }} }}", shown.join(", ")))
}

/// A key of that name in another part of the file.
fn outside(plain: &str) -> Option<String> {
    if let Some(path) = inside(plain, keys::keys_at(&["defaults"])) {
        return Some(format!("defaults: {{ {}: {{ {}: … }} }}", path[0], path[1]));
    }
    let at = |path: &[&'static str]| {
        keys::each(keys::keys_at(path)).find(|key| folded(key.name) == plain).map(|key| key.name)
    };
    let defaults = || at(&["defaults"]).map(|key| format!("defaults: {{ {key}: … }}"));
    let upstream = || {
        at(&["upstreams", keys::ANY]).map(|key| format!("upstreams: {{ NAME: {{ {key}: … }} }}"))
    };
    let whole = || at(&[]).map(|key| format!("{key}, at the top of the file"));
    let allowance = || {
        let key = at(&["upstreams", keys::ANY, "allowances", keys::ANY])?;
        Some(format!("allowances: {{ all: {{ {key}: … }} }}"))
    };
    defaults().or_else(upstream).or_else(whole).or_else(allowance)
}

/// `{ header: …, scheme: …, value: { env: NAME } }`: only names, so that no secret is repeated.
fn secret_map(keys: Keys) -> Option<String> {
    if keys::find(keys, "scheme").is_some() {
        return Some("{ header: authorization, scheme: Bearer, value: { env: NAME } }".into());
    }
    let secret = keys::each(keys).find(|key| matches!(key.kind, Kind::Secret))?;
    Some(format!("{{ {}: {{ env: NAME }} }}", secret.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::{At, Value};

    fn node(text: &str) -> Node {
        Node { at: At::whole(0), value: Value::Plain(text.into()) }
    }

    #[test]
    fn names_of_other_programs_lead_to_ours() {
        let upstream = keys::keys_at(&["upstreams", keys::ANY]);
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
            let words = of_key(found, &node(value), upstream).words;
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
            let words = of_key(found, &node(value), keys::ROOT).words;
            assert_eq!(words.as_deref(), Some(meant), "{found}");
        }
        let auth = keys::keys_at(&["upstreams", keys::ANY, "auth"]);
        for (found, meant) in
            [("token", "value: { env: NAME }"), ("env", "value: { env: NAME }"), ("type", "scheme")]
        {
            let words = of_key(found, &node("s3cret"), auth).words;
            assert_eq!(words.as_deref(), Some(meant), "{found}");
        }
        let timeouts = keys::keys_at(&["defaults", "timeouts"]);
        assert_eq!(of_key("idleTimeout", &node(""), timeouts).words.as_deref(), Some("idle"));
        let nothing = of_key("zebra", &node(""), upstream);
        assert_eq!(nothing, Meant::default());
        assert!(of_key("verify_ssl", &node("false"), upstream).remark.is_some());
    }

    #[test]
    fn a_text_in_place_of_a_map_stands_for_what_was_meant() {
        let upstream = |key| keys::keys_at(&["upstreams", keys::ANY, key]);
        let rows = [
            ("account", "x-acc", Some("{ header: x-acc }")),
            ("account", "acme", Some("{ name: acme }")),
            ("tls", "false", None),
            ("tls", "on", None),
        ];
        for (key, text, meant) in rows {
            assert_eq!(of_text(key, text, upstream(key)).as_deref(), meant, "{key}: {text}");
        }
        assert_eq!(of_text("admin", "false", keys::keys_at(&["admin"])), None);
        let port = of_text("admin", "9901", keys::keys_at(&["admin"]));
        assert_eq!(port.as_deref(), Some("{ address: 127.0.0.1:9901 }"));
        let routes = keys::keys_at(&["upstreams", keys::ANY, "routes", keys::ANY]);
        let meant = of_text("routes", "/a/*", routes);
        assert_eq!(meant.as_deref(), Some("{ match: { path: /a/* } }"));
    }

    #[test]
    fn no_text_that_may_be_a_secret_is_repeated() {
        let upstream = keys::keys_at(&["upstreams", keys::ANY]);
        for found in ["api_key", "token", "apiKey", "bearer_token", "authorization"] {
            let words = of_key(found, &node("s3cret"), upstream).words.unwrap();
            assert!(words.starts_with("auth: ") && !words.contains("s3cret"), "{words}");
        }
        let client = keys::keys_at(&["clients", keys::ANY]);
        let words = of_text("shop", "s3cret", client).unwrap();
        assert_eq!(words, "{ key: { env: NAME } }");
        for name in ["X-API-Key", "clientSecret", "proxy_password", "authorization"] {
            assert!(names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn every_place_of_a_synonym_exists() {
        let maps: [&[&str]; 13] = [
            &[],
            &["listen"],
            &["listen", "head"],
            &["clients", keys::ANY],
            &["upstreams", keys::ANY],
            &["upstreams", keys::ANY, "allowances", keys::ANY],
            &["upstreams", keys::ANY, "routes", keys::ANY],
            &["upstreams", keys::ANY, "tls"],
            &["upstreams", keys::ANY, "auth"],
            &["defaults", "retry"],
            &["defaults", "retry", "backoff"],
            &["defaults", "timeouts"],
            &["defaults", "wait"],
        ];
        for (place, _) in SYNONYMS {
            let path: Vec<_> = place.split('.').collect();
            let exists = |map: &&[&str]| kind_of(&path, keys::keys_at(map)).is_some();
            assert!(maps.iter().any(exists), "no key {place}");
        }
    }
}
