//! The members of an object, looked up by their names in one spelling.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::names::{ENVELOPES, is_word, plain};
use super::values::{escaped, scalar};
use crate::outcome::ValueId;

pub(super) const MEMBERS_MAX: usize = 200;

/// The members of one object, by their names in one spelling.
pub(super) struct Members<'a> {
    at: String,
    list: Vec<(Cow<'a, str>, &'a str, &'a Value)>,
    /// One bit for each length of a name. Most names that are looked for have another length, which
    /// spares the comparisons: 4 % of a small error.
    lengths: u64,
}

/// One member of an object.
#[derive(Clone, Copy)]
pub(super) struct Member<'m, 'a> {
    /// The pointer of the object.
    pub(super) parent: &'m str,
    /// The name in one spelling, and as written.
    pub(super) plain: &'m str,
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
}

impl Member<'_, '_> {
    /// The pointer of the value.
    pub(super) fn at(&self) -> String {
        [self.parent, "/", &escaped(self.name)].concat()
    }

    pub(super) fn id(&self) -> ValueId {
        ValueId::of(self.value)
    }
}

impl<'a> Members<'a> {
    /// The members of an object where no pointer is asked for.
    pub(super) fn of(map: &'a Map<String, Value>) -> Self {
        Self::at(map, "")
    }

    /// The members of the object that this pointer leads to.
    pub(super) fn at(map: &'a Map<String, Value>, at: &str) -> Self {
        let mut lengths = 0;
        let member = |(name, value): (&'a String, &'a Value)| {
            let plain = plain(name);
            lengths |= 1 << plain.len();
            (plain, name.as_str(), value)
        };
        let list = map.iter().take(MEMBERS_MAX).map(member).collect();
        Self { at: at.to_owned(), list, lengths }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Member<'_, 'a>> {
        self.list.iter().map(|(plain, name, value)| Member { parent: &self.at, plain, name, value })
    }

    /// The members of these names, in the order of the names.
    pub(super) fn named<'m>(
        &'m self,
        names: &'m [&str],
    ) -> impl Iterator<Item = Member<'m, 'a>> + 'm {
        let names = names.iter().filter(|wanted| self.lengths & 1 << wanted.len() != 0);
        names.flat_map(|wanted| self.iter().filter(move |member| member.plain == *wanted))
    }

    /// The members whose names end so, apart from a number, and are in none of the lists.
    pub(super) fn ending<'m>(
        &'m self,
        ends: &'m [&str],
        except: &'m [&str],
    ) -> impl Iterator<Item = Member<'m, 'a>> + 'm {
        self.iter().filter(|Member { plain, .. }| {
            let name = plain.trim_end_matches(|c: char| c.is_ascii_digit());
            ends.iter().any(|end| name.ends_with(end)) && !except.contains(plain)
        })
    }

    pub(super) fn is_envelope(name: &str) -> bool {
        ENVELOPES.contains(&&*plain(name))
    }

    /// The object that holds the error itself: `{"error": {…}}` and its kin.
    pub(super) fn envelope(&self) -> Option<Member<'_, 'a>> {
        let named = self.named(&ENVELOPES).find(|member| member.value.is_object());
        named.or_else(|| self.named(&["errors"]).find(|member| is_one_error(member.value)))
    }

    /// The members of the first member of this name that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        let mut objects = self.iter().filter(|member| member.plain == name);
        objects.find_map(|member| Some(Self::at(member.value.as_object()?, &member.at())))
    }

    /// The first text or number of these names, which is then carried.
    pub(super) fn take(&self, names: &[&str], carried: &mut Vec<ValueId>) -> Option<String> {
        let mut candidates = self.named(names);
        let (member, text) = candidates.find_map(|member| Some((member, scalar(member.value)?)))?;
        carried.push(member.id());
        Some(text)
    }
}

/// Whether an object is one error under a name for several, not a map from fields to messages: it
/// has a message, and beside it nothing or a code.
pub(super) fn is_one_error(value: &Value) -> bool {
    // Not any code: a form may have a field `promo_code`.
    let codes =
        ["code", "errorcode", "errcode", "errno", "errornumber", "reasoncode", "statuscode", "cod"];
    let Some(map) = value.as_object() else { return false };
    let members = || map.iter().take(MEMBERS_MAX).map(|(name, value)| (plain(name), value));
    let said = members().any(|(name, value)| {
        ["message", "msg"].iter().any(|end| name.ends_with(end)) && scalar(value).is_some()
    });
    let coded = |(name, value): (Cow<'_, str>, &Value)| {
        codes.contains(&&*name) && scalar(value).is_some_and(|code| is_word(&code))
    };
    said && (map.len() == 1 || members().any(coded))
}
