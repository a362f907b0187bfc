//! `evenkeel explain METHOD PATH`: what would happen to this request, and which line of the
//! configuration decides it.
//!
//! With `--response FILE` also what would follow if the vendor answered so, and why.
//!
//! It sends nothing and reads no live state; it asks the same tables and matchers as a real call.

mod format;
mod report;
mod response;
mod rows;

#[cfg(test)]
pub(super) mod fixture;

use std::io::Read;
use std::time::SystemTime;

use http::header::{HOST, InvalidHeaderName, InvalidHeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

pub use report::{ExplainedResponse, explain};

use report::ExplainedRequest;

use super::capture::{Capture, CommandError};

/// The arguments of `evenkeel explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A header the request would carry; may be given several times.
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// A captured response of the vendor's, as `curl -i` writes it, or its body with `--status`;
    /// `-` is standard input. Shows what it becomes and why, what is held, and whether the request
    /// is sent again.
    #[arg(long, value_name = "FILE")]
    response: Option<String>,
    /// The status of a captured response that is a body alone; by itself, of one without a body.
    #[arg(long, value_name = "N")]
    status: Option<StatusCode>,
    /// The method of the request.
    #[arg(value_parser = method)]
    method: Method,
    /// Its path and query, as a client would send them to the gateway.
    #[arg(value_parser = target)]
    path: Target,
}

/// A path, and the host when a whole URL was given.
#[derive(Clone, Debug)]
struct Target {
    path: PathAndQuery,
    host: Option<HeaderValue>,
}

impl Args {
    /// The request to explain.
    #[must_use]
    pub fn request(&self) -> ExplainedRequest {
        let host = self.path.host.clone().map(|host| (HOST, host));
        let headers = host.into_iter().chain(self.headers.iter().cloned()).collect();
        let (method, target) = (self.method.clone(), self.path.path.clone());
        ExplainedRequest { method, target, headers }
    }

    /// The response to explain. `now` is when one without a `Date` arrived.
    ///
    /// # Errors
    /// Its file cannot be read, or is no response.
    pub(super) fn response(
        &self,
        stdin: &mut dyn Read,
        now: SystemTime,
    ) -> Result<Option<ExplainedResponse>, CommandError> {
        let capture = match (&self.response, self.status) {
            (Some(file), status) => Capture::read(file, status, stdin)?,
            (None, Some(status)) => Capture { status, ..Capture::default() },
            (None, None) => return Ok(None),
        };
        let at = capture.date().unwrap_or(now);
        Ok(Some(ExplainedResponse { capture, at }))
    }
}

/// An argument that does not describe a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArgumentError {
    Method,
    /// A header without a colon.
    Header,
    HeaderName,
    HeaderValue,
    Path,
}

impl std::fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Method => "a method is a name like GET or POST",
            Self::Header => "a header reads `Name: value`",
            Self::HeaderName => "the part before the colon is not a valid header name",
            Self::HeaderValue => "the part after the colon is not a valid header value",
            Self::Path => "a path begins with `/`, like /wordbee/documents?page=2",
        })
    }
}

impl std::error::Error for ArgumentError {}

impl From<InvalidHeaderName> for ArgumentError {
    fn from(_: InvalidHeaderName) -> Self {
        Self::HeaderName
    }
}

impl From<InvalidHeaderValue> for ArgumentError {
    fn from(_: InvalidHeaderValue) -> Self {
        Self::HeaderValue
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), ArgumentError> {
    let (name, value) = text.split_once(':').ok_or(ArgumentError::Header)?;
    Ok((name.trim().parse()?, value.trim().parse()?))
}

/// Methods are upper-case; lower case is accepted.
fn method(text: &str) -> Result<Method, ArgumentError> {
    text.to_ascii_uppercase().parse().map_err(|_| ArgumentError::Method)
}

fn target(text: &str) -> Result<Target, ArgumentError> {
    let uri: Uri = text.parse().map_err(|_| ArgumentError::Path)?;
    let host = uri.authority().map(|host| HeaderValue::from_str(host.as_str())).transpose()?;
    let path = uri.path_and_query().filter(|path| path.path().starts_with('/'));
    Ok(Target { path: path.cloned().ok_or(ArgumentError::Path)?, host })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(arguments: &[&str]) -> Result<ExplainedRequest, String> {
        let line = CommandLine::try_parse_from(std::iter::once(&"explain").chain(arguments));
        line.map(|line| line.args.request()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_is_read_from_the_command_line() {
        let request = parsed(&["post", "/a?b=1", "--header", "X-K: v", "--header", "x-k:w"]);
        let request = request.unwrap();
        assert_eq!((request.method, request.target.as_str()), (Method::POST, "/a?b=1"));
        assert_eq!(request.headers.get_all("x-k").iter().collect::<Vec<_>>(), ["v", "w"]);
        let request = parsed(&["GET", "http://api.local:8080/x"]).unwrap();
        assert_eq!(request.target, "/x");
        assert_eq!(request.headers[HOST], "api.local:8080");
    }

    #[test]
    fn invalid_arguments_name_what_is_accepted() {
        let rows: [(&[&str], ArgumentError); 4] = [
            (&["G T", "/"], ArgumentError::Method),
            (&["GET", "documents"], ArgumentError::Path),
            (&["GET", "/", "--header", "novalue"], ArgumentError::Header),
            (&["GET", "/", "--header", "a b: c"], ArgumentError::HeaderName),
        ];
        for (arguments, error) in rows {
            let message = parsed(arguments).unwrap_err();
            assert!(message.contains(&error.to_string()), "{arguments:?}: {message}");
        }
    }
}
