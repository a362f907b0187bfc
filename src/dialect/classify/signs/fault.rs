//! Faults of the caller under a status that says less, or the contrary.
//!
//! A final fault is not repeated, and a refused credential may be the operator's own. Under a
//! status of the vendor's it therefore needs a code, or a statement that is about nothing else: a
//! database, an upstream or a parser may refuse a key or miss an argument too.

use std::sync::LazyLock;

use http::header::WWW_AUTHENTICATE;
use regex::Regex;
use serde_json::Value;

use super::{Signs, codes, excerpt, matched, sentence};
use crate::dialect::document::pointer;
use crate::dialect::hint::pattern;
use crate::outcome::{Code, Sign};

impl Signs<'_> {
    /// A fault of the caller under 429 or 503, where nothing speaks of a rate or a wait.
    pub(super) fn refused_anyway(&self) -> Option<(Code, Sign)> {
        if !matches!(self.evidence.status(), 429 | 503) {
            return None;
        }
        let fault = self.refused_credential().map(|sign| (Code::Unauthenticated, sign));
        let fault = fault.or_else(|| Some((Code::InvalidRequest, self.refused_input()?)))?;
        let said = [&sentence::THROTTLED, &sentence::LIMIT_WORDS];
        let rated = said.iter().any(|what| what.is_match(&self.claims))
            || [&codes::THROTTLED, &codes::LIMIT].iter().any(|what| self.code(what).is_some());
        // "Too many attempts" counts them, whatever the attempts were for.
        let counted = self.sentence.contains("attempts") || self.sentence.contains("Attempts");
        (!rated && !self.is_confirmed() && !counted).then_some(fault)
    }

    pub(super) fn final_fault(&self) -> Option<(Code, Sign)> {
        let status = self.evidence.status();
        let credential = match status {
            // To a token endpoint, a used grant is not the credential of the call (RFC 6749 §5.2).
            400 => self.code(&codes::CREDENTIAL).filter(|_| !self.is_grant()),
            403 => self.code(&codes::CREDENTIAL),
            500 | 502 => self.refused_credential(),
            401 => Some(self.challenge().or_else(|| self.bad_credential())?),
            _ => None,
        };
        if let Some(sign) = credential {
            return Some((Code::Unauthenticated, sign));
        }
        match status {
            500 => self.stated_by_server_error(),
            502 => self.refused_input().map(|sign| (Code::InvalidRequest, sign)),
            _ => None,
        }
    }

    /// What a 500 says of the request.
    fn stated_by_server_error(&self) -> Option<(Code, Sign)> {
        let missing = self.code(&codes::NOT_FOUND).or_else(|| {
            let missing = matched(&sentence::NOT_FOUND, &self.sentence);
            missing.filter(|_| !sentence::OWN_PARTS.is_match(&self.sentence))
        });
        if let Some(sign) = missing {
            return Some((Code::NotFound, sign));
        }
        let forbidden = self.code(&codes::FORBIDDEN).map(|sign| (Code::Forbidden, sign));
        let there = || Some((Code::Conflict, self.code(&codes::ALREADY_EXISTS)?));
        let invalid = || {
            let sign = self.code(&codes::CALLERS_FAULT).or_else(|| self.fault_of_client());
            let sign = sign.or_else(|| matched(&INPUT, &self.sentence))?;
            Some((Code::InvalidRequest, sign))
        };
        let fault = forbidden.or_else(there).or_else(invalid)?;
        (!self.is_of_vendor() && !self.is_confirmed()).then_some(fault)
    }

    /// What a fault of SOAP 1.1 or 1.2 says of whose fault it is, beside a code of its own.
    fn fault_of_client(&self) -> Option<Sign> {
        let tree = &self.evidence.document.tree;
        let places = ["/Fault/faultcode", "/Fault/Code/Value"];
        let code = places.iter().find_map(|place| pointer::at(tree, place)?.as_str())?;
        let local = code.rsplit(':').next()?;
        // `Client.Authentication` says more of the same.
        let callers = local.split('.').next().is_some_and(|it| it == "Client" || it == "Sender");
        callers.then(|| Sign::Code(code.into()))
    }

    /// A code and a sentence that agree on a fault of the input.
    fn refused_input(&self) -> Option<Sign> {
        let code = self.code(&codes::CALLERS_FAULT)?;
        (INPUT.is_match(&self.sentence) && !self.is_of_vendor()).then_some(code)
    }

    /// A credential of the caller's that is refused under a status of another meaning.
    fn refused_credential(&self) -> Option<Sign> {
        let statement = || {
            // A gateway says "Unauthorized" of what stands behind it.
            let own = !matches!(self.evidence.status(), 502 | 503) || self.sentence.contains(' ');
            let mut statements = self.sentence.split(['!', '?', ';', '\n']);
            let found = statements
                .find_map(|it| CREDENTIAL.find(it.split(". ").next()?))
                .filter(|_| own)?;
            Some(Sign::Sentence(excerpt(found.as_str())))
        };
        let sign = self.code(&codes::CREDENTIAL).or_else(statement)?;
        (!self.is_of_vendor()).then_some(sign)
    }

    /// Whether the words are about parts of the vendor's program, or its own trouble.
    fn is_of_vendor(&self) -> bool {
        VENDORS_PARTS.is_match(&self.sentence) || sentence::VENDOR_FAULT.is_match(&self.sentence)
    }

    pub(super) fn bad_credential(&self) -> Option<Sign> {
        self.code(&codes::CREDENTIAL)
            .or_else(|| matched(&sentence::CREDENTIAL_WORDS, &self.sentence))
    }

    fn is_grant(&self) -> bool {
        let error = self.evidence.document.tree.get("error").and_then(Value::as_str);
        error == Some("invalid_grant")
    }

    fn challenge(&self) -> Option<Sign> {
        let challenges = self.evidence.head.headers.get_all(WWW_AUTHENTICATE).iter();
        let mut challenges = challenges.filter_map(|value| value.to_str().ok());
        let refused = challenges.find(|value| value.contains("error=\"invalid_token\""))?;
        Some(Sign::Header(format!("www-authenticate: {}", excerpt(refused)).into()))
    }
}

