//! `evenkeel problem`: the error contract, as pages, as JSON Schema or as OpenAPI components.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::Streams;
use crate::outcome::{Code, TYPE_PREFIX};
use crate::problem::{Page, UnknownCode, html_of_all, openapi, sample, schema};

#[derive(Args, Debug)]
pub struct ProblemArgs {
    /// `schema` for the JSON Schema, `openapi` for OpenAPI 3.1 components, or a code; without it,
    /// all codes.
    #[arg(value_name = "schema|openapi|CODE")]
    pub what: Option<String>,
    /// How pages are written: `markdown` and `html` without a code hold the page of every code,
    /// `json` the sample.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Markdown,
    Html,
    Json,
}

pub fn run(args: &ProblemArgs, streams: &mut Streams<'_>) -> ExitCode {
    let text = match (args.what.as_deref(), args.format) {
        (Some("schema"), _) => pretty(&schema()),
        (Some("openapi"), _) => pretty(&openapi()),
        (None, Format::Text) => Page::overview().to_text(),
        (None, format) => written(&Code::ALL, format),
        (Some(code), format) => match code_named(code) {
            Ok(code) => written(&[code], format),
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
fn code_named(code: &str) -> Result<Code, UnknownCode> {
    code.strip_prefix(TYPE_PREFIX).unwrap_or(code).parse()
}

/// The pages of these codes, behind the overview where there are several.
fn written(codes: &[Code], format: Format) -> String {
    let overview = (codes.len() > 1).then(Page::overview);
    let pages: Vec<Page> =
        overview.into_iter().chain(codes.iter().copied().map(Page::of)).collect();
    match format {
        Format::Text => pages.iter().map(Page::to_text).collect(),
        Format::Markdown => {
            let levels = std::iter::once(1).chain(std::iter::repeat(2));
            let parts = pages.iter().zip(levels).map(|(page, level)| page.to_markdown(level));
            parts.collect::<Vec<_>>().join("\n")
        }
        Format::Html => html_of_all(&pages),
        Format::Json => match codes {
            [code] => pretty(&sample(*code)),
            several => pretty(&several.iter().copied().map(sample).collect::<Vec<_>>()),
        },
    }
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(what: Option<&str>, format: Format) -> (String, String) {
        let args = ProblemArgs { what: what.map(str::to_owned), format };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut none = std::io::empty();
        run(&args, &mut Streams { stdin: &mut none, stdout: &mut out, stderr: &mut err });
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_code_or_a_type_prints_its_page_and_its_sample() {
        let (text, _) = printed(Some("urn:evenkeel:problem:rate_limited"), Format::Text);
        assert!(text.contains("WHAT A CLIENT SHOULD DO") && text.contains("\"retry_after\": 30"));
        let (json, _) = printed(Some("rate_limited"), Format::Json);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["code"], "rate_limited");
    }

    #[test]
    fn all_codes_are_one_document_in_the_formats_for_publishing() {
        let (document, _) = printed(None, Format::Markdown);
        assert!(Code::ALL.iter().all(|code| document.contains(code.advice())), "{document}");
        let (document, _) = printed(None, Format::Html);
        let has_page = |code: &Code| document.contains(&format!("<h1>{}</h1>", code.as_str()));
        assert!(Code::ALL.iter().all(has_page), "{document}");
        let (page, _) = printed(Some("rate_limited"), Format::Html);
        let links = ["./", "schema.json", "openapi.json"];
        assert!(links.iter().all(|link| page.contains(&format!("href=\"{link}\""))), "{page}");
        let (list, _) = printed(None, Format::Text);
        assert!(Code::ALL.iter().all(|code| list.contains(code.as_str())), "{list}");
        let (samples, _) = printed(None, Format::Json);
        let samples: Vec<serde_json::Value> = serde_json::from_str(&samples).unwrap();
        assert_eq!(samples.len(), Code::ALL.len());
    }

    #[test]
    fn a_misspelled_code_is_answered_with_the_nearest() {
        let (out, err) = printed(Some("rate_limitd"), Format::Text);
        assert_eq!(out, "");
        assert!(err.contains("rate_limited"), "{err}");
    }

    #[test]
    fn the_schema_and_the_openapi_document_are_json() {
        let (schema, _) = printed(Some("schema"), Format::Text);
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert!(jsonschema::meta::is_valid(&schema));
        let (openapi, _) = printed(Some("openapi"), Format::Text);
        let openapi: serde_json::Value = serde_json::from_str(&openapi).unwrap();
        assert_eq!(openapi["openapi"], "3.1.1");
    }
}
