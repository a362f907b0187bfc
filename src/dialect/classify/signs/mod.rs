//! What `auto` guesses from the usual signs of throttling, quotas, maintenance, locks and faults,
//! under any status.
//!
//! `codes` holds the patterns for machine-readable codes, `sentence` those for sentences, `fault`
//! what is the caller's fault under a status that says less or the contrary, and `success` what a
//! body under a success says. Every guess names the sign that decided.
//!
//! Throttling that only words show never makes an unsafe method repeatable, and inside a success
//! nothing is repeated. A false alarm stops every call while a miss costs one, so a mere mention of
//! a limit does not count as throttling, and no vendor's private number is interpreted.

mod codes;
mod fault;
mod sentence;
mod success;

use std::borrow::Cow;

use regex::Regex;
use serde_json::Value;

use super::draft::{Action, Draft, at_most_unknown};
use super::evidence::Evidence;
use super::status::{MAINTENANCE, THROTTLE};
use crate::dialect::document::{BodyFormat, pointer};
use crate::dialect::hint;
use crate::outcome::{Code, Processing, Sign};

/// What the signs say; `None` leaves it to the status. `by_status` is the status's own row of the
/// replay table.
pub(super) fn guess<'a>(evidence: &Evidence<'_>, by_status: Processing) -> Option<Draft<'a>> {
    let draft = if evidence.head.is_error() {
        Signs::of(evidence).error(by_status)?
    } else {
        success::guess(evidence)?
    };
    Some(Draft { rule: "auto", ..draft })
}

struct Signs<'a> {
    evidence: &'a Evidence<'a>,
    codes: Vec<codes::Code<'a>>,
    /// The vendor's sentences, without URLs.
    sentence: String,
    /// The sentences without what they only quote (`event 'too many requests' is unknown`) and
    /// without rates that are not of calls (`interest rate limit exceeded`).
    claims: String,
}

/// Bytes of the sentences that are searched; what decides stands at the start.
const SENTENCE_BYTES_MAX: usize = 2_000;
/// Codes of one body that are compared.
const CODES_MAX: usize = 20;

impl<'e> Signs<'e> {
    fn of(evidence: &'e Evidence<'e>) -> Self {
        let (sentence, claims) = sentences(evidence);
        Self { evidence, codes: codes_of(evidence), sentence, claims }
    }

    fn error<'m>(&self, by_status: Processing) -> Option<Draft<'m>> {
        let status = self.evidence.status();
        if let Some(sign) = self.lock() {
            let processing = at_most_unknown(by_status);
            let draft = Draft::new(Code::TransientConflict, processing, Action::Retry(None));
            return Some(draft.by(sign));
        }
        if let Some((code, sign)) = self.refused_anyway() {
            return Some(Draft::new(code, Processing::Processed, Action::Final).by(sign));
        }
        if let Some(sign) = self.quota() {
            return Some(Draft::new(Code::QuotaExhausted, by_status, Action::Final).by(sign));
        }
        if let Some(sign) = self.throttle() {
            let certain = status == 429 || status == 503 && self.says_throttled().is_some();
            let processing = if certain { Processing::NotProcessed } else { Processing::Unknown };
            let draft = Draft::new(Code::RateLimited, processing, Action::Hold(THROTTLE));
            return Some(draft.by(sign));
        }
        if let Some(sign) = self.maintenance() {
            let action = Action::Hold(MAINTENANCE);
            return Some(Draft::new(Code::UpstreamMaintenance, by_status, action).by(sign));
        }
        if let Some(sign) = self.overload() {
            return Some(self.overloaded(by_status).by(sign));
        }
        if let Some(sign) = self.passing_conflict() {
            let processing = at_most_unknown(by_status);
            let draft = Draft::new(Code::TransientConflict, processing, Action::Retry(None));
            return Some(draft.by(sign));
        }
        let (code, sign) = self.final_fault()?;
        Some(Draft::new(code, Processing::Processed, Action::Final).by(sign))
    }

    /// Under a status with a meaning of its own, "deadlock" is only a word.
    fn lock(&self) -> Option<Sign> {
        let status = self.evidence.status();
        if status == 423 {
            return Some(Sign::Status);
        }
        if has_own_meaning(status) || matches!(status, 401..=403 | 412 | 413) {
            return None;
        }
        self.code(&codes::LOCKED)
            .or_else(|| self.statement(&sentence::LOCKED))
            .or_else(|| matched(&sentence::OPTIMISTIC, &self.sentence))
    }

    /// A conflict that is over after a stated wait.
    fn passing_conflict(&self) -> Option<Sign> {
        (self.evidence.status() == 409 && self.asks_to_return()).then_some(Sign::Status)
    }

