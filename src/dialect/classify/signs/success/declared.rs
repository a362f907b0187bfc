//! Where a body declares that it is an error.
//!
//! By a flag, a failed status, an error in place of a result, or an error code beside a sentence.
//! What has a result of its own is none: a thing that was asked for may have failed long ago, and
//! a list may hold errors of single items.

use serde_json::{Map, Value};

use super::super::excerpt;
use super::declaration::{Declared, Strength};
use super::names::{
    ANSWERS, BAD_FLAGS, CODES_OF_ERRORS, CODES_OF_RESULTS, ERROR_ENDS, ERRORS, FAILED_FLAGS,
    KIND_STATES, LISTS, STATES, STATUSES, VERDICTS, error_status, flag, has_digit, is_code,
    is_good_flag,
};
use super::object::{
    Member, Object, error_code, holds_result, is_error, is_failed, is_warning, number,
    says_something,
};
use super::text::{self, is_labelled};
use crate::dialect::classify::evidence::Evidence;
use crate::dialect::document::BodyFormat;
use crate::dialect::facts::is_shouted_error;
use crate::dialect::verdict::{is_success_word, says_success};
use crate::outcome::Sign;

/// Objects inside each other that are searched for a declaration.
const DEPTH_MAX: usize = 8;

pub(super) fn of(evidence: &Evidence<'_>) -> Option<Declared> {
    let Evidence { document, facts, .. } = *evidence;
    let worded = facts.message.is_some() || facts.code.is_some();
    let said = facts.message_at.is_some();
    let search = Search { worded, said, format: document.format, thing: false, root: "" };
    match document.format {
        BodyFormat::Json | BodyFormat::Form | BodyFormat::Xml => match &document.tree {
            Value::Object(map) => search.object(map, "", DEPTH_MAX).or_else(|| {
                // The one element around all of XML.
                let (name, inner) = map
                    .iter()
                    .next()
                    .filter(|_| map.len() == 1 && document.format == BodyFormat::Xml)?;
                Search { root: name, ..search }.object(inner.as_object()?, "", DEPTH_MAX)
            }),
            Value::Array(items) => search.array(items, "", DEPTH_MAX),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        },
        BodyFormat::Text => text::of_line(evidence),
        BodyFormat::Html => text::of_page(evidence),
        BodyFormat::Empty | BodyFormat::Unreadable => None,
    }
}

#[derive(Clone, Copy)]
struct Search<'a> {
    /// Whether the body has a message or a code.
    worded: bool,
    /// Whether the message has the name of one.
    said: bool,
    format: BodyFormat,
    /// Whether the object has the name of a thing, whose state is none of the call.
    thing: bool,
    /// The name of the one element around all, if it is skipped.
    root: &'a str,
}

/// Whether an item of a list is an error and nothing else: it has one, or a code and the state or
/// the flag of a failure.
fn is_failed_item(item: &Value) -> bool {
    let Some(map) = item.as_object() else { return false };
    let object = Object::of(map);
    let named = |it: &Member<'_>| {
        (it.plain.starts_with("err") || it.plain.ends_with("error")) && says_something(it.value)
    };
    let failed = |it: &Member<'_>| {
        let state = matches!(&*it.plain, "status" | "result");
        state && it.value.as_str().is_some_and(is_failed)
            || is_good_flag(it) && flag(it.value) == Some(false)
    };
    let coded = || object.members.iter().any(|it| it.plain.ends_with("code"));
    let is_error = || object.members.iter().any(named);
    object.is_bare() && (is_error() || coded() && object.members.iter().any(failed))
}

/// Whether what follows the word in `["error", 10020, "limit: invalid"]` is a code or a sentence.
fn parts_of_error(rest: &[Value]) -> bool {
    let sentence = |it: &Value| it.as_str().is_some_and(|it| it.contains(char::is_whitespace));
    rest.len() <= 4 && rest.iter().any(|it| it.is_number() || sentence(it))
}

