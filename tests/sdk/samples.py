"""Errors as the vendors' public documentation shows them, by client: label, status, headers, body."""

import json

JSON = {"Content-Type": "application/json"}
XML = {"Content-Type": "application/xml"}


def error(label, status, body, **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    kind = XML if text.startswith("<") else JSON
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return label, status, {**kind, **named}, text


def openai_error(message, kind, code):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def s3_error(code, message):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
        "<Resource>/bucket/k</Resource><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    )


def dynamo_error(name, message):
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": message}


def google_error(status, reason, message):
    item = {"message": message, "domain": "global", "reason": reason}
    return {"error": {"code": status, "message": message, "errors": [item]}}


def anthropic_error(kind, message):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


OPENAI = [
    error("bad key", 401, openai_error("Incorrect API key provided: sk-test.", "invalid_request_error", "invalid_api_key")),
    error("unknown model", 404, openai_error("The model 'm' does not exist", "invalid_request_error", "model_not_found")),
    error(
        "rate limit",
        429,
        openai_error("Rate limit reached for m. Please try again in 20ms.", "requests", "rate_limit_exceeded"),
        retry_after_ms="20",
    ),
    error("quota", 429, openai_error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")),
    error("server error", 500, openai_error("The server had an error.", "server_error", None)),
]
ANTHROPIC = [
    error("bad key", 401, anthropic_error("authentication_error", "invalid x-api-key")),
    error("invalid", 400, anthropic_error("invalid_request_error", "max_tokens: must be greater than 0")),
    error("rate limit", 429, anthropic_error("rate_limit_error", "This request would exceed your rate limit."), retry_after="1"),
    error("overloaded", 529, anthropic_error("overloaded_error", "Overloaded")),
]
STRIPE = [
    error(
        "declined card",
        402,
        {
            "error": {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": "insufficient_funds",
                "message": "Your card has insufficient funds.",
            }
        },
    ),
    error("bad key", 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_1"}}),
    error(
        "rate limit",
        429,
        {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Request rate limit exceeded."}},
    ),
    error("server error", 500, {"error": {"type": "api_error", "message": "An error occurred."}}),
    error("maintenance page", 503, "<html><head><title>503</title></head><body><h1>Down for maintenance</h1></body></html>"),
]
GITHUB = [
    error("bad credential", 401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest", "status": "401"}),
    error("missing", 404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}),
    error(
        "validation",
        422,
        {
            "message": "Validation Failed",
            "errors": [{"resource": "Issue", "field": "title", "code": "missing_field"}],
            "documentation_url": "https://docs.github.com/rest",
        },
    ),
    error("server error", 500, {"message": "Server Error"}),
]
SLACK = [
    error("missing", 200, {"ok": False, "error": "channel_not_found"}),
    error("server error", 500, {"ok": False, "error": "internal_error"}),
]
TWILIO = [
    error(
        "bad number",
        400,
        {
            "code": 21211,
            "message": "The 'To' number +1 is not a valid phone number.",
            "more_info": "https://www.twilio.com/docs/errors/21211",
            "status": 400,
        },
    ),
    error("rate limit", 429, {"code": 20429, "message": "Too Many Requests", "more_info": "https://www.twilio.com/docs/errors/20429", "status": 429}),
]
S3 = [
    error("missing key", 404, s3_error("NoSuchKey", "The specified key does not exist.")),
    error("missing bucket", 404, s3_error("NoSuchBucket", "The specified bucket does not exist")),
    error("denied", 403, s3_error("AccessDenied", "Access Denied")),
    error("slow down", 503, s3_error("SlowDown", "Please reduce your request rate.")),
]
DYNAMODB = [
    error("condition", 400, dynamo_error("ConditionalCheckFailedException", "The conditional request failed")),
    error("no table", 400, dynamo_error("ResourceNotFoundException", "Requested resource not found")),
    error(
        "throughput",
        400,
        dynamo_error("ProvisionedThroughputExceededException", "The level of configured provisioned throughput was exceeded."),
    ),
]
GCS = [
    error("missing", 404, google_error(404, "notFound", "No such object: b/o")),
    error("forbidden", 403, google_error(403, "forbidden", "Anonymous caller does not have storage.objects.get access.")),
    error("rate limit", 429, google_error(429, "rateLimitExceeded", "The object exceeded the rate limit.")),
]
AZURE = [
    error("missing", 404, "<Error><Code>BlobNotFound</Code><Message>The specified blob does not exist.</Message></Error>", x_ms_error_code="BlobNotFound"),
    error("forbidden", 403, "<Error><Code>AuthorizationFailure</Code><Message>Not allowed.</Message></Error>", x_ms_error_code="AuthorizationFailure"),
    error("busy", 503, "<Error><Code>ServerBusy</Code><Message>The server is busy.</Message></Error>", x_ms_error_code="ServerBusy"),
]
OAUTH = [
    error("bad grant", 400, {"error": "invalid_grant", "error_description": "The grant has expired."}),
    error("bad client", 401, {"error": "invalid_client", "error_description": "Client authentication failed"}),
    error("other shape", 400, {"code": 17, "message": "The tenant is suspended"}),
    error("server error", 503, "<html><body><h1>Service Unavailable</h1></body></html>"),
]
GRPC = [("exhausted", "RESOURCE_EXHAUSTED", "Quota of reads exceeded"), ("missing", "NOT_FOUND", "No such order")]

BY_CLIENT = {
    "openai": OPENAI, "openai-node": OPENAI,
    "anthropic": ANTHROPIC, "anthropic-node": ANTHROPIC,
    "stripe": STRIPE, "stripe-node": STRIPE,
    "pygithub": GITHUB, "octokit": GITHUB,
    "slack": SLACK, "slack-node": SLACK,
    "twilio": TWILIO,
    "s3": S3, "aws-s3-node": S3,
    "dynamodb": DYNAMODB, "aws-dynamodb-node": DYNAMODB,
    "gcs": GCS, "azure": AZURE,
    "authlib": OAUTH, "requests_oauthlib": OAUTH,
    "grpc": GRPC,
}  # fmt: skip
