//! Booleans, numbers, words and texts.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Value as Json, json};

use super::amounts;
use super::guess;
use super::parse::{Format, Mismatch, quoted_list, text_schema};
use crate::config::diagnostic::DiagnosticCode;

/// `true` or `false`.
pub(crate) struct Flag;

impl Format for Flag {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, Vec<Mismatch>> {
        match text {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            other => {
                let message = format!("`{other}` is not a boolean");
                Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into())
            }
        }
    }

    fn write(&self, value: &bool) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "`true` or `false`".into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "boolean" })
    }

    fn to_json(&self, value: &bool) -> Json {
        (*value).into()
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::flag(text)
    }

    fn is_unquoted(&self) -> bool {
        true
    }
}

/// A whole number.
pub(crate) struct Count<T> {
    pub(crate) min: T,
    pub(crate) max: T,
}

impl<T> Format for Count<T>
where
    T: Copy + Display + FromStr + Into<Json> + PartialOrd + Sync,
{
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, Vec<Mismatch>> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("`{text}` is not a whole number");
            return Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into());
        }
        let number = text.parse().ok().filter(|number| (self.min..=self.max).contains(number));
        number.ok_or_else(|| out_of_bounds(text, self.accepted()))
    }

    fn write(&self, value: &T) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn schema(&self) -> Json {
        let (min, max): (Json, Json) = (self.min.into(), self.max.into());
        json!({ "type": "integer", "minimum": min, "maximum": max })
    }

    fn to_json(&self, value: &T) -> Json {
        (*value).into()
    }

    fn guess(&self, text: &str) -> Option<String> {
        let extreme = amounts::extreme(text, self.min, self.max).map(|number| number.to_string());
        extreme.or_else(|| amounts::count(text).map(|number| number.to_string()))
    }

    fn is_unquoted(&self) -> bool {
        true
    }
}

fn out_of_bounds(text: &str, accepted: String) -> Vec<Mismatch> {
    Mismatch::new(DiagnosticCode::Range, format!("{text} is out of bounds"), accepted).into()
}

/// How many threads serve; `auto`, which is `None`, means one per core.
pub(crate) struct Workers {
    pub(crate) max: usize,
}

impl Workers {
    const fn count(&self) -> Count<usize> {
        Count { min: 1, max: self.max }
    }
}

impl Format for Workers {
    type Value = Option<usize>;

    fn parse(&self, text: &str) -> Result<Option<usize>, Vec<Mismatch>> {
        if text == "auto" {
            return Ok(None);
        }
        let or_auto = |mut mismatches: Vec<Mismatch>| {
            mismatches.iter_mut().for_each(|mismatch| mismatch.accepted = self.accepted());
            mismatches
        };
        self.count().parse(text).map(Some).map_err(or_auto)
    }

    fn write(&self, value: &Option<usize>) -> String {
        value.map_or_else(|| "auto".into(), |number| number.to_string())
    }

    fn accepted(&self) -> String {
        format!("`auto` (one per core) or {}", self.count().accepted())
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [{ "const": "auto" }, self.count().schema()] })
    }

    fn guess(&self, text: &str) -> Option<String> {
        const CORES: [&str; 7] = ["cores", "cpu", "cpus", "num_cpus", "default", "max", "0"];
        let auto = || CORES.contains(&&*text.to_ascii_lowercase()).then(|| "auto".to_owned());
        amounts::count(text).filter(|number| *number > 0).map(|it| it.to_string()).or_else(auto)
    }
}

/// The version of the file's format. There is one.
pub(crate) struct Version;

impl Format for Version {
    type Value = u32;

    fn parse(&self, text: &str) -> Result<u32, Vec<Mismatch>> {
        let message = format!("version `{text}` is not supported");
        let mismatch = || Mismatch::new(DiagnosticCode::Range, message, self.accepted());
        if text == "1" { Ok(1) } else { Err(mismatch().into()) }
    }

