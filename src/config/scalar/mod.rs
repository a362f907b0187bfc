//! One text → one typed value, or why not: durations, sizes, limits, addresses, URLs, names.
//!
//! Knows the forms, not the keys; bounds come from the table of keys.

mod amount;
mod meant;
mod net;
mod quantity;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, Method};

pub(super) use meant::{variable, variable_inside};
pub(super) use net::{Url, origin_text};
pub(super) use quantity::{Bytes, Length, Limit};

use super::fault::Sort;
use super::keys::Scalar;
use crate::routing::route::Pattern;
use net::*;
use quantity::*;

/// A value that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) enum Plain {
    Flag(bool),
    Count(u64),
    Factor(f64),
    Percent(u32),
    Duration(Duration),
    Size(u64),
    /// Bytes a second.
    Rate(u64),
    Limit(Limit),
    /// One of the words that the key knows.
    Word(&'static str),
    Text(Box<str>),
    /// A header's name, and as it is written.
    Header(HeaderName, Box<str>),
    Method(Method),
    Address(SocketAddr),
    Host(Box<str>),
    /// A route's prefix, without a trailing slash.
    Prefix(Box<str>),
    Pattern(Box<str>, Pattern),
    Url(Url),
}

/// Why a text is not what the key wants.
#[derive(Debug)]
pub(in crate::config) struct Misfit {
    pub(in crate::config) sort: Sort,
    pub(in crate::config) message: String,
    pub(in crate::config) accepted: String,
    pub(in crate::config) nearest: Option<String>,
}

impl Misfit {
    fn new(sort: Sort, message: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self { sort, message: message.into(), accepted: accepted.into(), nearest: None }
    }
}

type Fit = Result<Plain, Misfit>;

/// The value that a text of another form probably means.
pub(in crate::config) fn meant(text: &str, scalar: &Scalar) -> Option<Plain> {
    parse(text, scalar).ok().or_else(|| parse(&meant::value(text, scalar)?, scalar).ok())
}

/// Reads a text as what a key wants.
///
/// # Errors
/// Everything that is wrong with it, at once; the first misfit says what was probably meant.
pub(in crate::config) fn read(text: &str, scalar: &Scalar) -> Result<Plain, Vec<Misfit>> {
    let fits = |meant: &String| parse(meant, scalar).is_ok();
    parse(text, scalar).map_err(|mut misfits| {
        if let Some(first) = misfits.first_mut() {
            first.nearest = meant::value(text, scalar).filter(fits);
        }
        // What was meant cures both halves of a limit.
        if matches!(scalar, Scalar::Limit) && misfits.iter().any(|it| it.nearest.is_some()) {
            misfits.truncate(1);
        }
        misfits
    })
}

fn parse(text: &str, scalar: &Scalar) -> Result<Plain, Vec<Misfit>> {
    let fit = match *scalar {
        Scalar::Limit => return limit(text).map(Plain::Limit),
        Scalar::Url => return url(text).map(Plain::Url),
        Scalar::Flag => flag(text),
        Scalar::Count { min, max } => count(text, min, max),
        Scalar::Workers { max } => workers(text, max),
        Scalar::Version => version(text),
        Scalar::Factor { min, max } => factor(text, min, max),
        Scalar::Percent { max } => percent(text, max),
        Scalar::Duration { min, max } => duration_within(text, min, max),
        Scalar::Size { min, max } => size_within(text, min, max),
        Scalar::Rate { min, max } => rate_within(text, min, max),
        Scalar::Word(words) => word(text, words),
        Scalar::Text { accepted } => non_empty(text, accepted),
        Scalar::Level => level(text),
        Scalar::Header => header(text),
        Scalar::AccountHeader => account_header(text),
        Scalar::Method => method(text),
        Scalar::Address => address(text),
        Scalar::Host => host(text),
        Scalar::Prefix => prefix(text),
        Scalar::Pattern => pattern(text),
        Scalar::Token { accepted } => token(text, accepted),
    };
    fit.map_err(|misfit| vec![misfit])
}

impl Scalar {
    /// Whether quotes make something else of it.
    pub(in crate::config) const fn is_unquoted(&self) -> bool {
        matches!(self, Self::Flag | Self::Count { .. } | Self::Factor { .. })
    }