    /// A quota that a short wait does not restore.
    fn quota(&self) -> Option<Sign> {
        let status = self.evidence.status();
        if has_own_meaning(status) {
            return None;
        }
        let of_calls = || {
            let long = self.header_of_long_period();
            long.or_else(|| self.long_period()).or_else(|| self.daily_quota_of_google())
        };
        let coded = self.code_of_limit(&codes::QUOTA).or_else(|| match status {
            401 | 402 | 403 | 456 => {
                let stated = || matched(&sentence::QUOTA_EXCEEDED, &self.claims);
                self.code(&codes::QUOTA_EXCEEDED).or_else(stated)
            }
            _ => None,
        });
        let coded = coded.or_else(|| match status {
            403 => self.code(&codes::REQUEST_LIMIT),
            _ => None,
        });
        let spent = || {
            self.credits_gone()
                .filter(|_| matches!(status, 200..=299 | 400..=403 | 429 | 456 | 503))
        };
        let named = || (status == 456).then_some(Sign::Status);
        coded.or_else(of_calls).or_else(spent).or_else(named)
    }

    /// One statement that an allowance of a day or longer is used up.
    fn long_period(&self) -> Option<Sign> {
        let throttled = match self.evidence.status() {
            420 | 429 => true,
            200..=299 => sentence::LIMIT_WORDS.is_match(&self.claims),
            _ => false,
        };
        // A 429 needs no proof, so that what it quotes counts too.
        let text = if throttled { &self.sentence } else { &self.claims };
        if !sentence::LONG_PERIOD.is_match(text) {
            return None;
        }
        let statements = text.split(['!', '?', ';', '\n']);
        let mut statements = statements.flat_map(|it| it.split(". "));
        let found = statements.find(|it| {
            sentence::LONG_PERIOD.is_match(it)
                && !sentence::SHORT_PERIOD.is_match(it)
                && sentence::ALLOWANCE_WORDS.is_match(it)
                && (throttled
                    || sentence::USED_UP.is_match(it)
                        && !sentence::REQUIRES.is_match(it)
                        && sentence::is_of_calls(it))
        })?;
        // Another statement of the same body may speak of a minute.
        let short = !throttled || !sentence::SHORT_PERIOD.is_match(text);
        let owned = !sentence::CUSTOMERS_MONEY.is_match(found);
        (short && owned).then(|| Sign::Sentence(excerpt(found)))
    }

    fn credits_gone(&self) -> Option<Sign> {
        // Beside a wait, a 429 means the quota of a minute.
        let soon = || self.evidence.status() == 429 && self.asks_to_return();
        let spent = matched(&sentence::CREDITS_GONE, &self.claims)
            .filter(|_| !sentence::CUSTOMERS_MONEY.is_match(&self.sentence) && !soon());
        spent.or_else(|| {
            let funds = matched(&sentence::FUNDS_GONE, &self.sentence)?;
            let of_api = sentence::PAYS_FOR_API.is_match(&self.sentence)
                && !sentence::CUSTOMERS_MONEY.is_match(&self.sentence);
            of_api.then_some(funds)
        })
    }

    /// A header of a day's or month's bucket that says that nothing remains.
    fn header_of_long_period(&self) -> Option<Sign> {
        let throttled = matches!(self.evidence.status(), 403 | 420 | 429 | 503);
        let long = |name: &str| {
            name.split('-').any(|word| {
                let periods = ["day", "daily", "today", "month", "monthly", "week", "weekly"];
                periods.contains(&word) || word == "daylimit"
            })
        };
        let line = hint::exhausted(self.evidence.head.headers, long)?;
        throttled.then(|| Sign::Header(line.into()))
    }

    /// Google names the violated quota, and with it whether it is one per day.
    fn daily_quota_of_google(&self) -> Option<Sign> {
        let details = pointer::at(&self.evidence.document.tree, "/error/details")?;
        let violations =
            details.as_array()?.iter().filter_map(|it| it.get("violations")?.as_array());
        let mut quotas = violations.flatten().filter_map(|it| it.get("quotaId")?.as_str());
        quotas.find(|quota| quota.contains("PerDay")).map(|quota| Sign::Member(quota.into()))
    }