    fn write(&self, value: &u32) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        "1".into()
    }

    fn schema(&self) -> Json {
        json!({ "const": 1 })
    }

    fn to_json(&self, value: &u32) -> Json {
        (*value).into()
    }

    fn guess(&self, text: &str) -> Option<String> {
        text.contains('1').then(|| "1".to_owned())
    }
}

/// A number with a fraction.
pub(crate) struct Factor {
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Format for Factor {
    type Value = f64;

    fn parse(&self, text: &str) -> Result<f64, Vec<Mismatch>> {
        match text.parse::<f64>() {
            Ok(number) if (self.min..=self.max).contains(&number) => Ok(number),
            Ok(_) => Err(out_of_bounds(text, self.accepted())),
            Err(_) => {
                let message = format!("`{text}` is not a number");
                Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted()).into())
            }
        }
    }

    fn write(&self, value: &f64) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        format!("a number from {} to {}", self.min, self.max)
    }

    fn schema(&self) -> Json {
        json!({ "type": "number", "minimum": self.min, "maximum": self.max })
    }

    fn to_json(&self, value: &f64) -> Json {
        (*value).into()
    }

    fn guess(&self, text: &str) -> Option<String> {
        Some(text.trim_matches(['x', '×', 'X', ' ']).to_owned())
    }

    fn is_unquoted(&self) -> bool {
        true
    }
}

/// A whole percentage.
pub(crate) struct Percent {
    pub(crate) max: u32,
}

impl Format for Percent {
    type Value = u32;

    fn parse(&self, text: &str) -> Result<u32, Vec<Mismatch>> {
        let mismatch = |code, message| Err(Mismatch::new(code, message, self.accepted()).into());
        let Some(digits) = text.strip_suffix('%') else {
            return mismatch(DiagnosticCode::Unit, format!("`{text}` has no unit"));
        };
        match digits.trim_end().parse::<u32>() {
            Ok(number) if number <= self.max => Ok(number),
            Ok(_) => Err(out_of_bounds(text, self.accepted())),
            Err(_) => mismatch(DiagnosticCode::Type, format!("`{text}` is not a whole percentage")),
        }
    }

    fn write(&self, value: &u32) -> String {
        format!("{value}%")
    }

    fn accepted(&self) -> String {
        format!("0% to {}%", self.max)
    }

    fn schema(&self) -> Json {
        text_schema("^[0-9]+%$")
    }

    fn guess(&self, text: &str) -> Option<String> {
        amounts::percent(text)
    }
}

/// A part of a number: a percentage of it, or so many.
pub(crate) struct Share {
    pub(crate) max: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Headroom {
    Units(u32),
    Percent(u32),
}

impl Share {
    const PERCENT: Percent = Percent { max: 99 };

    const fn count(&self) -> Count<u32> {
        Count { min: 0, max: self.max }
    }
}

impl Format for Share {
    type Value = Headroom;

    fn parse(&self, text: &str) -> Result<Headroom, Vec<Mismatch>> {
        let parsed = match text.ends_with('%') {
            true => Self::PERCENT.parse(text).map(Headroom::Percent),
            false => self.count().parse(text).map(Headroom::Units),
        };
        parsed.map_err(|mut mismatches| {
            mismatches.iter_mut().for_each(|mismatch| mismatch.accepted = self.accepted());
            mismatches
        })
    }

    fn write(&self, value: &Headroom) -> String {
        match value {
            Headroom::Units(units) => units.to_string(),
            Headroom::Percent(percent) => format!("{percent}%"),
        }
    }

    fn accepted(&self) -> String {
        format!("{}, or {}", Self::PERCENT.accepted(), self.count().accepted())
    }

    fn schema(&self) -> Json {
        json!({ "anyOf": [Self::PERCENT.schema(), self.count().schema()] })
    }

    fn to_json(&self, value: &Headroom) -> Json {
        match value {
            Headroom::Units(units) => (*units).into(),
            Headroom::Percent(_) => self.write(value).into(),
        }
    }

