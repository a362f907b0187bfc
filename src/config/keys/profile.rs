//! The settings of a profile: what is known of a vendor, and what it publishes of its limits.

use super::declare::*;
use super::upstream::{CONNECTION, GRANTS, POLICY, VENDOR};
use crate::config::format::{FreeText, HeaderField, Token};

/// A profile: a part of an upstream, and what describes it.
pub(crate) static PROFILE: Groups = &[PROFILE_ONLY, VENDOR, CONNECTION, POLICY];
/// One tier of a profile.
pub(crate) static TIER_KEYS: Groups = &[TIER_SETTINGS, GRANTS];

const SENTENCES_MAX: usize = 64;

group! {
    PROFILE_ONLY:

    PROFILE_NAME: Optional<FreeText> = optional("name",
        FreeText { accepted: "a name for people" }, Absent::Means("none"),
        "The vendor's name, for people.");

    /// Many vendors give each customer a host of its own.
    URL_EXAMPLE: Optional<FreeText> = optional("url_example",
        FreeText { accepted: "an example of a customer's URL" }, Absent::Means("none"),
        "What a customer's URL looks like, where there is not one for all.");

    PROFILE_AUTH: Section = Declared::new("auth", Map::INSIDE,
        Absent::Means("an upstream with `auth` names the header"),
        "How a credential is sent, for an `auth` of an upstream that names no header.");

    PROFILE_AUTH_HEADER: Optional<HeaderField> = optional("auth.header", HeaderField::ANY,
        Absent::Required, "The header that carries the credential.");

    PROFILE_AUTH_SCHEME: Optional<Token> = optional("auth.scheme",
        Token { accepted: "a scheme such as `Bearer`" }, Absent::Means("the bare value"),
        "The word before the value, such as `Bearer`.");

    TIERS: Entries = Declared::new("tiers", Named { of: Element::Map(TIER_KEYS), max: 64 },
        Absent::Means("the vendor publishes no limits"),
        "The published limits by name; none is in force unless an upstream names it.");

    UNSUPPORTED: List<FreeText> = Declared::new("unsupported",
        Values { format: SENTENCE, min: 0, max: SENTENCES_MAX, bare: Bare::Refused },
        Absent::Means("nothing"),
        "Published limits that allowances cannot express, in the vendor's words.");
}

const SENTENCE: FreeText = FreeText { accepted: "a sentence" };

group! {
    TIER_SETTINGS:

    TIER_ABOUT: Optional<FreeText> = optional("about", SENTENCE, Absent::Means("nothing"),
        "Which customers it is for.");

    TIER_SOURCE: Optional<FreeText> = optional("source",
        FreeText { accepted: "a URL" }, Absent::Required, "Where the vendor publishes it.");

    TIER_DATE: Optional<FreeText> = optional("date",
        FreeText { accepted: "a date like 2026-11-30" }, Absent::Required,
        "When it was read there.");

    TIER_UNSUPPORTED: List<FreeText> = Declared::new("unsupported",
        Values { format: SENTENCE, min: 0, max: SENTENCES_MAX, bare: Bare::Refused },
        Absent::Means("nothing"),
        "Its limits that allowances cannot express, in the vendor's words.");
}