/// One statement that the caller's credential is refused, and nothing else.
static CREDENTIAL: LazyLock<Regex> = LazyLock::new(|| {
    let bad = concat!(
        r"(?:invalid|expired|revoked|incorrect|bad|wrong|malformed|unknown|unrecogni[sz]ed",
        r"|not valid|not recogni[sz]ed|inactive|disabled)",
    );
    let whose = concat!(
        r"(?:(?:an?|the|your|this|provided|supplied|given|specified|api|access|auth|authentication|authorization",
        r"|bearer|login|user|client|oauth|jwt|app|application|account|security|session|merchant|partner|refresh)[ _-])*",
    );
    let what = concat!(
        r"(?:tokens?|keys?|apikey|credentials?|passwords?|user ?names?|login|signature|session|(?:client|merchant|user) ?id",
        r"|client secret|id)",
    );
    let given =
        r"(?: (?:you )?(?:(?:have|was|were|is) )?(?:provided|supplied|given|specified|used|sent))?";
    let things = format!(r"{whose}{what}(?:(?: or | and |/){whose}{what})*");
    let failed = concat!(
        r"(?:user |api )?(?:auth|authentication|authori[sz]ation|login|log-?in|sign-?in)(?: has| is| was)? (?:failed|failure|denied|unsuccessful)",
        r"|failed to authenticate|(?:you are |user (?:is )?)?not (?:authenticated|logged in)|unauthori[sz]ed(?: user| request| client)?",
    );
    pattern(&format!(
        concat!(
            r"(?i)^\W*(?:(?:error|unauthori[sz]ed|access denied)\W+)?(?:(?:{bad})(?: or {bad})? {things}{given}(?:: ?[\w*.-]+)?",
            r"|{things}{given} (?:is|are|was|were|has|have|has been|have been) (?:{bad})(?: or (?:has |is |was )?{bad})*",
            r"|{failed}|{foreign})\W*$",
        ),
        bad = bad,
        things = things,
        given = given,
        failed = failed,
        foreign = FOREIGN_CREDENTIAL,
    ))
});

const FOREIGN_CREDENTIAL: &str = concat!(
    r"falsches passwort|ungültige[rs]? (?:token|schlüssel|zugangsdaten)|identifiants invalides|credenciales (?:inválidas|no válidas)",
    r"|(?:不合法|无效|非法|过期|错误)的?\s?(?:access_?token|app_?key|app_?id|key|密钥|签名|token|凭证|api_?key)",
);

/// That a value of the request is wrong, in words that programs seldom say of their own.
static INPUT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:(?:is|are) (?:a )?(?:required|mandatory|missing)|(?:missing|required|mandatory) (?:\w+ ){0,2}(?:field|parameter|value|attribute|header|method)s?",
        r"|invalid (?:\w+ ){0,2}(?:field|parameter|value|argument|format|request|input|query|date|amount)|validation (?:error|failed|failure)|(?:failed|unable) to parse",
        r"|must (?:not )?be (?:an?|one|the|between|at|less|greater|positive|negative|in|unique|valid|empty|blank|set|provided|specified|present|integer|numeric|longer|shorter|equal|before|after)",
        r"|is (?:not a valid|not valid|invalid)|cannot be (?:blank|empty)|can't be blank|bad request)\b",
        r"|^\W*\w+: invalid\W*$",
    ))
});

/// Parts of the vendor's program that may refuse a credential or miss a value themselves.
static VENDORS_PARTS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:databases?|postgres\w*|mysql|mariadb|mongo\w*|oracle|sql\w*|redis|ldap|smtp|kafka|caches?|upstream|downstream|backend|vault|store",
        r"|json at|unexpected token|null|undefined|nil|arguments?|foreach|instance of|illegal\w*|\w+exception|stack|class|config\w*|files?|director(?:y|ies)",
        r"|secret is|services?|using password)\b",
    ))
});
