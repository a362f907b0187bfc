//! What `auto` takes an error to mean: pairs of a meaning and the look-alikes beside it.

use serde_json::json;

use super::*;

fn message(status: u16, sentence: &str) -> Classification {
    classified("auto", status, &[], &json!({ "message": sentence }).to_string())
}

fn coded(status: u16, code: &str, sentence: &str) -> Classification {
    classified("auto", status, &[], &json!({ "code": code, "message": sentence }).to_string())
}

#[test]
fn a_failed_part_of_the_vendor_is_not_the_callers_fault() {
    let rows = [
        "Key not found in cache",
        "Invalid token < in JSON at position 0",
        "Unexpected token < in JSON",
        "Authentication failed for user postgres",
        "FATAL: password authentication failed for user \"app\"",
        "Login failed. SQLSTATE[28000]: cannot connect",
        "Invalid credentials for database user",
        "Token expired while calling upstream service",
        "Backend responded with 401 Unauthorized",
        "Unauthorized access to session store",
        "bad credentials file",
        "JWT secret is invalid",
        "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
        "Value cannot be null. (Parameter 'key')",
        "Key must not be null",
        "Missing argument",
        "Invalid argument supplied for foreach()",
        "Argument 1 passed to render() must be of the type string, null given",
        "java.lang.IllegalArgumentException: Invalid UUID string",
        "Missing required configuration key",
        "Could not find driver",
        "No handler found",
        "Validation of response from backend failed",
    ];
    for status in [500, 502, 503] {
        for row in rows {
            let found = message(status, row);
            let got = (found.code, found.remedy);
            assert_eq!(got, (UpstreamError, Remedy::Backoff), "{status} {row}");
        }
    }
    for status in [502, 503] {
        assert_eq!(message(status, "Unauthorized").code, UpstreamError);
    }
    let code = coded(500, "AuthenticationFailed", "The database refused the password.");
    assert_eq!(code.code, UpstreamError);
}

#[test]
fn a_fault_of_the_caller_is_final_under_any_status() {
    let (key, input) = (Unauthenticated, InvalidRequest);
    let rows = [
        (500, "Bad_Key", "The key is wrong", key),
        (500, "", "Authentication token has expired. Refresh your tokens.", key),
        (500, "", "Invalid username or password", key),
        (500, "", "The API key you provided is invalid.", key),
        (500, "", "Login failed.", key),
        (429, "", "Invalid API key", key),
        (429, "", "Incorrect API key provided: sk-12.", key),
        (502, "", "Your access token is invalid or expired", key),
        (503, "invalid_api_key", "Invalid API key", key),
        (503, "invalid_api_key", "", key),
        (429, "validation_failed", "email is required", input),
        (502, "invalid_request", "amount must be positive", input),
        (503, "ValidationError", "amount must be positive", input),
        (500, "INVALID_ARGUMENT", "Bad order.", input),
        (500, "FAILED_PRECONDITION", "The order was sent.", input),
        (500, "PERMISSION_DENIED", "You may not read this", Forbidden),
        (500, "ALREADY_EXISTS", "Such an order is there.", Conflict),
        (500, "", "limit: invalid", input),
        (500, "", "Missing required parameter: amount", input),
    ];
    for (status, code, sentence, expected) in rows {
        let found = coded(status, code, sentence);
        let got = (found.code, found.remedy, found.hold);
        assert_eq!(got, (expected, Remedy::Final, None), "{status} {code} {sentence}");
    }
    let throttled = [
        (429, "validation_failed", "You have exceeded the request limit; email is required."),
        (429, "invalid_request", "Slow."),
        (429, "invalid_token", "Too many attempts with this token."),
        (429, "", "The limit of this API key is reached."),
        (429, "", "email is required"),
    ];
    for (status, code, sentence) in throttled {
        let found = coded(status, code, sentence);
        assert_eq!(found.code, RateLimited, "{status} {code} {sentence}");
    }
    let after = [("retry-after", "5")];
    let body = r#"{"code":"invalid_api_key"}"#;
    assert_eq!(classified("auto", 429, &after, body).code, RateLimited);
    assert_eq!(classified("auto", 503, &after, body).code, UpstreamMaintenance);
}

