//! What a client program should do about each code. What a code means is in `code_table`.

use crate::outcome::Code;

impl Code {
    /// One paragraph: what a client program should do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::InvalidRequest => {
                "Do not repeat the request as it is. Correct it first: `detail` says what is \
                 wrong, and `errors` where."
            }
            Self::Unauthenticated => "Authenticate, then send the request again.",
            Self::CredentialRejected => {
                "Stop using this credential: repeating it does not help and may lock the account. \
                 Obtain a valid one first."
            }
            Self::Forbidden => {
                "Do not repeat the request. Ask the owner of the account for the permission, or \
                 use an account that has it."
            }
            Self::NotFound => {
                "Do not repeat the request. Check the id; if it was valid before, treat the \
                 resource as deleted."
            }
            Self::EndpointNotFound => {
                "Do not repeat the request. Compare the URL with the vendor's documentation: the \
                 client program has to be corrected."
            }
            Self::MethodNotAllowed => {
                "Do not repeat the request. The client program has to use another method."
            }
            Self::NotAcceptable => "Relax the request's `Accept` headers, then send it again.",
            Self::Gone => "Do not repeat the request. Remove references to the resource.",
            Self::UnsupportedMediaType => {
                "Send the body in a format that the endpoint accepts; check `Content-Type` and \
                 `Content-Encoding`."
            }
            Self::Unprocessable => {
                "Do not repeat the request as it is. Show `errors` to whoever entered the data: \
                 each entry names the field, where the vendor said so."
            }
            Self::Conflict => {
                "Read the current state, then decide whether the change is still wanted."
            }
            Self::RequestTimeout => "Send the request again, faster or in smaller parts.",
            Self::RequestTooLarge => {
                "Do not repeat the request as it is. Send less at once. The gateway's operator can \
                 raise its own limit, not the vendor's."
            }
            Self::TargetTooLong => "Move parameters into the body, if the vendor permits it.",
            Self::HeadersTooLarge => "Send fewer or shorter headers; delete old cookies.",
            Self::RateLimited => {
                "Wait `retry_after` seconds, then send the request again; send fewer requests at \
                 the same time. To let the gateway wait instead, send `Prefer: wait=N`."
            }
            Self::QuotaExhausted => {
                "Do not retry in a loop. If `retry_after` is given, schedule the request for that \
                 time; otherwise the plan has to be changed or credit has to be bought."
            }
            Self::AllowanceExhausted => {
                "Wait `retry_after` seconds, then send the request again. To let the gateway wait \
                 longer for a slot, send `Prefer: wait=N`."
            }
            Self::QueueFull => {
                "Send fewer requests at the same time; wait `retry_after` seconds before the next."
            }
            Self::ClientLimited => {
                "Wait `retry_after` seconds, then send the request again. If the limit is too low \
                 for the purpose, ask the gateway's operator."
            }
            Self::TransientConflict => "Send the same request again after some seconds.",
            Self::UpstreamMaintenance | Self::UpstreamHeld => {
                "Wait `retry_after` seconds, then send the request again. Postpone work that can \
                 wait."
            }
            Self::ConnectionsExhausted => {
                "Send the request again after a moment; it has not been sent to the vendor."
            }
            Self::UpstreamError | Self::UpstreamProtocol | Self::UpstreamTruncated => {
                "If `retryable` is true, send the request again after a growing pause, a few times \
                 at most. If `outcome_unknown` is true, read first whether it was carried out. If \
                 the error stays, give `request_id` and `upstream.reference` to support."
            }
            Self::UpstreamUnreachable => {
                "If `retryable` is true, send the request again after a growing pause. If \
                 `outcome_unknown` is true, read first whether it was carried out."
            }
            Self::UpstreamTls => "Repeating the request rarely helps. Tell the gateway's operator.",
            Self::UpstreamTimeout => {
                "If `outcome_unknown` is true, read first whether the request was carried out. If \
                 `retryable` is true, it may be sent again as it is."
            }
            Self::GatewayCredentialRejected => {
                "Do not repeat the request. Tell the gateway's operator, who has to renew the \
                 credential."
            }
            Self::RouteNotFound | Self::Misdirected => {
                "Do not repeat the request. Correct the URL in the client's configuration, or ask \
                 the gateway's operator for a route."
            }
            Self::UpgradeUnsupported => {
                "Do not repeat the request. Connect to the vendor without the gateway, if that is \
                 permitted."
            }
            Self::LoopDetected => {
                "Do not repeat the request. Tell the gateway's operator, who has to correct the \
                 upstream's URL."
            }
            Self::Draining => "Send the same request again at once, on a new connection.",
            Self::GatewayError => {
                "Do not repeat the request in a loop. Report it with its `request_id`."
            }
        }
    }
}
