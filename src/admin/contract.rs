//! The contract of problems below `/problems`: pages for people, the JSON Schema, OpenAPI
//! components.
//!
//! Nothing here is specific to this installation, so it may be published under any host name.

use http::{HeaderMap, StatusCode};

use super::accept::quality;
use super::response::{self, AdminResponse, Refusal};
use crate::outcome::Code;
use crate::problem::{Page, STYLESHEET, html_page, openapi, schema};

/// No code is longer, nor a misspelling that is recognised.
const NAME_BYTES_MAX: usize = 64;

/// The answer below `/problems`; `rest` is the path behind it.
pub(super) fn answer(rest: &str, headers: &HeaderMap) -> Result<AdminResponse, Refusal> {
    match rest {
        // The links of the page are relative to a folder.
        "" if prefers_html(headers) => Ok(response::moved("problems/")),
        "" | "/" => Ok(page(&Page::overview(), headers)),
        "/schema.json" => Ok(response::json_schema(&schema())),
        "/openapi.json" => Ok(response::json(&openapi())),
        "/page.css" => Ok(response::stylesheet(STYLESHEET)),
        _ => {
            let name = rest.strip_prefix('/').ok_or(Refusal::NotFound)?;
            // Only what may be a misspelt code is compared and repeated.
            let is_name = |name: &str| name.bytes().all(|it| it == b'_' || it.is_ascii_lowercase());
            Ok(match name.parse::<Code>() {
                Ok(code) => page(&Page::of(code), headers),
                Err(unknown) if name.len() <= NAME_BYTES_MAX && is_name(name) => {
                    no_such_code(&unknown.to_string(), headers)
                }
                Err(_) => no_such_code("This path names no problem code", headers),
            })
        }
    }
}

/// A page for browsers, a problem for other programs; both list the codes that there are.
fn no_such_code(what: &str, headers: &HeaderMap) -> AdminResponse {
    let mut response = if prefers_html(headers) {
        response::html(StatusCode::NOT_FOUND, html_page(&Page::no_such_code(what)))
    } else {
        let codes = Code::ALL.map(Code::as_str).join(", ");
        response::not_found(format!("{what}. The codes are: {codes}."))
    };
    response::varies_by_accept(&mut response);
    response
}

fn page(page: &Page, headers: &HeaderMap) -> AdminResponse {
    if prefers_html(headers) {
        response::html(StatusCode::OK, html_page(page))
    } else {
        let mut response = response::text(StatusCode::OK, page.to_text());
        response::varies_by_accept(&mut response);
        response
    }
}

/// As browsers do; programs that accept anything get text.
fn prefers_html(headers: &HeaderMap) -> bool {
    quality(headers, "text", "html") > quality(headers, "text", "plain")
}
