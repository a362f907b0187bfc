//! The target that goes on the wire: the route's prefix is removed, the upstream's base path put
//! in its place, and nothing else changes by a byte. Signatures over a path stay valid, and no
//! reading of ours can differ from the vendor's.
//!
//! Refuses what would leave the base path in any spelling of `..`.

use bytes::Bytes;
use http::uri::PathAndQuery;

use crate::routing::route::{CallPath, PathReading};

/// Why a target cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// It climbs out of what the route gives access to.
    Climbing,
    /// It is no path, or none once the base path stands before it.
    Unsendable,
}

impl std::fmt::Display for TargetFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Climbing => {
                "the path contains `..`, in some spelling; behind a prefix or a base path it \
                 could leave them"
            }
            Self::Unsendable => "the target is not a path that can be sent to the upstream",
        })
    }
}

impl std::error::Error for TargetFault {}

/// What a client's target becomes behind a prefix of so many bytes.
///
/// # Errors
/// It climbs where there is something to climb out of, or is no path.
pub fn target(
    client: &PathAndQuery,
    prefix_bytes: usize,
    base_path: &str,
) -> Result<PathAndQuery, TargetFault> {
    if !client.path().starts_with('/') {
        return Err(TargetFault::Unsendable);
    }
    if prefix_bytes == 0 && base_path.is_empty() {
        return Ok(client.clone());
    }
    let rest = client.path().get(prefix_bytes..).ok_or(TargetFault::Unsendable)?;
    if CallPath::new(rest).reading() == PathReading::Traversal {
        return Err(TargetFault::Climbing);
    }
    joined(base_path, &client.as_str()[prefix_bytes..])
}

fn joined(base_path: &str, rest: &str) -> Result<PathAndQuery, TargetFault> {
    let root = if base_path.is_empty() && !rest.starts_with('/') { "/" } else { "" };
    let mut text = Vec::with_capacity(root.len() + base_path.len() + rest.len());
    for part in [root, base_path, rest] {
        text.extend_from_slice(part.as_bytes());
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| TargetFault::Unsendable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(client: &str, prefix: &str, base: &str) -> Result<String, TargetFault> {
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
    fn no_byte_behind_the_prefix_changes() {
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
    fn climbing_is_refused_where_there_is_something_to_climb_out_of() {
        for tail in ["/..", "/a/../b", "/%2e%2E/x", "/a/..%2fb", "/..;x/a", "/a%5C..%5cb"] {
            for (prefix, base) in [("/p", ""), ("", "/b"), ("/p", "/b")] {
                let found = mapped(&format!("{prefix}{tail}"), prefix, base);
                assert_eq!(found, Err(TargetFault::Climbing), "{tail}");
            }
            assert_eq!(mapped(tail, "", "").as_deref(), Ok(tail));
        }
        assert_eq!(mapped("/p/x?a=/../b", "/p", "").as_deref(), Ok("/x?a=/../b"));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!(mapped("*", "", ""), Err(TargetFault::Unsendable));
        assert_eq!(mapped("/a", "/longer", ""), Err(TargetFault::Unsendable));
        assert_eq!(mapped("/x", "", &"/b".repeat(40_000)), Err(TargetFault::Unsendable));
    }
}
