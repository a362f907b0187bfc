"""Calls vendors' errors through unmodified SDKs: directly, through the gateway with the vendor's profile, and through
the gateway in its default mode. With the profile the SDK raises the same class with the same words and code; in no mode
does an SDK take a failure for a success; and no call is sent more often than the SDK or the gateway alone would send it.

Usage: compare.py EVENKEEL NODE_MODULES [CLIENT…]
"""

import concurrent.futures
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

import clients
import samples

HERE = pathlib.Path(__file__).parent
EVENKEEL, MODULES = sys.argv[1], sys.argv[2]
# The gateway's own attempts, by default.
GATEWAY_ATTEMPTS = 4
# Some SDKs wait as long as they are told.
SECONDS_MAX = 40
PROFILES = {
    "openai": "openai", "openai-node": "openai", "anthropic": "anthropic", "anthropic-node": "anthropic",
    "stripe": "stripe", "stripe-node": "stripe", "pygithub": "github", "octokit": "github",
    "slack": "slack", "slack-node": "slack", "twilio": "twilio", "s3": "aws_s3", "aws-s3-node": "aws_s3",
    "dynamodb": "aws_dynamodb", "aws-dynamodb-node": "aws_dynamodb", "gcs": "google_cloud",
}  # fmt: skip


# Clients that retry and do not say so; README.md, "Clients that retry by themselves".
UNNUMBERED = ["pygithub", "octokit", "azure"]


class Vendor(http.server.ThreadingHTTPServer):
    """Answers every request with one response, and counts them."""

    daemon_threads = True

    def __init__(self, status, headers, body):
        self.response, self.requests = (status, headers, body.encode()), 0
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests += 1
        status, headers, body = self.server.response
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def log_message(self, *_):
        pass


class GrpcVendor:
    def __init__(self, code, details):
        import grpc

        vendor = self

        class Generic(grpc.GenericRpcHandler):
            def service(self, _):
                def call(_, context):
                    vendor.requests += 1
                    context.abort(getattr(grpc.StatusCode, code), details)

                return grpc.unary_unary_rpc_method_handler(call)

        self.requests = 0
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Generic()])
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()


class Gateway:
    """A gateway of its own for each call, so that no hold of one reaches the next."""

    def __init__(self, url, settings):
        self.port, admin = free_port(), free_port()
        upstream = {"url": url, "route": "/", **settings}
        config = {
            "version": 1,
            "listen": {"address": f"127.0.0.1:{self.port}"},
            "admin": {"address": f"127.0.0.1:{admin}"},
            "telemetry": {"log": {"level": "off"}},
            "shutdown": {"grace": "1s"},
            "upstreams": {"vendor": upstream},
        }
        self.file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        json.dump(config, self.file)
        self.file.flush()
        self.process = subprocess.Popen([EVENKEEL, "run", "-c", self.file.name], stderr=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            if self.process.poll() is not None:
                sys.exit(f"the gateway does not start: {self.process.stderr.read()}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        sys.exit("the gateway does not listen")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(client, base):
    """What the SDK raised, as class, words and code; `raised` is None for a success."""
    python = hasattr(clients, client)
    command = [sys.executable, HERE / "clients.py"] if python else ["node", HERE / "clients.mjs"]
    environment = {**os.environ, "SDK_MODULES": MODULES}
    try:
        run = subprocess.run([*command, client, base], capture_output=True, text=True, timeout=SECONDS_MAX, env=environment)
    except subprocess.TimeoutExpired:
        return {"raised": "(still waiting)"}
    lines = run.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {"raised": "?", "message": run.stderr}


def settings(client, mode):
    """The upstream's settings for a mode: with the vendor's profile if there is one, else with its shape only."""
    common = {"protocol": "http2"} if client == "grpc" else {}
    if client in UNNUMBERED:
        common["client_retries"] = True
    if mode == "problem":
        return common
    profile = PROFILES.get(client)
    return {**common, **({"use": profile} if profile else {"errors": "vendor"})}


def plain(result):
    """Words without what legitimately differs: ports, request ids."""
    message = re.sub(r"127\.0\.0\.1:\d+|port=\d+", "HOST", result.get("message") or "")
    return result["raised"], re.sub(r"RequestId:\S+|Time:\S+", "", message), result.get("code")


def vendor_of(client, sample):
    return GrpcVendor(*sample[1:]) if client == "grpc" else Vendor(*sample[1:])


def compare(client, sample):
    """One line of the table and the complaints about it."""
    results, sends = {}, {}
    for mode in ["direct", "vendor", "problem"]:
        vendor = vendor_of(client, sample)
        if mode == "direct":
            results[mode] = call(client, vendor.url)
        else:
            with Gateway(vendor.url, settings(client, mode)) as gateway:
                results[mode] = call(client, gateway.url)
        sends[mode] = vendor.requests
    complaints = []
    if plain(results["vendor"]) != plain(results["direct"]):
        complaints.append(f"with the profile: {plain(results['vendor'])}, direct: {plain(results['direct'])}")
    if results["problem"]["raised"] is None:
        complaints.append("a problem is taken for a success")
    allowed = max(sends["direct"], GATEWAY_ATTEMPTS)
    complaints += [f"{mode}: {sends[mode]} sends, direct {sends['direct']}" for mode in ["vendor", "problem"] if sends[mode] > allowed]
    cells = [client, sample[0]]
    cells += [f"{results[mode]['raised']} {results[mode].get('code') or ''}".strip() for mode in results]
    return cells + ["/".join(str(sends[mode]) for mode in sends)], complaints


OWN = {
    "allowance used up": {"allowances": {"all": "1/h"}, "wait": {"default": "0s"}},
    "vendor unreachable": {"retry": {"attempts": 1}},
}


def own(client, label):
    """Errors of the gateway itself, in the vendor's shape and as problems: both raise."""
    cells, complaints = [client, f"own: {label}", ""], []
    for mode in ["vendor", "problem"]:
        vendor = Vendor(200, samples.JSON, "{}") if label == "allowance used up" and client != "grpc" else None
        url = vendor.url if vendor else f"http://127.0.0.1:{free_port()}"
        with Gateway(url, {**settings(client, mode), **OWN[label]}) as gateway:
            if vendor:
                with socket.create_connection(("127.0.0.1", gateway.port)) as first:
                    first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    first.makefile("rb").read()
            result = call(client, gateway.url)
        cells.append(f"{result['raised']} {result.get('code') or ''}".strip())
        if result["raised"] is None:
            complaints.append(f"{mode}: an error of the gateway is taken for a success")
    return cells + [""], complaints


def main():
    wanted = sys.argv[3:] or list(samples.BY_CLIENT)
    jobs = [(compare, client, sample) for client in wanted for sample in samples.BY_CLIENT[client]]
    jobs += [(own, client, label) for client in wanted for label in OWN]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda job: job[0](*job[1:]), jobs))
    print("| client | error | direct | through its profile | as a problem | sends: direct/profile/problem |")
    print("| --- | --- | --- | --- | --- | --- |")
    for cells, _ in done:
        print("| " + " | ".join(cells) + " |")
    complaints = [f"{cells[0]}, {cells[1]}: {text}" for cells, texts in done for text in texts]
    print(f"\n{len(done)} comparisons, {len(complaints)} complaints", *complaints, sep="\n")
    sys.exit(bool(complaints))


main()
