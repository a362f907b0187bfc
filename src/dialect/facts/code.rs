//! The code among the members of one object: by its name, as the one word of an error, as a kind.

use serde_json::Value;

use super::auto::Guesser;
use super::members::{Member, Members};
use super::names::{self, is_word};
use super::values::{only_scalar, scalar};
use super::weight::{is_phrase, keep_beside};
use crate::dialect::verdict;
use crate::outcome::Facts;

impl Guesser {
    /// A code by its name; `error` as one word; a kind; a word among the messages.
    pub(super) fn code(&self, members: &Members<'_>, facts: &mut Facts) {
        let message = facts.message.as_deref();
        let code_text = |value: &Value| {
            let text = only_scalar(value).filter(|text| self.is_code(text))?;
            (message != Some(text.as_str())).then_some(text)
        };
        let foreign = |name: &str| {
            names::NO_CODES.iter().any(|end| name.ends_with(end)) || names::KINDS.contains(&name)
        };
        let listed = members.iter().filter(|it| matches!(it.plain, "errorcodes" | "errcodes"));
        let ending = |ends| members.ending(ends, &names::CODES);
        let ending = ending(&names::RESULT_CODE_ENDS).chain(ending(&names::CODE_ENDS));
        let named = members.named(&names::CODES).chain(ending.filter(|it| !foreign(it.plain)));
        let named = named.chain(listed);
        let named = named.filter_map(|member| Some((member, code_text(member.value)?)));
        let error = members.named(&["error", "errors", "err", "fault", "erro"]);
        let error = error.filter_map(|member| {
            let text = scalar(member.value)?;
            // 0 and 1 are flags.
            let flag = matches!(text.as_str(), "0" | "1");
            let word = is_word(&text) && !is_phrase(&text, self.status) && self.is_code(&text);
            let alone = member.value.is_number() && message.is_none();
            (word && !flag && !alone).then_some((member, text))
        });
        let kinds = members.named(&names::KINDS).filter_map(|member| {
            let text = code_text(member.value)?;
            self.is_kind(member, &text).then_some((member, text))
        });
        let ids = members.named(&["id"]).filter_map(|member| {
            // No thing has a negative one.
            if let Some(id) = member.value.as_i64().filter(|id| *id < 0) {
                return Some((member, id.to_string()));
            }
            let text = member.value.as_str()?;
            let digits = text.contains(|c: char| c.is_ascii_digit());
            let named = !digits && text.contains(['_', '-']);
            // The id of an error itself, in capitals.
            let outer = member.parent.rsplit('/').next().unwrap_or_default();
            let shouted = text.len() > 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
            let is_code = named || shouted && Members::is_envelope(outer);
            (is_code && is_word(text)).then(|| (member, text.to_owned()))
        });
        let shouted = members.iter().filter_map(|it| Some((it, it.value.as_str()?)));
        let shouted = shouted.filter(|(_, text)| names::is_shouted_error(text));
        let shouted = shouted.map(|(it, text)| (it, text.to_owned()));
        let mut found = named.chain(error).chain(kinds).chain(ids).chain(shouted);
        let first = found.next();
        let others: Vec<String> = found.map(|(_, text)| text).collect();
        if let Some((member, text)) = first {
            facts.carried.push(member.id());
            facts.code_at = Some(member.at());
            facts.code = Some(names::short(text));
        } else if let Some(word) =
            facts.beside.iter().find(|text| names::is_code_word(text) && self.is_code(text))
        {
            facts.code = Some(word.clone());
        }
        for other in others {
            keep_beside(&other, facts);
        }
        // A phrase that repeats the status is carried by the status.
        let is_phrase = |member: &Member<'_, '_>| {
            member.value.as_str().is_some_and(|text| is_phrase(text, self.status))
        };
        let phrase = members.named(&["error", "errors", "fault"]).find(is_phrase);
        facts.carried.extend(phrase.map(|member| member.id()));
    }

    pub(super) fn is_code(&self, text: &str) -> bool {
        let decoy = [
            "error",
            "errors",
            "error.list",
            "fail",
            "failed",
            "failure",
            "false",
            "fatal",
            "warning",
            "system",
            "about:blank",
            "no",
            "ng",
            "nack",
        ];
        // Only under an error, where it says no more than the status.
        let flagged = self.status >= 300 && text == "-1";
        let repeats = text.parse() == Ok(self.status) || names::is_status_page(text);
        let fine = self.status < 300 && verdict::is_plain_success(text);
        !flagged
            && !repeats
            && !fine
            && !text.contains(char::is_whitespace)
            && !text.bytes().all(|byte| byte == b'0')
            && !decoy.iter().any(|it| text.eq_ignore_ascii_case(it))
    }

    /// Whether the value under a name that holds more than codes is one.
    fn is_kind(&self, member: Member<'_, '_>, text: &str) -> bool {
        let number = text.parse::<i64>().ok();
        match member.plain {
            // A body's `status` that contradicts that of HTTP is no code either.
            "status" | "statuscode" if self.status >= 300 => {
                !number.is_some_and(|it| (0..=599).contains(&it))
            }
            "status" | "statuscode" => {
                !number.is_some_and(|it| matches!(it, 0 | 1 | 200..=299 | 400..=599))
            }
            "result" => {
                number.map_or_else(|| names::is_code_word(text), |it| !(0..=1).contains(&it))
            }
            // An id of this occurrence has digits among its letters.
            "errorid" => number.is_some() || !text.contains(|c: char| c.is_ascii_digit()),
            "value" => number.is_some() && !member.parent.is_empty(),
            "reason" | "class" | "name" | "key" => number.is_none(),
            _ => true,
        }
    }
}