    /// What is accepted, in words.
    pub(in crate::config) fn accepted(&self) -> String {
        match self {
            Self::Flag => TRUTH.into(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Workers { max } => format!("`auto` or a whole number from 1 to {max}"),
            Self::Version => "1".into(),
            Self::Factor { min, max } => format!("a number from {min} to {max}"),
            Self::Percent { max } => format!("0% to {max}%"),
            Self::Duration { .. } => DURATIONS.into(),
            Self::Size { .. } => SIZES.into(),
            Self::Rate { .. } => RATES.into(),
            Self::Limit => LIMITS.into(),
            Self::Word(words) => words.join(", "),
            Self::Text { accepted } | Self::Token { accepted } => (*accepted).into(),
            Self::Level => LEVELS.join(", "),
            Self::Header | Self::AccountHeader => HEADERS.into(),
            Self::Method => METHODS.join(", "),
            Self::Address => ADDRESSES.into(),
            Self::Host => HOSTS.into(),
            Self::Prefix => PREFIXES.into(),
            Self::Pattern => PATTERNS.into(),
            Self::Url => URLS.into(),
        }
    }
}

fn flag(text: &str) -> Fit {
    match text {
        "true" | "True" | "TRUE" => Ok(Plain::Flag(true)),
        "false" | "False" | "FALSE" => Ok(Plain::Flag(false)),
        other => Err(Misfit::new(Sort::Type, format!("`{other}` is no boolean"), TRUTH)),
    }
}

const TRUTH: &str = "`true` or `false`";

fn count(text: &str, min: u64, max: u64) -> Fit {
    let accepted = format!("a whole number from {min} to {max}");
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Misfit::new(Sort::Type, format!("`{text}` is no whole number"), accepted));
    }
    match text.parse::<u64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Plain::Count(number)),
        Ok(_) | Err(_) => {
            Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted))
        }
    }
}

fn workers(text: &str, max: u64) -> Fit {
    if text == "auto" {
        return Ok(Plain::Word("auto"));
    }
    let or_auto = |misfit: Misfit| Misfit {
        accepted: format!("`auto` (one per core) or {}", misfit.accepted),
        ..misfit
    };
    count(text, 1, max).map_err(or_auto)
}

fn version(text: &str) -> Fit {
    if text == "1" {
        return Ok(Plain::Count(1));
    }
    Err(Misfit::new(Sort::Range, format!("version `{text}` is not known here"), "1"))
}

fn factor(text: &str, min: f64, max: f64) -> Fit {
    let accepted = format!("a number from {min} to {max}");
    match text.parse::<f64>() {
        Ok(number) if (min..=max).contains(&number) => Ok(Plain::Factor(number)),
        Ok(_) => Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted)),
        Err(_) => Err(Misfit::new(Sort::Type, format!("`{text}` is no number"), accepted)),
    }
}

fn percent(text: &str, max: u32) -> Fit {
    let accepted = format!("0% to {max}%");
    let Some(digits) = text.strip_suffix('%') else {
        let message = format!("`{text}` has no unit");
        return Err(Misfit::new(Sort::Unit, message, accepted));
    };
    match digits.trim_end().parse::<u32>() {
        Ok(number) if number <= max => Ok(Plain::Percent(number)),
        Ok(_) => Err(Misfit::new(Sort::Range, format!("{text} is out of bounds"), accepted)),
        Err(_) => {
            Err(Misfit::new(Sort::Type, format!("`{text}` is no whole percentage"), accepted))
        }
    }
}

fn word(text: &str, words: &'static [&'static str]) -> Fit {
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(Plain::Word(word));
    }
    let listed = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    Err(Misfit::new(Sort::Type, format!("`{text}` is not known here"), listed))
}

fn non_empty(text: &str, accepted: &'static str) -> Fit {
    if text.trim().is_empty() {
        return Err(Misfit::new(Sort::Type, "an empty text", accepted));
    }
    Ok(Plain::Text(text.into()))
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn level(text: &str) -> Fit {
    let directives = text.contains(['=', ',']);
    // Targets are module paths of Rust: ASCII.
    let known = LEVELS.contains(&text)
        || directives
            && text.is_ascii()
            && text.parse::<tracing_subscriber::filter::Targets>().is_ok();
    if known {
        return Ok(Plain::Text(text.into()));
    }
    let accepted = format!("{}, or directives such as `info,evenkeel=debug`", LEVELS.join(", "));
    Err(Misfit::new(Sort::Type, format!("`{text}` is no log level"), accepted))
}

fn token(text: &str, accepted: &'static str) -> Fit {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(token) {
        return Err(Misfit::new(Sort::Type, format!("`{text}` is no token"), accepted));
    }
    Ok(Plain::Text(text.into()))
}