impl Search<'_> {
    /// Only actions answer with a form or lines of `name=value`.
    fn is_form(&self) -> bool {
        self.format == BodyFormat::Form
    }

    fn array(&self, items: &[Value], at: &str, depth: usize) -> Option<Declared> {
        match items {
            // Of items only where each is an error and nothing else.
            [Value::Object(first), rest @ ..] if items.iter().all(is_failed_item) => {
                let found = self.object(first, &format!("{at}/0"), depth.checked_sub(1)?)?;
                let single = rest.is_empty() || first.contains_key("jsonrpc");
                (single && found.strength == Strength::Certain).then_some(found)
            }
            [Value::String(first), rest @ ..] if is_failed(first) && parts_of_error(rest) => {
                Some(Declared::by(self.sign(&format!("{at}/0"), first), Strength::Certain))
            }
            _ => None,
        }
    }

    fn object(&self, map: &Map<String, Value>, at: &str, depth: usize) -> Option<Declared> {
        let depth = depth.checked_sub(1)?;
        let object = Object::of(map);
        if object.members.iter().any(|it| is_good_flag(it) && flag(it.value) == Some(true)) {
            return None;
        }
        if object.members.iter().any(is_warning) {
            return None;
        }
        let here = Place { search: self, at, object: &object };
        let flagged = here.flag();
        if flagged.is_some()
            || !self.is_form() && object.is_record()
            || self.thing && !object.is_bare()
        {
            return flagged;
        }
        let succeeded = object.said().is_some_and(says_success);
        let own = || here.state().or_else(|| here.status()).or_else(|| here.in_place());
        let code = if succeeded { None } else { here.code() };
        let is_certain = |found: &Declared| found.strength == Strength::Certain;
        let (certain, weak) = match code {
            Some(found) if is_certain(&found) => (Some(found), None),
            other => (None, other),
        };
        let own = if succeeded { None } else { own().or(certain) };
        let own = own.or_else(|| here.all_failed());
        if succeeded {
            return own;
        }
        own.or_else(|| here.inside(depth)).or(weak).or_else(|| {
            // One sentence and little else; an empty list is a result.
            let bare = at.is_empty() && object.is_bare() && map.len() <= BARE_MEMBERS_MAX;
            let result = |it: &Value| it.is_array() || !self.said && holds_result(it, DEPTH_MAX);
            let bare = bare && !map.values().any(result);
            let first = object.members.first().filter(|_| bare && self.worded)?;
            // "Failed: the box is locked" needs no further proof.
            let labelled = object.members.iter().find(|it| {
                let named = ["message", "msg"].iter().any(|end| it.plain.ends_with(end));
                named && it.value.as_str().is_some_and(is_labelled)
            });
            let labelled = labelled.map(|it| here.certain(it));
            labelled.or_else(|| Some(Declared::by(here.member(first), Strength::Worded)))
        })
    }

    fn sign(&self, at: &str, value: &str) -> Sign {
        let slash = if self.root.is_empty() { "" } else { "/" };
        Sign::Member(format!("{slash}{}{at}: {}", self.root, excerpt(value)).into())
    }
}

/// Members of a body that is little more than a sentence.
const BARE_MEMBERS_MAX: usize = 5;

/// An object of the body.
struct Place<'a> {
    search: &'a Search<'a>,
    at: &'a str,
    object: &'a Object<'a>,
}