    fn guess(&self, text: &str) -> Option<String> {
        amounts::percent(text)
    }
}

/// One of some words, each of which stands for a value.
pub(crate) struct Word<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy + PartialEq + Sync> Format for Word<T> {
    type Value = T;

    fn parse(&self, text: &str) -> Result<T, Vec<Mismatch>> {
        let known = self.0.iter().find(|(word, _)| *word == text);
        known.map(|(_, value)| *value).ok_or_else(|| {
            let accepted = quoted_list(self.0.iter().map(|(word, _)| *word));
            let message = format!("`{text}` is not one of the accepted words");
            Mismatch::new(DiagnosticCode::Type, message, accepted).into()
        })
    }

    fn write(&self, value: &T) -> String {
        let known = self.0.iter().find(|(_, known)| known == value);
        known.map(|(word, _)| *word).unwrap_or_default().to_owned()
    }

    fn accepted(&self) -> String {
        self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    }

    fn schema(&self) -> Json {
        // Editors read an unquoted `true` as a boolean.
        let value = |(word, _): &(&'static str, T)| match *word {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            word => word.into(),
        };
        json!({ "enum": self.0.iter().map(value).collect::<Vec<_>>() })
    }

    fn guess(&self, text: &str) -> Option<String> {
        let words = self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let flag = guess::flag(text).filter(|flag| words.contains(&&**flag));
        flag.or_else(|| guess::word(text, &words))
    }
}

/// A text with a default that need not be allocated.
pub(crate) type Text = Cow<'static, str>;

/// Any text that is not empty.
pub(crate) struct FreeText {
    pub(crate) accepted: &'static str,
}

impl Format for FreeText {
    type Value = Text;

    fn parse(&self, text: &str) -> Result<Text, Vec<Mismatch>> {
        if text.trim().is_empty() {
            let message = "the text is empty";
            return Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted).into());
        }
        Ok(text.to_owned().into())
    }

    fn write(&self, value: &Text) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        self.accepted.into()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// A token of RFC 9110 §5.6.2.
pub(crate) struct Token {
    pub(crate) accepted: &'static str,
}

impl Format for Token {
    type Value = Text;

    fn parse(&self, text: &str) -> Result<Text, Vec<Mismatch>> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if text.is_empty() || !text.chars().all(token) {
            let message = format!("`{text}` is not a token");
            return Err(Mismatch::new(DiagnosticCode::Type, message, self.accepted).into());
        }
        Ok(text.to_owned().into())
    }

    fn write(&self, value: &Text) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        self.accepted.into()
    }

    fn schema(&self) -> Json {
        text_schema("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
    }

    fn may_hold_secret(&self) -> bool {
        true
    }
}

/// A log level, or the directives of `tracing`'s target filter.
pub(crate) struct LogLevel;

impl LogLevel {
    const WORDS: [&'static str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
}

impl Format for LogLevel {
    type Value = Text;

    fn parse(&self, text: &str) -> Result<Text, Vec<Mismatch>> {
        // A target is a module path of Rust, so it is ASCII.
        let directives = text.contains(['=', ',']) && text.is_ascii();
        let valid = Self::WORDS.contains(&text)
            || directives && text.parse::<tracing_subscriber::filter::Targets>().is_ok();
        if valid {
            return Ok(text.to_owned().into());
        }
        let accepted =
            format!("{}, or directives such as `info,evenkeel=debug`", Format::accepted(self));
        let message = format!("`{text}` is not a log level");
        Err(Mismatch::new(DiagnosticCode::Type, message, accepted).into())
    }

    fn write(&self, value: &Text) -> String {
        value.to_string()
    }

    fn accepted(&self) -> String {
        Self::WORDS.join(", ")
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "minLength": 1 })
    }

    fn guess(&self, text: &str) -> Option<String> {
        guess::word(text, &Self::WORDS)
    }
}
