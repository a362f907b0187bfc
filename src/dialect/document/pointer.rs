//! A JSON Pointer (RFC 6901) → the value it points to.
//!
//! Unlike serde_json's, it does not copy every token: pointers are followed for every error body.

use serde_json::Value;

pub(crate) fn at<'v>(tree: &'v Value, pointer: &str) -> Option<&'v Value> {
    if pointer.is_empty() {
        return Some(tree);
    }
    if pointer.contains('~') {
        return tree.pointer(pointer);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(tree, |value, token| match value {
        Value::Object(members) => members.get(token),
        Value::Array(items) => {
            // RFC 6901 allows neither a sign nor leading zeros.
            let odd = token.starts_with('+') || (token.starts_with('0') && token.len() != 1);
            items.get(token.parse::<usize>().ok().filter(|_| !odd)?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pointers_resolve_as_in_serde_json() {
        let tree = json!({ "a": [1, { "b/c": 2, "d~e": 3, "": 4 }], "": { "": 5 }, "0": 6 });
        let pointers = [
            "",
            "/",
            "//",
            "a",
            "/a",
            "/a/0",
            "/a/00",
            "/a/+0",
            "/a/1",
            "/a/2",
            "/a/-",
            "/a/x",
            "/a/1/b~1c",
            "/a/1/d~0e",
            "/a/1/",
            "/a/1/b",
            "/0",
            "/a/0/0",
            "/a/1/b/c",
        ];
        for pointer in pointers {
            assert_eq!(at(&tree, pointer), tree.pointer(pointer), "{pointer}");
        }
    }
}
