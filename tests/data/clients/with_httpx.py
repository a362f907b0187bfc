"""Python `httpx` against one base URL; prints what it saw as one JSON list."""
import hashlib
import json
import sys

import httpx

UPLOAD = bytes(range(256)) * 1024


def seen(name, response, body):
    return {
        "name": name,
        "status": response.status_code,
        "headers": {key.lower(): value for key, value in response.headers.items()},
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": body.decode("latin-1") if len(body) < 4096 else "",
    }


def chunks():
    for start in range(0, len(UPLOAD), 4096):
        yield UPLOAD[start : start + 4096]


def main(base):
    rows = []
    with httpx.Client(timeout=20, trust_env=False) as client:

        def case(name, method, path, **more):
            response = client.request(method, base + path, **more)
            rows.append(seen(name, response, response.content))

        case("success", "GET", "/plain/success?q=a%20b&q=c", headers={"X-Probe": "1"})
        case("upload", "POST", "/plain/upload", content=UPLOAD)
        case("chunked", "POST", "/plain/upload", content=chunks())
        with client.stream("GET", base + "/plain/stream") as response:
            rows.append(seen("stream", response, b"".join(response.iter_raw())))
        case("head", "HEAD", "/plain/success")
        case("missing", "GET", "/plain/missing")
        case("limited", "GET", "/limited/limited")
        case("down", "GET", "/down/down")
    print(json.dumps(rows))


main(sys.argv[1])
