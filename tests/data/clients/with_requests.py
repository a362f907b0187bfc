"""Python `requests` against one base URL; prints what it saw as one JSON list."""
import hashlib
import json
import sys

import requests

UPLOAD = bytes(range(256)) * 1024


def seen(name, response, body):
    headers = {key.lower(): value for key, value in response.headers.items()}
    return {
        "name": name,
        "status": response.status_code,
        "headers": headers,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "text": body.decode("latin-1") if len(body) < 4096 else "",
    }


def chunks():
    for start in range(0, len(UPLOAD), 4096):
        yield UPLOAD[start : start + 4096]


def main(base):
    session = requests.Session()
    rows = []

    def case(name, method, path, **more):
        response = session.request(method, base + path, timeout=20, **more)
        rows.append(seen(name, response, response.content))

    case("success", "GET", "/plain/success?q=a%20b&q=c", headers={"X-Probe": "1"})
    case("upload", "POST", "/plain/upload", data=UPLOAD)
    case("chunked", "POST", "/plain/upload", data=chunks())
    with session.get(base + "/plain/stream", stream=True, timeout=20) as response:
        rows.append(seen("stream", response, b"".join(response.iter_content(None))))
    case("head", "HEAD", "/plain/success")
    case("missing", "GET", "/plain/missing")
    case("limited", "GET", "/limited/limited")
    case("down", "GET", "/down/down")
    print(json.dumps(rows))


main(sys.argv[1])