#[test]
fn a_soap_fault_of_the_client_is_final() {
    let fault = |code: &str, sentence: &str| {
        format!(
            r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
            {code}<faultstring>{sentence}</faultstring><detail><d:code>DEPOT</d:code></detail>
            </s:Fault></s:Body></s:Envelope>"#
        )
    };
    let (client, server) = ("<faultcode>s:Client</faultcode>", "<faultcode>s:Server</faultcode>");
    let sender = "<Code><Value>s:Sender</Value><Subcode><Value>d:x</Value></Subcode></Code>";
    let rows = [
        (client, "The depot is closed today.", InvalidRequest),
        (sender, "The depot is closed today.", InvalidRequest),
        (client, "Too many requests.", RateLimited),
        (server, "The depot is closed today.", UpstreamError),
        (client, "An internal error has happened.", UpstreamError),
        (client, "The depot is closed. Try again in 20 seconds.", UpstreamError),
    ];
    for (code, sentence, expected) in rows {
        let found = classified("auto", 500, &[], &fault(code, sentence));
        let last = expected == InvalidRequest;
        let got = (found.code, found.remedy == Remedy::Final);
        assert_eq!(got, (expected, last), "{code} {sentence}");
    }
}

#[test]
fn a_limit_of_a_thing_is_not_a_limit_of_calls() {
    let mut wrong = Vec::new();
    let codes = [
        "LEAVE_REQUEST_LIMIT_EXCEEDED",
        "FRIEND_REQUEST_LIMIT_REACHED",
        "API_KEY_LIMIT_REACHED",
        "CALL_DURATION_LIMIT_EXCEEDED",
        "REQUEST_FIELDS_LIMIT_EXCEEDED",
        "TOO_MANY_REQUEST_ITEMS",
        "FX_RATE_LIMIT_EXCEEDED",
        "CONCURRENT_EDIT_LIMIT_EXCEEDED",
        "DAILY_DOSE_LIMIT_EXCEEDED",
        "MAX_CREDIT_EXCEEDED",
        "RATE_PLAN_LIMIT_REACHED",
        "COUPON_USAGE_LIMIT_REACHED",
        "PHONE_CALL_LIMIT_REACHED",
        "ACCESS_TOKEN_LIMIT_EXCEEDED",
        "MINUTE_BOOK_LIMIT_EXCEEDED",
        "MONTHLY_PREMIUM_LIMIT_EXCEEDED",
        "MaxConcurrentStreamLimitReached",
    ];
    for code in codes {
        for status in [400, 403, 409, 500] {
            let found = coded(status, code, "The value is not allowed here.");
            if matches!(found.code, RateLimited | QuotaExhausted) || found.hold.is_some() {
                wrong.push(format!("{status} {code}"));
            }
        }
    }
    let sentences = [
        "Too many calls to function f in your script",
        "The function call limit is exceeded.",
        "phone call limit reached",
        "concurrent viewer limit reached",
        "Concurrent editing limit exceeded: 5 users edit this document",
        "daily dose limit reached",
        "The capital call limit is exceeded.",
        "rate plan limit reached",
        "You have reached the rate plan limit.",
        "Coupon usage limit exceeded.",
        "You have exceeded your leave request limit.",
        "Maximum friend requests reached",
        "The system call rate was too high in this sandbox.",
        "The heart rate is too high.",
        "No credits were found for this film.",
        "The vehicle must slow down here.",
        "All rooms of this hour are used up.",
        "No more appointments this hour.",
        "Flood control gates of this river are closed.",
        "Only 10 rooms per hour are allowed.",
        "The requester is limited.",
        "Concurrent users exceeded.",
        "The access request limit is exceeded.",
        "The minute entry limit is exceeded.",
    ];
    for sentence in sentences {
        for status in [400, 403, 409, 500] {
            let found = message(status, sentence);
            if matches!(found.code, RateLimited | QuotaExhausted) || found.hold.is_some() {
                wrong.push(format!("{status} {sentence}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn codes_of_limits_of_calls_throttle_under_any_status() {
    let codes = [
        "MINUTE_CALL_LIMIT_EXCEEDED",
        "API_RATE_LIMIT_EXCEEDED",
        "USER_REQUEST_LIMIT_REACHED",
        "QpsLimitForAppkeyAndApi",
        "ConcurrentRequestLimitExceeded",
        "REQUESTS_PER_SECOND_LIMIT_EXCEEDED",
        "TooManyRequestsException",
        "policies.ratelimit.SpikeArrestViolation",
        "ERR_TOO_MANY_REQUESTS",
    ];
    for code in codes {
        for status in [400, 403, 500] {
            let found = coded(status, code, "Not now.");
            assert_eq!(found.code, RateLimited, "{status} {code}");
        }
    }
    // A wait confirms what the code alone leaves open.
    let body = r#"{"code":"GEO_RATE_LIMIT_EXCEEDED","message":"Not now.","retry_after":5}"#;
    assert_eq!(classified("auto", 403, &[], body).code, RateLimited);
    assert_eq!(coded(429, "FX_RATE_LIMIT_EXCEEDED", "Not now.").code, RateLimited);
}

#[test]
fn natural_sentences_state_a_throttle() {
    let mut wrong = Vec::new();
    let rows = [
        "This minute's requests are used up. Your quota renews in 20 seconds.",
        "You have used all calls of this hour; the limit resets in 15 minutes.",
        "Hourly request allowance spent.",
        "The calls allowed per minute are exhausted.",
        "You used up this hour's requests.",
        "You have used up your calls for this hour.",
        "Calls for this minute are used up.",
        "No requests left in this minute.",
        "No more calls this hour.",
        "You are calling us too often.",
        "Please slow down.",
        "Slow down, you are going too fast.",
        "You've been rate limited.",
        "Rate limited.",
        "Throttled.",
        "Request rate too high.",
        "Request rate is large.",
        "Requests per second exceeded.",
        "Exceeded requests per minute.",
        "You exceeded 10 requests per second.",
        "Only 10 requests per second are allowed.",
        "At most 10 calls per minute are permitted.",
        "Maximum of 10 requests per second exceeded.",
        "API limit reached.",
        "Call volume exceeded.",
        "Call frequency too high.",
        "Access frequency limited.",
        "Request was throttled.",
        "Requests throttled.",
        "Throttling: try later.",
        "Flood control exceeded.",
        "Flood wait of 30 seconds.",
        "Spike arrest violation. Allowed rate: 10ps",
        "Traffic limit exceeded.",
        "Too many simultaneous connections.",
        "Maximum concurrent requests reached.",
        "Number of requests per minute is over the limit.",
        "You made 120 requests in one minute; 100 are allowed.",
        "Too many calls to this ad-account.",
        "Your request limit is exceeded.",
        "요청이 너무 많습니다",
        "Çok fazla istek.",
    ];
    for row in rows {
        for status in [403, 500] {
            if message(status, row).code != RateLimited {
                wrong.push(format!("{status} {row}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn natural_sentences_state_a_used_up_quota() {
    let mut wrong = Vec::new();
    let rows = [
        "Out of credits.",
        "You are out of credits",
        "No credits left.",
        "Your account has no remaining credits.",
        "You have no more credits.",
        "Subscription quota exhausted.",
        "Your trial calls are used up.",
        "Free plan limit reached: 500 requests/day.",
        "Your daily limit is reached.",
        "Daily request limit exceeded.",
        "You've hit your monthly usage cap.",
        "This month's calls are used up.",
    ];
    for row in rows {
        for status in [403, 429] {
            if message(status, row).code != QuotaExhausted {
                wrong.push(format!("{status} {row}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_device_that_polls_waits_alone() {
    let pending = r#"{"error":"authorization_pending","interval":7}"#;
    let found = classified("auto", 400, &[], pending);
    let stated = Wait { span: seconds(7), basis: Basis::Upstream };
    assert_eq!((found.code, found.hold, found.wait), (InvalidRequest, None, Some(stated)));
    assert_eq!(found.remedy, Remedy::After(seconds(7)));
    let fast = classified("auto", 400, &[], r#"{"error":"slow_down"}"#);
    assert_eq!((fast.code, fast.hold, fast.remedy), (InvalidRequest, None, Remedy::Backoff));
    // The client polls, we do not.
    assert_eq!((found.processing, fast.processing), (Processing::Processed, Processing::Processed));
    let other =
        classified("auto", 400, &[], r#"{"code":"SlowDown","message":"Reduce your rate."}"#);
    assert_eq!(other.code, RateLimited);
    let grant = classified("auto", 400, &[], r#"{"error":"invalid_grant"}"#);
    assert_eq!((grant.code, grant.remedy), (InvalidRequest, Remedy::Final));
}

#[test]
fn a_wait_beside_a_conflict_or_a_large_body_helps() {
    let running = r#"{"message":"Another operation is in progress; try again in 5 seconds"}"#;
    let found = classified("auto", 409, &[], running);
    assert_eq!((found.code, found.remedy), (TransientConflict, Remedy::After(seconds(5))));
    assert_eq!(found.processing, Processing::Unknown);
    let taken = classified("auto", 409, &[], r#"{"message":"The name is taken."}"#);
    assert_eq!((taken.code, taken.remedy), (Conflict, Remedy::Final));
    let large = classified("auto", 413, &[("retry-after", "30")], "");
    assert_eq!((large.code, large.remedy), (RequestTooLarge, Remedy::After(seconds(30))));
    assert_eq!(classified("auto", 413, &[], "").remedy, Remedy::Final);
}

#[test]
fn a_form_states_an_oauth_problem() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "oauth_problem=rate%20limit%20exceeded&oauth_problem_advice=please%20wait";
    assert_eq!(classified("auto", 401, &form, body).code, RateLimited);
    let expired = "oauth_problem=token_expired&oauth_problem_advice=renew%20it";
    assert_eq!(classified("auto", 401, &form, expired).code, Unauthenticated);
}
