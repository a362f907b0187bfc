//! What a client program should do about each code, in the order of [`Code`]. What a code means is
//! in `code_table`.

use crate::outcome::Code;

impl Code {
    /// One paragraph: what a client program should do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        ADVICE[self as usize].1
    }
}

const ADVICE: [(Code, &str); 40] = [
    (
        Code::InvalidRequest,
        "Do not repeat the request as it is. Correct it first: `detail` says what is wrong, and \
         `errors` where.",
    ),
    (Code::Unauthenticated, "Authenticate, then send the request again."),
    (
        Code::CredentialRejected,
        "Stop using this credential: repeating it does not help and may lock the account. Obtain \
         a valid one first.",
    ),
    (
        Code::Forbidden,
        "Do not repeat the request. Ask the owner of the account for the permission, or use an \
         account that has it.",
    ),
    (
        Code::NotFound,
        "Do not repeat the request. Check the id; if it was valid before, treat the resource as \
         deleted.",
    ),
    (
        Code::EndpointNotFound,
        "Do not repeat the request. Compare the URL with the vendor's documentation: the client \
         program has to be corrected.",
    ),
    (
        Code::MethodNotAllowed,
        "Do not repeat the request. The client program has to use another method.",
    ),
    (Code::NotAcceptable, "Relax the request's `Accept` headers, then send it again."),
    (Code::Gone, "Do not repeat the request. Remove references to the resource."),
    (
        Code::UnsupportedMediaType,
        "Send the body in a format that the endpoint accepts; check `Content-Type` and \
         `Content-Encoding`.",
    ),
    (
        Code::Unprocessable,
        "Do not repeat the request as it is. Show `errors` to whoever entered the data: each \
         entry names the field, where the vendor said so.",
    ),
    (Code::Conflict, "Read the current state, then decide whether the change is still wanted."),
    (Code::RequestTimeout, "Send the request again, faster or in smaller parts."),
    (
        Code::RequestTooLarge,
        "Do not repeat the request as it is. Send less at once. The gateway's operator can raise \
         its own limit, not the vendor's.",
    ),
    (Code::TargetTooLong, "Move parameters into the body, if the vendor permits it."),
    (Code::HeadersTooLarge, "Send fewer or shorter headers; delete old cookies."),
    (
        Code::RateLimited,
        "Wait `retry_after` seconds, then send the request again; send fewer requests at the same \
         time. To let the gateway wait instead, send `Prefer: wait=N`.",
    ),
    (
        Code::QuotaExhausted,
        "Do not retry in a loop. If `retry_after` is given, schedule the request for that time; \
         otherwise the plan has to be changed or credit has to be bought.",
    ),
    (
        Code::AllowanceExhausted,
        "Wait `retry_after` seconds, then send the request again. To let the gateway wait longer \
         for a slot, send `Prefer: wait=N`.",
    ),
    (
        Code::QueueFull,
        "Send fewer requests at the same time; wait `retry_after` seconds before the next.",
    ),
    (
        Code::ClientLimited,
        "Wait `retry_after` seconds, then send the request again. If the limit is too low for the \
         purpose, ask the gateway's operator.",
    ),
    (
        Code::CostExceedsAllowance,
        "Ask for less at once, such as fewer tokens, or split the request. If the cost is \
         estimated too high, the gateway's operator can change it.",
    ),
    (Code::TransientConflict, "Send the same request again after some seconds."),
    (
        Code::UpstreamMaintenance,
        "Wait `retry_after` seconds, then send the request again. Postpone work that can wait.",
    ),
    (
        Code::UpstreamHeld,
        "Wait `retry_after` seconds, then send the request again. Postpone work that can wait.",
    ),
    (
        Code::Paused,
        "Wait `retry_after` seconds, then send the request again. Without `retry_after`, ask the \
         gateway's operator how long the pause lasts, and try rarely meanwhile.",
    ),
    (
        Code::ConnectionsExhausted,
        "Send the request again after a moment; it has not been sent to the vendor.",
    ),
    (
        Code::UpstreamError,
        "If `retryable` is true, send the request again after a growing pause, a few times at \
         most. If `outcome_unknown` is true, read first whether it was carried out. If the error \
         stays, give `request_id` and `upstream.reference` to support.",
    ),
    (
        Code::UpstreamProtocol,
        "If `retryable` is true, send the request again after a growing pause, a few times at \
         most. If `outcome_unknown` is true, read first whether it was carried out. If the error \
         stays, give `request_id` and `upstream.reference` to support.",
    ),
    (
        Code::UpstreamUnreachable,
        "If `retryable` is true, send the request again after a growing pause. If \
         `outcome_unknown` is true, read first whether it was carried out.",
    ),
    (Code::UpstreamTls, "Repeating the request rarely helps. Tell the gateway's operator."),
    (
        Code::UpstreamTruncated,
        "If `retryable` is true, send the request again after a growing pause, a few times at \
         most. If `outcome_unknown` is true, read first whether it was carried out. If the error \
         stays, give `request_id` and `upstream.reference` to support.",
    ),
    (
        Code::UpstreamTimeout,
        "If `outcome_unknown` is true, read first whether the request was carried out. If \
         `retryable` is true, it may be sent again as it is.",
    ),
    (
        Code::GatewayCredentialRejected,
        "Do not repeat the request. Tell the gateway's operator, who has to renew the credential.",
    ),
    (
        Code::RouteNotFound,
        "Do not repeat the request. Correct the URL in the client's configuration, or ask the \
         gateway's operator for a route.",
    ),
    (
        Code::Misdirected,
        "Do not repeat the request. Correct the URL in the client's configuration, or ask the \
         gateway's operator for a route.",
    ),
    (
        Code::UpgradeUnsupported,
        "Do not repeat the request. Connect to the vendor without the gateway, if that is \
         permitted.",
    ),
    (
        Code::LoopDetected,
        "Do not repeat the request. Tell the gateway's operator, who has to correct the \
         upstream's URL.",
    ),
    (Code::Draining, "Send the same request again at once, on a new connection."),
    (Code::GatewayError, "Do not repeat the request in a loop. Report it with its `request_id`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_advice_in_the_order_of_the_enum() {
        assert_eq!(ADVICE.map(|(code, _)| code), Code::ALL);
    }
}