impl Place<'_> {
    fn member(&self, member: &Member<'_>) -> Sign {
        let at = format!("{}/{}", self.at, member.name);
        match member.value {
            Value::String(text) => self.search.sign(&at, text),
            Value::Array(_) | Value::Object(_) => self.search.sign(&at, "is set"),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.search.sign(&at, &member.value.to_string())
            }
        }
    }

    fn certain(&self, member: &Member<'_>) -> Declared {
        Declared::by(self.member(member), Strength::Certain)
    }

    /// `success: false`, `error: true`. A thing with a success of its own has more members.
    fn flag(&self) -> Option<Declared> {
        let object = self.object;
        if object.facts > FLAGGED_FACTS_MAX && !self.search.is_form() {
            return None;
        }
        let refused = object.members.iter().find(|it| {
            let approval = self.search.is_form() && it.plain.ends_with("approved");
            (is_good_flag(it) || approval) && self.refuses(it)
        });
        let trouble = || {
            object.members.iter().find(|it| {
                let name = &*it.plain;
                let failed = self.search.worded && FAILED_FLAGS.contains(&name);
                (BAD_FLAGS.contains(&name) || failed) && flag(it.value) == Some(true)
            })
        };
        refused.or_else(trouble).map(|it| self.certain(it))
    }

    /// Whether a flag says no; as a zero or a letter it must stand beside words, and beside no
    /// count of what succeeded and what failed.
    fn refuses(&self, it: &Member<'_>) -> bool {
        let counted = |it: &Member<'_>| {
            matches!(&*it.plain, "failed" | "failure" | "failures" | "errors" | "total")
                && it.value.is_number()
        };
        let short = match it.value {
            Value::Number(number) => number.as_i64() == Some(0),
            Value::String(text) => ["0", "n", "no"].iter().any(|no| text.eq_ignore_ascii_case(no)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
        };
        flag(it.value) == Some(false)
            || short
                && it.plain != "status"
                && self.search.worded
                && self.object.parts == 0
                && !self.object.members.iter().any(counted)
    }

    /// `status: failed`.
    fn state(&self) -> Option<Declared> {
        let coded = || self.object.members.iter().any(|it| is_code(it) && it.plain != "type");
        let results = ["data", "result", "results", "response", "body"];
        let own = self.object.members.iter().filter(|it| says_something(it.value));
        let own = own.filter(|it| results.contains(&&*it.plain)).count();
        if !self.search.worded || self.object.parts > own {
            return None;
        }
        // The state of a thing says nothing of the call, unless an error stands beside it.
        let explained = || self.object.members.iter().any(|it| it.plain.starts_with("err"));
        let state = |it: &&Member<'_>| STATES.iter().any(|end| it.plain.ends_with(end));
        let mut states = self.object.members.iter().filter(state);
        let fine = states.any(|it| it.value.as_str().is_some_and(is_success_word));
        let said = || self.object.said().is_some();
        if fine && !explained() || self.search.thing && !explained() && !said() {
            return None;
        }
        let failed = self.object.members.iter().find(|it| {
            // What kind of thing it is, and how grave, says no more of an event that was asked for.
            let kind = KIND_STATES.contains(&&*it.plain)
                && (coded() || self.object.is_bare() && self.object.members.len() > 1);
            (kind || STATES.iter().any(|end| it.plain.ends_with(end)))
                && it.value.as_str().is_some_and(is_failed)
        });
        failed.map(|it| self.certain(it))
    }

    /// A status ≥ 400 where there is no result.
    fn status(&self) -> Option<Declared> {
        let statuses = self.object.members.iter();
        let mut statuses = statuses.filter(|it| STATUSES.contains(&&*it.plain));
        let bare = self.search.worded && self.object.parts == 0 && !self.search.thing;
        let bare = bare && (self.object.facts == 0 || self.search.is_form());
        let (status, it) = statuses.find_map(|it| Some((error_status(it.value)?, it)))?;
        bare.then(|| Declared { status: Some(status), ..self.certain(it) })
    }

    /// An error in place of a result.
    fn in_place(&self) -> Option<Declared> {
        let object = self.object;
        let verdict = || object.members.iter().any(|it| VERDICTS.contains(&&*it.plain));
        let coded = || object.members.iter().filter(|it| is_code(it));
        // `result: 0` is a failure as often as a success.
        let fine = || coded().any(|it| it.plain != "result" && error_code(it.value).is_none());
        let found = object.members.iter().find(|it| {
            let name = &*it.plain;
            let exact = ERRORS.contains(&name);
            let named = exact || ERROR_ENDS.iter().any(|end| name.ends_with(end));
            let is_it = match it.value {
                // What was found wrong in a thing that was sent in is a result.
                Value::Array(_) => self.search.worded && object.facts <= 1 && !verdict(),
                Value::Object(_) => self.search.worded,
                Value::String(text) if name.contains("message") || name.contains("msg") => {
                    !text.is_empty() && !fine()
                }
                // A number of errors.
                Value::String(text) if name == "errors" && text.parse::<u64>().is_ok() => false,
                Value::String(text) => exact || text.trim().contains(char::is_whitespace),
                Value::Number(_) => {
                    let noted = || {
                        object
                            .members
                            .iter()
                            .any(|it| ERRORS.contains(&&*it.plain) && it.value.is_string())
                    };
                    let alone = object.facts == 0 || object.facts <= NOTED_FACTS_MAX && noted();
                    matches!(name, "error" | "err") && alone
                }
                Value::Null | Value::Bool(_) => false,
            };
            named && is_it && is_error(it.value)
        });
        found.filter(|_| object.parts == 0).map(|it| self.certain(it))
    }

    /// A code that is not that of a success, beside a sentence.
    fn code(&self) -> Option<Declared> {
        let object = self.object;
        if object.parts > 0 && !self.is_negative() {
            return None;
        }
        // An item of a list may say it.
        let alone = object.is_bare() && self.at.is_empty() && self.search.worded;
        let said = object.said().is_some() || alone;
        if object.members.iter().any(|it| VERDICTS.contains(&&*it.plain)) {
            return None;
        }
        let lone = object.members.iter().filter(|_| object.members.len() == 1);
        let mut lone = lone.filter(|it| is_code(it) && number(it.value) < Some(0));
        if let Some(it) = lone.find(|it| number(it.value).is_some()) {
            return Some(self.certain(it));
        }
        let shouted = |it: &&Member<'_>| {
            let text = it.value.as_str().filter(|text| !text.contains(char::is_whitespace));
            text.is_some_and(|text| {
                let ends = ["Error", "Exception"];
                let named = ends.iter().any(|end| text.len() > end.len() && text.ends_with(end));
                is_shouted_error(text) || named && object.members.iter().any(is_code)
            })
        };
        if let Some(it) = object.members.iter().find(shouted).filter(|_| object.is_bare()) {
            return Some(self.certain(it));
        }
        let mut weak = None;
        for it in object.members.iter().filter(|it| is_code(it) && error_code(it.value).is_some()) {
            let name = &*it.plain;
            let number = number(it.value);
            // 1 is the success of many vendors.
            let plain = number != Some(1);
            // A word is a state rather than a code there.
            if matches!(name, "status" | "result") && number.is_none() {
                continue;
            }
            let of_error = CODES_OF_ERRORS.iter().any(|end| name.ends_with(end));
            let of_result = CODES_OF_RESULTS.iter().any(|end| name.ends_with(end));
            let numbered = of_result && plain && said && has_digit(it.value);
            let facts_max = match number {
                Some(..0) => NEGATIVE_FACTS_MAX,
                Some(1_000..) if name != "status" => CODED_FACTS_MAX,
                Some(0..) | None => 0,
            };
            let far = !self.search.thing
                && number.is_some_and(|it| {
                    it < 0 || it >= if name.ends_with("status") { 400 } else { 300 }
                });
            if of_error && plain && self.search.worded
                || numbered
                || far && said && object.facts <= facts_max
            {
                return Some(self.certain(it));
            }
            // A thing may be about a status.
            if object.facts > 0 && error_status(it.value).is_some() {
                continue;
            }
            weak = weak.or_else(|| said.then(|| Declared::by(self.member(it), Strength::Coded)));
        }
        weak.filter(|_| object.facts <= CODED_FACTS_MAX)
    }

    /// Whether its code is negative, which no success's is.
    fn is_negative(&self) -> bool {
        let code = |it: &&Member<'_>| matches!(&*it.plain, "code" | "errcode" | "errno");
        let mut codes = self.object.members.iter().filter(code);
        self.object.facts <= NEGATIVE_FACTS_MAX
            && codes.any(|it| number(it.value).is_some_and(|it| it < 0))
    }

    /// A list of which every item failed, as the count of errors beside it says.
    fn all_failed(&self) -> Option<Declared> {
        let mut counts = self.object.members.iter().filter(|it| {
            let name = &*it.plain;
            name.ends_with("error") || name.ends_with("errors") || name.ends_with("errorcount")
        });
        let failed = counts.find_map(|it| it.value.as_u64()).filter(|failed| *failed > 0)?;
        self.object.members.iter().find_map(|it| {
            let items = it.value.as_array().filter(|items| items.len() as u64 == failed)?;
            let only = items.first()?.as_object()?;
            let at = format!("{}/{}/0", self.at, it.name);
            let object = Object::of(only);
            Place { search: self.search, at: &at, object: &object }.code_of_item()
        })
    }

    /// The error code of an item, whatever else the item repeats of its request.
    fn code_of_item(&self) -> Option<Declared> {
        let mut codes = self.object.members.iter().filter(|it| is_code(it));
        let it =
            codes.find(|it| error_code(it.value).is_some() && number(it.value) >= Some(400))?;
        self.object.said().filter(|text| !says_success(text)).map(|_| self.certain(it))
    }

    /// An object inside declares it for the whole only where no result stands beside it.
    fn inside(&self, depth: usize) -> Option<Declared> {
        let object = self.object;
        if object.facts > 2 && !self.search.is_form() {
            return None;
        }
        // Several things in one are a report about each.
        let things = object.members.iter().filter(|it| {
            matches!(it.value, Value::Object(_))
                && !it.belongs_to_errors()
                && says_something(it.value)
        });
        if self.search.thing && things.count() > 1 {
            return None;
        }
        let listable = |it: &Member<'_>| object.facts == 0 && LISTS.contains(&&*it.plain);
        let alone = object.members.len() == 1;
        let found = object.members.iter().filter_map(|it| {
            let own = usize::from(!it.belongs_to_errors() && holds_result(it.value, DEPTH_MAX));
            if object.parts > own {
                return None;
            }
            let at = format!("{}/{}", self.at, it.name);
            let thing = self.search.format == BodyFormat::Json
                && !it.belongs_to_errors()
                && !ANSWERS.iter().any(|end| it.plain.ends_with(end));
            match it.value {
                // Beside facts of its own, a thing is one of them.
                Value::Object(_) if thing && object.facts > 0 => None,
                Value::Object(inner) => Search { thing, ..*self.search }.object(inner, &at, depth),
                Value::Array(items) if alone || listable(it) => {
                    self.search.array(items, &at, depth)
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => None,
            }
        });
        let mut found = found.filter(|found| found.strength != Strength::Worded);
        found.next()
    }
}

/// Members of a result beside a number and a sentence that are both called an error.
const NOTED_FACTS_MAX: usize = 2;

/// Members of a result beside a code and words that mean trouble with the call.
const CODED_FACTS_MAX: usize = 1;

/// Members of a result beside a negative code, which no success has.
const NEGATIVE_FACTS_MAX: usize = 2;

/// Members of a result beside a flag that still leave it one of the call.
const FLAGGED_FACTS_MAX: usize = 3;
