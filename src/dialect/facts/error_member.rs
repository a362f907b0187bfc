//! The member `error` at the top of an error body, which problems carry on: most SDKs look for one,
//! and some take a body without it for a success.

use serde_json::Value;

use crate::outcome::{ErrorMember, ResponseHead};

/// The error codes of OAuth: RFC 6749 (4.1.2.1, 5.2), 6750, 7009, 8628, 8707 and 9449.
const OAUTH_CODES: [&str; 18] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "insufficient_scope",
    "invalid_client",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "use_dpop_nonce",
];

/// The member without what the dialect ignores (W9); with its description where it is OAuth's.
pub(super) fn of(
    head: ResponseHead<'_>,
    mut tree: Value,
    ignored: &[Box<str>],
) -> Option<ErrorMember> {
    let mut value = tree.get_mut("error")?.take();
    if !ignored.is_empty() {
        remove(&mut value, ignored);
    }
    let is_oauth = head.status.is_client_error()
        && value.as_str().is_some_and(|code| OAUTH_CODES.contains(&code));
    let beside = |name| is_oauth.then(|| tree.get(name)?.as_str().map(str::to_owned)).flatten();
    let (description, uri) = (beside("error_description"), beside("error_uri"));
    Some(ErrorMember { value, description, uri })
}

fn remove(value: &mut Value, ignored: &[Box<str>]) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(items) => items.iter_mut().for_each(|item| remove(item, ignored)),
        Value::Object(members) => {
            members.retain(|name, _| !ignored.iter().any(|it| **it == **name));
            members.values_mut().for_each(|value| remove(value, ignored));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_member_keeps_its_type_and_loses_what_is_ignored() {
        let headers = HeaderMap::new();
        let head = ResponseHead { status: StatusCode::BAD_REQUEST, headers: &headers };
        let ignored = ["errorurl".into()];
        let rows = [
            (json!({ "error": "busy" }), Some(json!("busy"))),
            (json!({ "error": 17, "x": 1 }), Some(json!(17))),
            (
                json!({ "error": { "a": [{ "errorurl": "u", "b": 1 }], "errorurl": "u" } }),
                Some(json!({ "a": [{ "b": 1 }] })),
            ),
            (json!({ "fault": { "error": "inside" } }), None),
            (json!(["error"]), None),
        ];
        for (tree, expected) in rows {
            let found = of(head, tree.clone(), &ignored).map(|it| it.value);
            assert_eq!(found, expected, "{tree}");
        }
    }

    #[test]
    fn a_description_stays_beside_a_code_of_oauth_under_4xx() {
        let headers = HeaderMap::new();
        let description = |status, error: &str| {
            let tree = json!({ "error": error, "error_description": "d", "error_uri": "u" });
            let head = ResponseHead { status, headers: &headers };
            let found = of(head, tree, &[]).unwrap();
            (found.description, found.uri)
        };
        let both = (Some("d".to_owned()), Some("u".to_owned()));
        assert_eq!(description(StatusCode::BAD_REQUEST, "invalid_grant"), both);
        assert_eq!(description(StatusCode::FORBIDDEN, "slow_down"), both);
        assert_eq!(description(StatusCode::BAD_REQUEST, "no_such_film"), (None, None));
        assert_eq!(description(StatusCode::INTERNAL_SERVER_ERROR, "server_error"), (None, None));
    }
}
