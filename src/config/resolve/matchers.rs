//! Compares matchers: whether one matches every call that another does, and whether any call has a
//! path that a pattern matches.

use http::Method;

use super::reader::Scope;
use crate::config::item::Item;
use crate::config::keys;

/// Why no call behind the prefix matches this pattern, with what to write instead.
pub(super) fn never_matches(text: &str, prefix: &str, base: &str) -> Option<String> {
    if let Some(rest) = behind(text, &format!("{prefix}{base}")).or_else(|| behind(text, prefix)) {
        let rest = behind(rest, base).unwrap_or(rest);
        return Some(format!(
            "a path begins behind the route's prefix `{prefix}`, so this matches only \
             `{prefix}{text}`; for the calls to `{prefix}{rest}` write `{rest}`"
        ));
    }
    if let Some(rest) = behind(text, base) {
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
    // `{id}`, `<id>`, `:id`: the notations of other programs for one segment.
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_placeholder = |part: &&&str| {
        part.starts_with('{') && part.ends_with('}')
            || part.starts_with('<') && part.ends_with('>')
            || part.strip_prefix(':').is_some_and(is_name)
    };
    if let Some(part) = parts.iter().find(is_placeholder) {
        return Some(format!("`{part}` is taken literally; `*` stands for one segment"));
    }
    if parts.iter().any(|part| matches!(*part, "." | "..")) {
        return Some("no call that is sent has `.` or `..` in its path".into());
    }
    let empty = parts.iter().rev().skip(1).any(|part| part.is_empty());
    empty.then(|| "two slashes stand for an empty segment, which hardly any call has".into())
}

/// The path behind a prefix of whole segments.
fn behind<'t>(text: &'t str, start: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(start).filter(|_| !start.is_empty())?;
    if rest.is_empty() { Some("/") } else { Some(rest).filter(|rest| rest.starts_with('/')) }
}

/// The calls that a matcher matches: methods and path segments; nothing means every one.
pub(super) struct Coverage {
    methods: Option<Vec<Method>>,
    segments: Vec<String>,
    /// The headers and parameters that a call has to have.
    conditions: Vec<String>,
}

impl Coverage {
    /// The coverage of an entry of `match` or `exempt`; without one, every call.
    pub(super) fn of(item: Option<&Item>) -> Self {
        let scope = Scope::of(item, keys::CALL_MATCHER, "");
        let headers = scope.written_list(&keys::MATCH_HEADERS).unwrap_or_default();
        let query = scope.written_list(&keys::MATCH_QUERY).unwrap_or_default();
        let query = query.iter().map(|it| format!("?{it}"));
        let conditions = headers.iter().map(ToString::to_string).chain(query).collect();
        let path = scope.written_value(&keys::MATCH_PATH).map(|path| path.written);
        let path = path.unwrap_or_else(|| "/**".into());
        let segments = path.split('/').skip(1).map(str::to_owned).collect();
        Self { methods: scope.written_list(&keys::MATCH_METHODS), segments, conditions }
    }

    /// The coverage of each entry of a `match`; without any, every call.
    pub(super) fn of_each(items: &[Item]) -> Vec<Self> {
        match items {
            [] => vec![Self::of(None)],
            items => items.iter().map(|item| Self::of(Some(item))).collect(),
        }
    }

    /// Whether it matches every call that the other matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let methods = match (&self.methods, &other.methods) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(others)) => others.iter().all(|method| own.contains(method)),
        };
        let conditions = self.conditions.iter().all(|it| other.conditions.contains(it));
        methods && conditions && covers(&self.segments, &other.segments)
    }

    /// Whether some call may match both, by the widest reading of its path and method.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        // Where GET is counted HEAD is too.
        let same = |a: &Method, b: &Method| {
            a == b || [a, b].iter().all(|it| matches!(**it, Method::GET | Method::HEAD))
        };
        let methods = match (&self.methods, &other.methods) {
            (None, _) | (_, None) => true,
            (Some(own), Some(others)) => {
                others.iter().any(|it| own.iter().any(|own| same(own, it)))
            }
        };
        methods && overlap(trimmed(&self.segments), trimmed(&other.segments))
    }
}

/// Without a slash at the end.
fn trimmed(segments: &[String]) -> &[String] {
    match segments {
        [rest @ .., last] if last.is_empty() => rest,
        segments => segments,
    }
}

fn overlap(one: &[String], other: &[String]) -> bool {
    match (one.split_first(), other.split_first()) {
        (Some((first, _)), _) | (_, Some((first, _))) if first == "**" => true,
        (_, Some((first, _))) if first == "**" => true,
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some((first, one)), Some((second, other))) => {
            let any = first == "*" || second == "*" || first.eq_ignore_ascii_case(second);
            any && overlap(one, other)
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