    fn throttle(&self) -> Option<Sign> {
        let Evidence { document, retry_after, .. } = *self.evidence;
        let mentioned = || self.mentions_limit().filter(|_| self.is_confirmed());
        match self.evidence.status() {
            420 | 429 | 509 => Some(self.says_throttled().unwrap_or(Sign::Status)),
            503 => {
                let said = self.says_throttled().or_else(|| self.mentions_limit());
                said.or_else(|| self.nothing_remains())
            }
            // GitHub's response to HEAD: nothing remains, and there is no body to say so.
            403 if document.format == BodyFormat::Empty && self.nothing_remains().is_some() => {
                self.nothing_remains()
            }
            status if has_own_meaning(status) => {
                let confirmed = retry_after.is_some() || self.nothing_remains().is_some();
                self.says_throttled().filter(|_| confirmed)
            }
            413 => self.says_throttled().filter(|_| !self.sentence.contains("too large")),
            _ => self.says_throttled().or_else(mentioned),
        }
    }

    /// Whether something else than words shows that there were too many calls.
    fn is_confirmed(&self) -> bool {
        self.nothing_remains().is_some()
            || self.asks_to_return()
            || sentence::WAIT_A_LITTLE.is_match(&self.sentence)
    }

    fn asks_to_return(&self) -> bool {
        let Evidence { head, document, wall, .. } = *self.evidence;
        hint::asks_to_return(head.headers, &document.tree, &self.sentence, wall)
    }

    /// It says that a limit was exceeded or reached, or that calls were too many.
    fn says_throttled(&self) -> Option<Sign> {
        self.statement(&sentence::THROTTLED).or_else(|| {
            let found = self.codes.iter().find(|code| {
                let bare = code.says(&codes::LIMIT) && sentence::REQUIRES.is_match(&self.sentence);
                code.says(&codes::THROTTLED) && code.is_of_calls() && !bare
            })?;
            Some(Sign::Code(found.written.into()))
        })
    }

    /// It mentions a limit of a rate, perhaps only one that a field must keep.
    fn mentions_limit(&self) -> Option<Sign> {
        let coded = || self.code(&codes::LIMIT).or_else(|| self.code(&codes::THROTTLED));
        self.statement(&sentence::LIMIT_WORDS).or_else(coded)
    }

    fn nothing_remains(&self) -> Option<Sign> {
        let line = hint::exhausted(self.evidence.head.headers, |_| true)?;
        Some(Sign::Header(line.into()))
    }

    /// Maintenance, under a status of the vendor's own trouble by a mention, else as the state that
    /// a sentence or a code reports.
    fn maintenance(&self) -> Option<Sign> {
        match self.evidence.status() {
            503 => matched(&sentence::MAINTENANCE_WORDS, &self.sentence)
                .or_else(|| self.code(&codes::MAINTENANCE)),
            status if has_own_meaning(status) || status == 413 => None,
            _ => self.in_maintenance(),
        }
    }

    fn in_maintenance(&self) -> Option<Sign> {
        let worded = || {
            let stated = matched(&sentence::IN_MAINTENANCE, &self.claims);
            stated.filter(|_| !sentence::REQUIRES.is_match(&self.sentence))
        };
        self.code(&codes::MAINTENANCE).or_else(worded)
    }

    /// Trouble of the vendor under a status of the caller's, or beside a wait.
    fn overload(&self) -> Option<Sign> {
        match self.evidence.status() {
            400 | 401 | 403 | 409 | 418 => {
                self.code(&codes::OVERLOADED).or_else(|| self.statement(&sentence::OVERLOADED))
            }
            503 | 529 if self.evidence.retry_after.is_some() => self
                .code(&codes::OVERLOADED)
                .or_else(|| matched(&sentence::OVERLOADED, &self.sentence)),
            _ => None,
        }
    }

    /// Overload beside a stated wait closes the upstream until then.
    fn overloaded<'m>(&self, by_status: Processing) -> Draft<'m> {
        match self.evidence.retry_after {
            Some(_) if self.evidence.status() >= 500 => {
                Draft::new(Code::UpstreamError, by_status, Action::Hold(MAINTENANCE))
            }
            Some(_) | None => {
                let processing = at_most_unknown(by_status);
                Draft::new(Code::UpstreamError, processing, Action::Retry(None))
            }
        }
    }

    fn code(&self, what: &Regex) -> Option<Sign> {
        let found = self.codes.iter().find(|code| code.says(what))?;
        Some(Sign::Code(found.written.into()))
    }

    /// A code of a limit, which under a status of any other meaning must be one of calls.
    fn code_of_limit(&self, what: &Regex) -> Option<Sign> {
        let refused = matches!(self.evidence.status(), 402 | 420 | 429 | 456 | 503);
        let found =
            self.codes.iter().find(|code| code.says(what) && (refused || code.is_of_calls()))?;
        Some(Sign::Code(found.written.into()))
    }

    /// A statement of the vendor that is no rule about a value.
    fn statement(&self, what: &Regex) -> Option<Sign> {
        let found = matched(what, &self.claims)?;
        (!sentence::REQUIRES.is_match(&self.sentence)).then_some(found)
    }
}

