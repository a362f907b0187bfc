//! The contract of a format: how a setting's text becomes a value, and what a diagnostic says when
//! it does not.

use serde_json::Value as Json;

use crate::config::diagnostic::DiagnosticCode;

/// Why a text is not a value of a format.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) code: DiagnosticCode,
    pub(crate) message: String,
    pub(crate) accepted: String,
    /// A valid text that was probably meant.
    pub(crate) nearest: Option<String>,
}

impl Mismatch {
    pub(crate) fn new(
        code: DiagnosticCode,
        message: impl Into<String>,
        accepted: impl Into<String>,
    ) -> Self {
        Self { code, message: message.into(), accepted: accepted.into(), nearest: None }
    }
}

impl From<Mismatch> for Vec<Mismatch> {
    fn from(mismatch: Mismatch) -> Self {
        vec![mismatch]
    }
}

/// A format of single values, such as durations between two bounds.
pub(crate) trait Format: Sync {
    type Value;

    /// # Errors
    /// Everything that is wrong with the text, so that one run of `check` shows all of it.
    fn parse(&self, text: &str) -> Result<Self::Value, Vec<Mismatch>>;

    /// The value as the file writes it, without quotes.
    fn write(&self, value: &Self::Value) -> String;

    /// What is accepted, for a diagnostic.
    fn accepted(&self) -> String;

    fn schema(&self) -> Json;

    /// What a text in the notation of another program probably means. It need not be valid.
    fn guess(&self, _text: &str) -> Option<String> {
        None
    }

    /// Whether a quoted text has the wrong type: `"3"` is not a number.
    fn is_unquoted(&self) -> bool {
        false
    }

    /// Whether a text of this format can carry a secret, so that no suggestion repeats it.
    fn may_hold_secret(&self) -> bool {
        false
    }

    /// The value as JSON, for the schema.
    fn to_json(&self, value: &Self::Value) -> Json {
        self.write(value).into()
    }

    /// The value as YAML, valid inside brackets too.
    fn to_yaml(&self, value: &Self::Value) -> String {
        let text = self.write(value);
        if self.is_unquoted() { text } else { to_yaml(&text) }
    }
}

/// A text as YAML, valid inside brackets too, with quotes where it needs them.
pub(crate) fn to_yaml(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:%*+-@~".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '/';
    let typed = ["null", "true", "false"].contains(&&*text.to_ascii_lowercase());
    if text.starts_with(first) && text.chars().all(plain) && !text.ends_with(':') && !typed {
        return text.to_owned();
    }
    Json::from(text).to_string()
}

/// A [`Format`] without its type, for what only checks and describes settings.
pub(crate) trait AnyFormat: Sync {
    /// # Errors
    /// Everything that is wrong with the text; the first mismatch carries the suggestion.
    fn check(&self, text: &str) -> Result<(), Vec<Mismatch>>;

    /// The text in the notation of the file, or the valid text that it probably means, as YAML.
    fn suggest(&self, text: &str) -> Option<String>;

    fn accepted(&self) -> String;
    fn schema(&self) -> Json;
    fn is_unquoted(&self) -> bool;
    fn may_hold_secret(&self) -> bool;
}

impl<F: Format> AnyFormat for F {
    fn check(&self, text: &str) -> Result<(), Vec<Mismatch>> {
        self.parse(text).map(drop).map_err(|mut mismatches| {
            if let Some(first) = mismatches.first_mut() {
                first.nearest = self.guess(text.trim()).filter(|guess| self.parse(guess).is_ok());
            }
            mismatches
        })
    }

    fn suggest(&self, text: &str) -> Option<String> {
        let value = self.parse(text).ok().or_else(|| self.parse(&self.guess(text.trim())?).ok());
        value.map(|value| self.to_yaml(&value))
    }

    fn accepted(&self) -> String {
        Format::accepted(self)
    }

    fn schema(&self) -> Json {
        Format::schema(self)
    }

    fn is_unquoted(&self) -> bool {
        Format::is_unquoted(self)
    }

    fn may_hold_secret(&self) -> bool {
        Format::may_hold_secret(self)
    }
}

/// A JSON Schema for texts of a pattern.
pub(crate) fn text_schema(pattern: &str) -> Json {
    serde_json::json!({ "type": "string", "pattern": pattern })
}

/// `a`, `b`, `c`: the words of a list for a diagnostic.
pub(crate) fn quoted_list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