impl Plain {
    /// The value as a file may write it, within brackets too: in quotes where it needs them.
    pub(in crate::config) fn to_yaml(&self) -> String {
        let text = self.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./:%*+-@~".contains(c);
        let first = |c: char| c.is_ascii_alphanumeric() || c == '/';
        let reserved = matches!(self, Self::Text(_)) && is_reserved(&text);
        if text.starts_with(first) && text.chars().all(plain) && !text.ends_with(':') && !reserved {
            return text;
        }
        serde_json::Value::from(text).to_string()
    }
}

/// Whether YAML reads something else than a text in it.
fn is_reserved(text: &str) -> bool {
    ["null", "true", "false"].contains(&text.to_ascii_lowercase().as_str())
}

/// The value, where it is of the kind asked for.
impl Plain {
    pub(in crate::config) const fn duration(&self) -> Option<Duration> {
        if let Self::Duration(length) = self { Some(*length) } else { None }
    }

    pub(in crate::config) const fn size(&self) -> Option<u64> {
        if let Self::Size(bytes) = self { Some(*bytes) } else { None }
    }

    pub(in crate::config) const fn rate(&self) -> Option<u64> {
        if let Self::Rate(bytes) = self { Some(*bytes) } else { None }
    }

    pub(in crate::config) const fn count(&self) -> Option<u64> {
        if let Self::Count(number) = self { Some(*number) } else { None }
    }

    pub(in crate::config) const fn percent(&self) -> Option<u32> {
        if let Self::Percent(percent) = self { Some(*percent) } else { None }
    }

    pub(in crate::config) const fn factor(&self) -> Option<f64> {
        if let Self::Factor(factor) = self { Some(*factor) } else { None }
    }

    pub(in crate::config) const fn limit(&self) -> Option<Limit> {
        if let Self::Limit(limit) = self { Some(*limit) } else { None }
    }

    pub(in crate::config) const fn address(&self) -> Option<SocketAddr> {
        if let Self::Address(address) = self { Some(*address) } else { None }
    }

    pub(in crate::config) fn header(&self) -> Option<HeaderName> {
        if let Self::Header(name, _) = self { Some(name.clone()) } else { None }
    }

    pub(in crate::config) fn method(&self) -> Option<Method> {
        if let Self::Method(method) = self { Some(method.clone()) } else { None }
    }

    pub(in crate::config) fn host(&self) -> Option<Box<str>> {
        if let Self::Host(host) = self { Some(host.clone()) } else { None }
    }

    pub(in crate::config) fn prefix(&self) -> Option<Box<str>> {
        if let Self::Prefix(prefix) = self { Some(prefix.clone()) } else { None }
    }

    pub(in crate::config) fn pattern(&self) -> Option<Pattern> {
        if let Self::Pattern(_, pattern) = self { Some(pattern.clone()) } else { None }
    }

    pub(in crate::config) fn url(&self) -> Option<Url> {
        if let Self::Url(url) = self { Some(url.clone()) } else { None }
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(number) => write!(f, "{number}"),
            Self::Factor(number) => write!(f, "{number}"),
            Self::Percent(number) => write!(f, "{number}%"),
            Self::Duration(length) => write!(f, "{}", Length(*length)),
            Self::Size(bytes) => write!(f, "{}", Bytes(*bytes)),
            Self::Rate(bytes) => write!(f, "{}/s", Bytes(*bytes)),
            Self::Limit(limit) => write!(f, "{limit}"),
            Self::Word(word) => f.write_str(word),
            Self::Header(_, written) => f.write_str(written),
            Self::Method(method) => f.write_str(method.as_str()),
            Self::Address(address) => write!(f, "{address}"),
            Self::Prefix(prefix) if prefix.is_empty() => f.write_str("/"),
            Self::Text(text) | Self::Host(text) | Self::Prefix(text) | Self::Pattern(text, _) => {
                f.write_str(text)
            }
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}