/// The sentences of an error, plain and reduced to their claims.
fn sentences(evidence: &Evidence<'_>) -> (String, String) {
    let facts = evidence.facts;
    // The names of a JSON body's members are not words of the vendor.
    let first = match (&facts.message, evidence.document.format) {
        (Some(message), _) => message.as_str(),
        (None, BodyFormat::Json | BodyFormat::Form) => "",
        (
            None,
            BodyFormat::Empty
            | BodyFormat::Html
            | BodyFormat::Text
            | BodyFormat::Xml
            | BodyFormat::Unreadable,
        ) => evidence.text(),
    };
    // A page says in its text what its title leaves out.
    let page = match evidence.document.format {
        BodyFormat::Html => evidence.document.text.as_str(),
        BodyFormat::Empty
        | BodyFormat::Json
        | BodyFormat::Form
        | BodyFormat::Text
        | BodyFormat::Xml
        | BodyFormat::Unreadable => "",
    };
    let beside = facts.beside.iter().map(String::as_str);
    let beside = beside.filter(|text| text.contains(char::is_whitespace) && *text != first);
    let problem = oauth_problem(evidence).filter(|text| text.contains(char::is_whitespace));
    let (mut plain, mut claims) = (String::new(), String::new());
    let texts = [first, page].into_iter().filter(|text| !text.is_empty());
    for text in texts.chain(beside).chain(problem) {
        let left = SENTENCE_BYTES_MAX.saturating_sub(plain.len());
        let end = (0..=left.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        let text = hint::without_links(&text[..end.unwrap_or_default()]).into_owned();
        let claim = sentence::OTHER_RATES.replace_all(&text, " ");
        let claim = sentence::QUOTED.replace_all(&claim, "$1 $2");
        push_words(&mut claims, &claim);
        plain.push_str(&text);
        plain.push('\n');
        claims.push('\n');
    }
    plain.truncate(plain.trim_end().len());
    claims.truncate(claims.trim_end().len());
    (plain, claims)
}

/// What a form of OAuth 1.0 states as the problem, in words or as a code.
fn oauth_problem<'e>(evidence: &Evidence<'e>) -> Option<&'e str> {
    evidence.document.tree.get("oauth_problem")?.as_str()
}

fn push_words(into: &mut String, text: &str) {
    for word in text.split_whitespace() {
        if !into.is_empty() && !into.ends_with('\n') {
            into.push(' ');
        }
        into.push_str(word);
    }
}

/// The machine-readable codes of an error.
fn codes_of<'e>(evidence: &'e Evidence<'e>) -> Vec<codes::Code<'e>> {
    let facts = evidence.facts;
    let children = facts.children.iter().filter_map(|child| child.code.as_deref());
    let policy = evidence.document.tree.get("policyName").and_then(Value::as_str);
    let beside = facts.beside.iter().map(String::as_str);
    let beside = beside.filter(|text| !text.contains(char::is_whitespace));
    // A message of one word is a code, and so is one before a colon: `toomanyrequests: …`.
    let message = facts.message.as_deref().and_then(|text| text.split(':').next());
    let message = message.filter(|text| !text.contains(char::is_whitespace));
    let problem = oauth_problem(evidence).filter(|text| !text.contains(char::is_whitespace));
    let codes = facts.code.as_deref().into_iter().chain(children).chain(policy).chain(problem);
    let worded =
        |code: &str| code.contains(|c: char| c.is_ascii_alphabetic()) && !code.contains("://");
    let mut found: Vec<codes::Code<'e>> = Vec::new();
    for code in codes.chain(beside).chain(message) {
        // Single errors often have the same code.
        let known = found.iter().any(|known| known.written == code);
        if found.len() < CODES_MAX && !known && worded(code) {
            found.push(codes::Code::of(code));
        }
    }
    found
}

fn matched(what: &Regex, text: &str) -> Option<Sign> {
    what.find(text).map(|found| Sign::Sentence(excerpt(found.as_str())))
}

/// Characters of a sentence that a sign repeats.
const EXCERPT_CHARS_MAX: usize = 80;

fn excerpt(text: &str) -> Box<str> {
    let trimmed: Cow<'_, str> = match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim()).into(),
        None => text.trim().into(),
    };
    trimmed.into()
}

/// Statuses that words never turn into a throttle: a missing page is one whatever it says.
fn has_own_meaning(status: u16) -> bool {
    matches!(status, 404 | 405 | 406 | 410 | 411 | 414 | 415 | 416 | 422 | 431 | 451)
}
