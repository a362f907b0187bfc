//! Warns of rules of a dialect that can never apply: behind a wider one, for a status that no
//! response has, for markup where only a sentence is compared.

use http::HeaderName;
use regex::Regex;

use super::reader::{Resolver, Scope};
use crate::config::item::{Content, Field, Item};
use crate::config::keys::{self, Declaration as _};
use crate::dialect::{Dialect, Place, Rule, When};

impl<'a> Resolver<'a> {
    /// Rules that a dialect inherits are not its own fault: own ones may stand before them.
    pub(super) fn rules_that_never_apply(&mut self, root: &Scope<'a>, field: &'a Field) {
        let Content::Data(node) = &field.item.content else { return };
        let Some(Some(dialect)) = self.own_dialects.get(&*field.key).cloned() else { return };
        let written = node.to_json();
        let own = written.get("rules").and_then(|rules| rules.as_array()).map_or(0, Vec::len);
        let inspects = inspects_success(root);
        for (number, rule) in dialect.rules.iter().take(own).enumerate() {
            let message = hidden(&dialect, number, rule)
                .or_else(|| without_response(rule, inspects))
                .or_else(|| for_markup(&dialect, rule));
            if let Some(message) = message {
                let (at, _) = node.at_pointer(&format!("/rules/{number}"));
                self.warn(at, &format!("dialects.{}.rules.{number}", field.key), &message);
            }
        }
    }
}

/// Whether any call's success is inspected.
fn inspects_success(root: &Scope<'_>) -> bool {
    let upstreams = root.entries(&keys::UPSTREAMS).iter();
    let routes = upstreams.clone().filter_map(|field| field.item.find(keys::ROUTES.path()));
    let policies = routes.flat_map(Item::entries).chain(upstreams.map(|field| &field.item));
    let mut policies = policies
        .chain(root.own(&keys::DEFAULTS))
        .map(|item| Scope::of(Some(item), keys::ROUTE_ENTRY, ""));
    policies.any(|policy| policy.value(&keys::INSPECT_SUCCESS))
}

fn hidden(dialect: &Dialect, number: usize, rule: &Rule) -> Option<String> {
    let earlier = dialect.rules[..number].iter().find(|it| hides(&it.when, &rule.when))?;
    Some(format!("it never applies: `{}` before it applies first", earlier.name))
}

fn without_response(rule: &Rule, inspects: bool) -> Option<String> {
    let last = rule.when.status.iter().map(|(_, last)| *last).max()?;
    if last < 200 {
        let message = "it never applies: a response has a status from 200 on; 1xx are interim";
        return Some(message.to_owned());
    }
    (last < 400 && !inspects).then(|| {
        "it never applies: a success is only inspected where an upstream or a route says \
         `inspect_success: true`"
            .to_owned()
    })
}

/// `text` compares the sentence where the dialect names a place for it, never the tags or braces
/// around it.
fn for_markup(dialect: &Dialect, rule: &Rule) -> Option<String> {
    let places = &dialect.extract.message;
    let pattern = rule.when.text.as_ref()?.as_str();
    let markup =
        ["</", "/>", "<?xml", "{\"", "\":"].iter().find(|mark| pattern.contains(**mark))?;
    let sentence = !places.is_empty() && !places.contains(&Place::Text);
    sentence.then(|| {
        format!(
            "it hardly ever applies: `text` compares the message, which has no `{markup}`; a place \
             under `body` looks into the document"
        )
    })
}

/// Whether every outcome that a rule matches is matched by another one first: each condition of
/// that one holds wherever those of the rule do.
fn hides(wide: &When, narrow: &When) -> bool {
    let inside = |(first, last): &(u16, u16)| {
        wide.status.iter().any(|(from, to)| from <= first && last <= to)
    };
    let same = |wide: &Regex, narrow: &Option<Regex>| {
        narrow.as_ref().is_some_and(|narrow| wide.as_str() == narrow.as_str())
    };
    let body = |(place, texts): &(Place, Vec<Box<str>>)| {
        let mut stated = narrow.body.iter().filter(|(at, _)| at == place);
        stated.any(|(_, narrow)| covers(texts, narrow))
    };
    let header = |(name, value): &(HeaderName, Option<Regex>)| {
        let mut stated = narrow.header.iter().filter(|(at, _)| at == name);
        stated.any(|(_, narrow)| value.as_ref().is_none_or(|value| same(value, narrow)))
    };
    (wide.status.is_empty() || !narrow.status.is_empty() && narrow.status.iter().all(inside))
        && wide.text.as_ref().is_none_or(|text| same(text, &narrow.text))
        && (wide.code.is_empty() || covers(&wide.code, &narrow.code))
        && wide.body.iter().all(body)
        && wide.header.iter().all(header)
        && wide.failure.is_empty() == narrow.failure.is_empty()
        && narrow.failure.iter().all(|kind| wide.failure.contains(kind))
}

