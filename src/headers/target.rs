//! Builds the target sent to the upstream: the base path replaces the route's prefix, and no other
//! byte changes, so that signatures over the path stay valid. A path that would leave the base path
//! by `..` in any encoding is rejected.

use bytes::Bytes;
use http::uri::PathAndQuery;

use crate::routing::route::{CallPath, PathReading};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    Traversal,
    /// Not a path, or not one behind the base path.
    Invalid,
}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Traversal => {
                "the path contains `..` in some encoding and could leave the route's prefix or the \
                 upstream's base path"
            }
            Self::Invalid => "the target is not a path that can be sent to the upstream",
        })
    }
}

impl std::error::Error for TargetError {}

/// # Errors
/// The path contains `..` behind a prefix or a base path, or it is not a path.
pub fn target(
    client: &PathAndQuery,
    prefix_bytes: usize,
    base_path: &str,
) -> Result<PathAndQuery, TargetError> {
    if !client.path().starts_with('/') {
        return Err(TargetError::Invalid);
    }
    if prefix_bytes == 0 && base_path.is_empty() {
        return Ok(client.clone());
    }
    let rest = client.path().get(prefix_bytes..).ok_or(TargetError::Invalid)?;
    if CallPath::new(rest).reading() == PathReading::Traversal {
        return Err(TargetError::Traversal);
    }
    let rest = &client.as_str()[prefix_bytes..];
    let root = if base_path.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    let text = [root, base_path, rest].concat();
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| TargetError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(client: &str, prefix: &str, base: &str) -> Result<String, TargetError> {
        let client = PathAndQuery::from_maybe_shared(Bytes::from(client.to_owned())).unwrap();
        target(&client, prefix.len(), base).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn only_prefix_and_base_path_change() {
        let rows = [
            ("/wordbee/documents", "/wordbee", "/api", "/api/documents"),
            ("/wordbee", "/wordbee", "/api", "/api"),
            ("/wordbee/", "/wordbee", "/api", "/api/"),
            ("/wordbee", "/wordbee", "", "/"),
            ("/wordbee?a=1", "/wordbee", "", "/?a=1"),
            ("/wordbee?a=1", "/wordbee", "/api", "/api?a=1"),
            ("/", "", "/api", "/api/"),
            ("/x", "", "", "/x"),
            ("/p/x", "/p", "", "/x"),
        ];
        for (client, prefix, base, expected) in rows {
            assert_eq!(mapped(client, prefix, base).as_deref(), Ok(expected), "{client}");
        }
    }

    #[test]
    fn no_byte_after_the_prefix_changes() {
        let tails = [
            "//a//b",
            "/a%2fb%2F",
            "/%41%7e%zz%",
            "/a;v=1;w",
            "/x?",
            "/x??a=?&&b=;c=%20+&a",
            "/x?u=https://h/p?q=1",
            "/caf\u{e9}/\u{4f60}?\u{e9}=1",
            "/a/./b",
            "/a.b/c..d/...",
            "/@:!$&'()*+,=~-_{}\"",
            "/%00%25%3b%3f%23%5c",
        ];
        for tail in tails {
            for (prefix, base) in [("", ""), ("/p", ""), ("", "/b"), ("/p", "/b/c")] {
                let expected = format!("{base}{tail}");
                let found = mapped(&format!("{prefix}{tail}"), prefix, base);
                assert_eq!(found, Ok(expected), "{tail}");
            }
        }
    }

    #[test]
    fn traversal_is_rejected_behind_a_prefix_or_base_path() {
        for tail in ["/..", "/a/../b", "/%2e%2E/x", "/a/..%2fb", "/..;x/a", "/a%5C..%5cb"] {
            for (prefix, base) in [("/p", ""), ("", "/b"), ("/p", "/b")] {
                let found = mapped(&format!("{prefix}{tail}"), prefix, base);
                assert_eq!(found, Err(TargetError::Traversal), "{tail}");
            }
            assert_eq!(mapped(tail, "", "").as_deref(), Ok(tail));
        }
        assert_eq!(mapped("/p/x?a=/../b", "/p", "").as_deref(), Ok("/x?a=/../b"));
    }

    #[test]
    fn a_target_that_is_not_a_path_is_rejected() {
        assert_eq!(mapped("*", "", ""), Err(TargetError::Invalid));
        assert_eq!(mapped("/a", "/longer", ""), Err(TargetError::Invalid));
        assert_eq!(mapped("/x", "", &"/b".repeat(40_000)), Err(TargetError::Invalid));
    }
}
