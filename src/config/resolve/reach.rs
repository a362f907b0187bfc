//! Which calls a matcher reaches: whether one reaches all that another does, and whether any call
//! has a path of its pattern.

use super::policy::plain;
use crate::config::check::{Field, Held, Item};
use crate::config::scalar::Plain;

/// Why no call behind the prefix has a path of this pattern, with what to write instead.
pub(super) fn never_a_path(text: &str, prefix: &str, base: &str) -> Option<String> {
    let behind = |start: &str| {
        let rest = text.strip_prefix(start).filter(|_| !start.is_empty())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(if rest.is_empty() {
            "/"
        } else {
            rest
        })
    };
    if let Some(rest) = behind(&format!("{prefix}{base}")).or_else(|| behind(prefix)) {
        let rest = Some(base)
            .filter(|base| !base.is_empty())
            .and_then(|base| {
                let rest = rest.strip_prefix(base)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(rest)
            })
            .unwrap_or(rest);
        let rest = if rest.is_empty() { "/" } else { rest };
        return Some(format!(
            "a path begins behind the route's prefix `{prefix}`, so this matches only \
             `{prefix}{text}`; for the calls to `{prefix}{rest}` write `{rest}`"
        ));
    }
    if let Some(rest) = behind(base) {
        return Some(format!(
            "a path begins behind the route's prefix, before the URL's path `{base}` is put in \
             its place, so this matches what is sent to `{base}{text}`; for `{base}{rest}` write \
             `{rest}`"
        ));
    }
    let odd = |c: char| !c.is_ascii() || c == ' ' || c.is_ascii_control();
    if text.contains(['?', '#']) {
        return Some("no path has a query or a fragment in it: leave it out".into());
    }
    if text.contains(odd) {
        return Some("on the wire such characters are percent-encoded: write them so".into());
    }
    let parts: Vec<_> = text.split('/').skip(1).collect();
    if let Some(part) = parts.iter().find(|part| is_placeholder(part)) {
        return Some(format!("`{part}` is taken literally; `*` stands for one segment"));
    }
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Some("no call that is sent has `.` or `..` in its path".into());
    }
    let empty = parts.iter().rev().skip(1).any(|part| part.is_empty());
    empty.then(|| "two slashes stand for an empty segment, which hardly any call has".into())
}

/// `{id}`, `:id`, `<id>`: what other programs write for one segment.
fn is_placeholder(part: &str) -> bool {
    let braced = part.starts_with('{') && part.ends_with('}');
    let angled = part.starts_with('<') && part.ends_with('>');
    let colon = part.strip_prefix(':').is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    braced || angled || colon
}

pub(super) fn items(item: &Item) -> &[Item] {
    if let Held::List(items) = &item.held { items } else { &[] }
}

/// Which calls a matcher is for: methods and segments; nothing means every one.
pub(super) struct Reach {
    methods: Option<Vec<String>>,
    segments: Vec<String>,
}

impl Reach {
    pub(super) fn everything() -> Self {
        Self { methods: None, segments: vec!["**".to_owned()] }
    }

    pub(super) fn of(item: &Item) -> Self {
        let methods = item.field("methods").map(|field| {
            items(&field.item).iter().filter_map(plain).map(Plain::to_string).collect()
        });
        let path = item.field("path").and_then(|field| plain(&field.item)).map(Plain::to_string);
        let path = path.unwrap_or_else(|| "/**".to_owned());
        Self { methods, segments: path.split('/').skip(1).map(str::to_owned).collect() }
    }

    pub(super) fn of_allowance(field: &Field) -> Self {
        field.item.field("match").map_or_else(Self::everything, |it| Self::of(&it.item))
    }

    /// Whether it is for every call that the other is for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let methods = match (&self.methods, &other.methods) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.iter().all(|method| own.contains(method)),
        };
        methods && covers(&self.segments, &other.segments)
    }

    /// Whether some call may be one of both, by the widest reading of its path and method.
    pub(super) fn meets(&self, other: &Self) -> bool {
        // Where GET is counted HEAD is too.
        let same = |a: &String, b: &String| {
            a == b || [a, b].iter().all(|it| matches!(it.as_str(), "GET" | "HEAD"))
        };
        let methods = match (&self.methods, &other.methods) {
            (None, _) | (_, None) => true,
            (Some(own), Some(others)) => {
                others.iter().any(|it| own.iter().any(|own| same(own, it)))
            }
        };
        methods && meet(trimmed(&self.segments), trimmed(&other.segments))
    }
}

/// Without a slash at the end.
fn trimmed(segments: &[String]) -> &[String] {
    match segments {
        [rest @ .., last] if last.is_empty() => rest,
        segments => segments,
    }
}

fn meet(one: &[String], other: &[String]) -> bool {
    match (one.split_first(), other.split_first()) {
        (Some((first, _)), _) | (_, Some((first, _))) if first == "**" => true,
        (_, Some((first, _))) if first == "**" => true,
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((first, one)), Some((second, other))) => {
            let any = first == "*" || second == "*" || first.eq_ignore_ascii_case(second);
            any && meet(one, other)
        }
    }
}

fn covers(wide: &[String], narrow: &[String]) -> bool {
    match (wide.split_first(), narrow.split_first()) {
        (Some((first, _)), _) if first == "**" => true,
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((first, wide)), Some((other, narrow))) => {
            let any = first == "*" && !other.is_empty() && other != "**";
            (any || first == other && other != "**") && covers(wide, narrow)
        }
    }
}