/// Whether a condition of some texts allows no other than those of a wider one.
fn covers(wide: &[Box<str>], narrow: &[Box<str>]) -> bool {
    !narrow.is_empty() && narrow.iter().all(|text| wide.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::warnings_of;

    #[test]
    fn a_rule_that_can_never_match_gives_a_warning() {
        let rows = [
            ("{ status: 1xx }", "1xx are interim"),
            ("{ status: [200-299] }", "only inspected where"),
            ("{ text: '<code>17</code>' }", "`text` compares the message"),
            ("{ status: 404 }", "`first` before it applies first"),
        ];
        for (when, words) in rows {
            let rule = |when: &str| format!("{{ name: x, when: {when}, code: conflict }}");
            let text = format!(
                "upstreams: {{ v: {{ url: 'https://a.b', dialect: own, allowances: {{ a: 1/s }} }} }}
dialects:
  base: {{ rules: [{}] }}
  own:
    extends: base
    extract: {{ message: /error }}
    rules: [{{ name: first, when: {{ status: 4xx }}, code: conflict }}, {}]",
                rule("{ status: 404 }"),
                rule(when),
            );
            let warnings = warnings_of(&text);
            let about = |it: &&String| it.starts_with("dialects.own.rules.1: ");
            let found: Vec<_> = warnings.iter().filter(about).collect();
            assert_eq!(found.len(), 1, "{when}: {warnings:#?}");
            assert!(found[0].contains(words), "{when}: {found:?}");
        }
    }

    #[test]
    fn a_rule_behind_a_wider_one_never_applies() {
        let rows = [
            ("{ text: busy }", "{ text: busy }", true),
            ("{ text: busy }", "{ text: busy, status: 4xx }", true),
            ("{ text: busy }", "{ text: late }", false),
            ("{ text: busy, status: 4xx }", "{ text: busy }", false),
            ("{ status: [500, 404] }", "{ status: 500, code: q }", true),
            ("{ status: [500, 404], code: q }", "{ status: 500, code: q }", true),
            ("{ status: [500, 404], code: q }", "{ status: 500 }", false),
            ("{ status: 500 }", "{ status: [500, 404] }", false),
            ("{ code: [a, b] }", "{ code: a, status: 409 }", true),
            ("{ code: a }", "{ code: [a, b] }", false),
            ("{ body: { /x: [1, 2] } }", "{ body: { /x: 1, /y: 2 } }", true),
            ("{ body: { /x: 1, /y: 2 } }", "{ body: { /x: 1 } }", false),
            ("{ header: { x-a: '^1$' } }", "{ header: { x-a: '^1$', x-b: y } }", true),
            ("{ header: { x-a: true } }", "{ header: { x-a: '^1$' } }", true),
            ("{ header: { x-a: '^1$' } }", "{ header: { x-a: true } }", false),
            ("{ failure: [reset, timeout] }", "{ failure: reset }", true),
            ("{ failure: reset }", "{ failure: timeout }", false),
            ("{ status: 4xx }", "{ failure: reset }", false),
        ];
        for (earlier, later, expected) in rows {
            let text = format!(
                "{{ rules: [{{ when: {earlier}, code: conflict }}, {{ when: {later}, code: conflict }}] }}"
            );
            let dialect = serde_saphyr::from_str(&text).unwrap();
            let dialect = crate::dialect::compile("x", &dialect).unwrap();
            let [earlier, later] = &dialect.rules[..] else { panic!("two rules") };
            assert_eq!(hides(&earlier.when, &later.when), expected, "{text}");
        }
    }
}
