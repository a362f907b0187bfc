//! `evenkeel problem`: the error contract, as a JSON Schema or one code at a time.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use crate::cli::Streams;
use crate::outcome::{Code, TYPE_PREFIX};
use crate::problem::{Retryable, UnknownCode, schema};

#[derive(Args, Debug)]
pub struct ProblemArgs {
    /// `schema` for the JSON Schema, or a code; without it, every code in one line each.
    #[arg(value_name = "schema|CODE")]
    pub what: Option<String>,
}

pub fn run(args: &ProblemArgs, streams: &mut Streams<'_>) -> ExitCode {
    let text = match args.what.as_deref() {
        None => Code::ALL.into_iter().fold(String::new(), |mut text, code| {
            let status = code.status().as_u16();
            let _ = writeln!(text, "{:28} {status}  {}", code.as_str(), code.title());
            text
        }),
        Some("schema") => serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n",
        Some(code) => match explained(code) {
            Ok(text) => text,
            Err(unknown) => {
                // Where standard error cannot be written either, the exit code has to do.
                let _ = writeln!(streams.stderr, "evenkeel problem: {unknown}");
                return ExitCode::from(2);
            }
        },
    };
    match streams.stdout.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// `code` may be written as a problem's `type` too.
fn explained(code: &str) -> Result<String, UnknownCode> {
    let code: Code = code.strip_prefix(TYPE_PREFIX).unwrap_or(code).parse()?;
    let sources: Vec<&str> = code.sources().iter().map(|source| source.as_str()).collect();
    Ok(format!(
        "{name}\n  {title}\n\n{about}\n\n  type       {TYPE_PREFIX}{name}\n  status     {status}\n  source     {sources}\n  retryable  {retryable}\n",
        name = code.as_str(),
        title = code.title(),
        about = wrapped(code.about()),
        status = code.status().as_u16(),
        sources = sources.join(", "),
        retryable = match code.retryable() {
            Retryable::Yes => "yes",
            Retryable::No => "no",
            Retryable::ByReplay => "if the request may safely be sent again",
            Retryable::AsStated => "if the vendor states when",
        },
    ))
}

/// The width of a paragraph.
const COLUMNS: usize = 76;

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            lines.push(format!("  {word}"));
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(what: Option<&str>) -> (String, String) {
        let args = ProblemArgs { what: what.map(str::to_owned) };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut none = std::io::empty();
        run(&args, &mut Streams { stdin: &mut none, stdout: &mut out, stderr: &mut err });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_code_is_explained_in_narrow_lines() {
        for code in Code::ALL {
            let (text, _) = printed(Some(code.as_str()));
            assert!(
                text.contains(code.title()) && text.lines().all(|line| line.len() <= 80),
                "{text}"
            );
        }
    }

    #[test]
    fn a_misspelled_code_is_answered_with_the_nearest() {
        let (out, err) = printed(Some("rate_limitd"));
        assert_eq!(out, "");
        assert!(err.contains("rate_limited"), "{err}");
    }

    #[test]
    fn the_schema_is_valid_and_every_code_is_listed() {
        let (schema, _) = printed(Some("schema"));
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert!(jsonschema::meta::is_valid(&schema));
        assert_eq!(printed(None).0.lines().count(), Code::ALL.len());
    }
}
