//! `evenkeel explain METHOD PATH`: what would happen to this request, and which line of the
//! configuration says so.
//!
//! Refuses to send anything, to look at live state, and to know a rule of its own: it asks the
//! same tables and matchers as the life of a call.

mod answer;
mod sheet;
mod words;

#[cfg(test)]
mod fixture;

use http::header::{HOST, InvalidHeaderName, InvalidHeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

pub use answer::explain;

/// What is asked: the words behind `evenkeel explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A header the request would carry; may be given several times.
    #[arg(long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
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

/// A request that nobody sends.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its method.
    pub method: Method,
    /// Its target.
    pub target: PathAndQuery,
    /// Its headers; `Host` tells which host route it takes.
    pub headers: HeaderMap,
}

impl Args {
    /// The request that is asked about.
    #[must_use]
    pub fn question(&self) -> Question {
        let host = self.path.host.clone().map(|host| (HOST, host));
        let headers = host.into_iter().chain(self.headers.iter().cloned()).collect();
        Question { method: self.method.clone(), target: self.path.path.clone(), headers }
    }
}

/// Why the words of a request are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Method,
    HeaderForm,
    HeaderName,
    HeaderValue,
    Path,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Method => "a method is a word like GET or POST",
            Self::HeaderForm => "a header reads `Name: value`",
            Self::HeaderName => "what stands before the colon is no header name",
            Self::HeaderValue => "what stands behind the colon is no header value",
            Self::Path => "a path pattern must begin with `/`, like /wordbee/documents?page=2",
        })
    }
}

impl std::error::Error for Wrong {}

impl From<InvalidHeaderName> for Wrong {
    fn from(_: InvalidHeaderName) -> Self {
        Self::HeaderName
    }
}

impl From<InvalidHeaderValue> for Wrong {
    fn from(_: InvalidHeaderValue) -> Self {
        Self::HeaderValue
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), Wrong> {
    let (name, value) = text.split_once(':').ok_or(Wrong::HeaderForm)?;
    Ok((name.trim().parse()?, value.trim().parse()?))
}

/// Methods are upper-case words; people type lower case.
fn method(text: &str) -> Result<Method, Wrong> {
    text.to_ascii_uppercase().parse().map_err(|_| Wrong::Method)
}

fn target(text: &str) -> Result<Target, Wrong> {
    let uri: Uri = text.parse().map_err(|_| Wrong::Path)?;
    let host = uri.authority().map(|host| HeaderValue::from_str(host.as_str())).transpose()?;
    let path = uri.path_and_query().filter(|path| path.path().starts_with('/'));
    Ok(Target { path: path.cloned().ok_or(Wrong::Path)?, host })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn asked(words: &[&str]) -> Result<Question, String> {
        let line = Line::try_parse_from(std::iter::once(&"explain").chain(words));
        line.map(|line| line.args.question()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_request_is_read_from_the_command_line() {
        let question = asked(&["post", "/a?b=1", "--header", "X-K: v", "--header", "x-k:w"]);
        let question = question.unwrap();
        assert_eq!((question.method, question.target.as_str()), (Method::POST, "/a?b=1"));
        assert_eq!(question.headers.get_all("x-k").iter().collect::<Vec<_>>(), ["v", "w"]);
        let question = asked(&["GET", "http://api.local:8080/x"]).unwrap();
        assert_eq!(question.target, "/x");
        assert_eq!(question.headers[HOST], "api.local:8080");
    }

    #[test]
    fn wrong_words_are_told_with_what_is_accepted() {
        let rows: [(&[&str], Wrong); 4] = [
            (&["G T", "/"], Wrong::Method),
            (&["GET", "documents"], Wrong::Path),
            (&["GET", "/", "--header", "novalue"], Wrong::HeaderForm),
            (&["GET", "/", "--header", "a b: c"], Wrong::HeaderName),
        ];
        for (words, wrong) in rows {
            let told = asked(words).unwrap_err();
            assert!(told.contains(&wrong.to_string()), "{words:?}: {told}");
        }
    }
}
