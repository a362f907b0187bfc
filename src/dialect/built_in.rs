//! The dialects that are part of the program, as they stand in `config/dialects/`: of vendors, and
//! of families of APIs, which others extend. Each is compiled when it is first asked for.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::compile::{DialectError, compile_extending, extends};
use super::definition::Dialect;

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../config/dialects/", $name, ".yaml")))),*]
    };
}

const TEXTS: &[(&str, &str)] = texts![
    "auto",
    "anthropic",
    "aspnet",
    "aws_dynamodb",
    "aws_json",
    "aws_s3",
    "aws_xml",
    "django_rest",
    "droplink",
    "fastapi",
    "github",
    "google",
    "google_cloud",
    "graphql",
    "json_api",
    "microsoft_graph",
    "odata",
    "openai",
    "problem_json",
    "salesforce",
    "shopify",
    "slack",
    "soap",
    "spring",
    "stripe",
    "twilio",
    "wordbee",
];

static COMPILED: [OnceLock<Arc<Dialect>>; TEXTS.len()] = [const { OnceLock::new() }; TEXTS.len()];

#[must_use]
pub fn builtin(name: &str) -> Option<Arc<Dialect>> {
    let place = TEXTS.iter().position(|(known, _)| *known == name)?;
    let compiled = COMPILED[place].get_or_init(|| {
        let value = serde_saphyr::from_str(TEXTS[place].1);
        let value = value.expect("a test parses the built-in dialects");
        Arc::new(compile(name, &value).expect("a test compiles the built-in dialects"))
    });
    Some(Arc::clone(compiled))
}

pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(name, _)| *name)
}

/// The YAML of a built-in dialect, as a start for one's own.
#[must_use]
pub fn builtin_text(name: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Compiles a dialect that may extend a built-in one.
///
/// # Errors
/// Every error in the value, in the order of its text.
pub fn compile(name: &str, value: &Value) -> Result<Dialect, Vec<DialectError>> {
    let base = extends(value)
        .map(|base| builtin(base).ok_or_else(|| DialectError::unknown_base(base, builtin_names())));
    compile_extending(name, value, base.transpose())
}
