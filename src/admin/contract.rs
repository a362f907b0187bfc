//! The contract of problems below `/problems`: pages for people, the JSON Schema, OpenAPI
//! components.
//!
//! Nothing here is specific to this installation, so it may be published under any host name.

use http::{HeaderMap, StatusCode};

use super::accept::quality;
use super::response::{self, AdminResponse, Refusal};
use crate::outcome::Code;
use crate::problem::{Page, STYLESHEET, html_page, openapi, schema};

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
            let code: Code = name.parse().map_err(|_| Refusal::NotFound)?;
            Ok(page(&Page::of(code), headers))
        }
    }
}

fn page(page: &Page, headers: &HeaderMap) -> AdminResponse {
    if prefers_html(headers) {
        response::html(html_page(page))
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
