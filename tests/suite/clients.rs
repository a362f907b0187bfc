//! Clients that people use, through the gateway and directly: curl, Python's `requests` and
//! `httpx`, Node's `fetch`. Each receives the same status, headers and bytes either way, except
//! that errors become the documented problem.
//!
//! Needs `curl`, `python3` with `venv`, and `node` of version 18 or later. The Python packages
//! are installed into a folder of their own below `target` on the first run. Nothing is skipped:
//! what is missing fails the test with the command that installs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::problem;
use crate::support::script::{Act, Script, Seen, raw, reply};
use crate::support::source::root;
use crate::support::wire::{Answer, End};

/// What one client received.
#[derive(Clone, Debug)]
struct Saw {
    status: u16,
    headers: BTreeMap<String, String>,
    bytes: u64,
    /// A digest of the body, or the body itself.
    print: String,
    /// The body, when it is short.
    text: String,
}

type Cases = BTreeMap<String, Saw>;

#[test]
fn curl_receives_the_same() {
    compare(with_curl);
}

#[test]
fn curl_over_http2_receives_the_same() {
    let upstream = echo();
    let gateway = gateway(&upstream);
    let url = format!("http://{}/plain/success?q=a%20b&q=c", gateway.address);
    let prior = ["--silent", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", "20"];
    let wanted =
        ["--write-out", "%{http_version} %{http_code} %{size_download}", "-o", "/dev/null"];
    let output =
        run(Command::new("curl").args(prior).args(wanted).arg(url), "apt-get install curl");
    assert_eq!(output, format!("2 200 {}", SUCCESS.len()));
}

#[test]
fn python_requests_receives_the_same() {
    compare(|base| script_client(&python(), "with_requests.py", base));
}

#[test]
fn python_httpx_receives_the_same() {
    compare(|base| script_client(&python(), "with_httpx.py", base));
}

#[test]
fn node_fetch_receives_the_same() {
    compare(|base| script_client(Path::new("node"), "with_fetch.mjs", base));
}

const SUCCESS: &str = "{\"said\" :  \"as it is\"}\n";

/// Cases whose responses pass unchanged.
const UNTOUCHED: [&str; 6] = ["success", "upload", "expect", "chunked", "stream", "head"];

/// Headers that matter to a client.
const MATTER: [&str; 8] = [
    "content-type",
    "content-length",
    "etag",
    "set-cookie",
    "x-probed",
    "cache-control",
    "x-many",
    "location",
];

/// Runs a client directly and through the gateway, and compares what it saw.
#[track_caller]
fn compare(client: impl Fn(&str) -> Cases) {
    let upstream = echo();
    let direct = client(&upstream.url());
    let gateway = gateway(&upstream);
    let through = client(&format!("http://{}", gateway.address));
    assert_eq!(direct.keys().collect::<Vec<_>>(), through.keys().collect::<Vec<_>>());
    for (name, direct) in &direct {
        let through = &through[name];
        if UNTOUCHED.contains(&name.as_str()) {
            same(name, direct, through);
        }
    }
    is_problem(&through["missing"], 404, "not_found");
    is_problem(&through["limited"], 429, "rate_limited");
    // A hold is a little longer than the vendor asks for, never shorter.
    let wait = &through["limited"].headers["retry-after"];
    assert!(["7", "8"].contains(&wait.as_str()), "{wait}");
    is_problem(&through["down"], 503, "upstream_maintenance");
    assert_eq!(direct["missing"].status, 404, "the vendor's own errors are what they were");
    assert_eq!((direct["limited"].status, direct["down"].status), (429, 503));
}

#[track_caller]
fn same(name: &str, direct: &Saw, through: &Saw) {
    assert_eq!(direct.status, 200, "{name}: {direct:?}");
    assert_eq!(through.status, direct.status, "{name}: {through:?}");
    assert_eq!((through.bytes, &through.print), (direct.bytes, &direct.print), "{name}");
    for header in MATTER {
        let (one, other) = (direct.headers.get(header), through.headers.get(header));
        assert_eq!(other, one, "{name}: {header}");
    }
    assert!(through.headers.contains_key("evenkeel-request-id"), "{name} went through us");
}

#[track_caller]
fn is_problem(saw: &Saw, status: u16, code: &str) {
    let headers = saw.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let answer = Answer {
        status: saw.status,
        headers,
        body: saw.text.clone().into_bytes(),
        trailers: Vec::new(),
        interim: Vec::new(),
        end: End::Whole,
    };
    problem::expect(&answer, status, code, "upstream");
}

/// Three upstreams with one address, so that a hold on one does not affect the others.
fn gateway(upstream: &Script) -> Gateway {
    let url = upstream.url();
    let more = "    wait: { default: 0s }\n    retry: { attempts: 1 }\n";
    let entry =
        |name: &str| format!("  {name}:\n    url: {url}/{name}\n    route: /{name}\n{more}");
    Gateway::start(&format!("upstreams:\n{}{}{}", entry("plain"), entry("limited"), entry("down")))
}

fn echo() -> Script {
    Script::answering(|seen| match seen.target().split('?').next().unwrap_or_default() {
        "/plain/success" if seen.line.starts_with("HEAD") => vec![raw(success_head())],
        "/plain/success" => vec![raw(success_head() + SUCCESS)],
        "/plain/upload" => vec![uploaded(seen)],
        "/plain/stream" => streamed(),
        "/limited/limited" => {
            vec![error(
                "429 Too Many Requests",
                "{\"error\":\"too many requests\"}",
                "Retry-After: 7",
            )]
        }
        "/down/down" => {
            let text = "{\"error\":\"down for maintenance\"}";
            vec![error("503 Service Unavailable", text, "Retry-After: 30")]
        }
        _ => vec![error("404 Not Found", "{\"error\":\"no such thing\"}", "X-A: 1")],
    })
}

fn success_head() -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nETag: \"e\"\r\n\
         Set-Cookie: a=1\r\nX-Probed: yes\r\nCache-Control: no-store\r\nX-Many: 1\r\n\r\n",
        SUCCESS.len()
    )
}

/// Sends the uploaded bytes back.
fn uploaded(seen: &Seen) -> Act {
    reply("200 OK", &["Content-Type: application/octet-stream"], &seen.body)
}

fn streamed() -> Vec<Act> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = |text: &str| raw(format!("{:x}\r\n{text}\r\n", text.len()));
    let pause = || Act::Wait(Duration::from_millis(20));
    vec![raw(head), chunk("first "), pause(), chunk("second "), pause(), raw("0\r\n\r\n")]
}

fn error(status: &str, body: &str, header: &str) -> Act {
    reply(status, &["Content-Type: application/json", header], body.as_bytes())
}

/// A client that prints one JSON list of what it saw.
fn script_client(program: &Path, script: &str, base: &str) -> Cases {
    let script = root().join("tests/data/clients").join(script);
    let mut command = Command::new(program);
    command.arg(script).arg(base).env("NO_PROXY", "*").env("no_proxy", "*");
    let output = run(&mut command, "apt-get install python3 python3-venv nodejs");
    let rows: Vec<Value> = serde_json::from_str(&output).expect("a JSON list");
    rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), saw(row))).collect()
}

fn saw(row: &Value) -> Saw {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let headers = row["headers"].as_object().unwrap();
    Saw {
        status: u16::try_from(row["status"].as_u64().unwrap()).unwrap(),
        headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        bytes: row["bytes"].as_u64().unwrap(),
        print: text(&row["sha256"]),
        text: text(&row["text"]),
    }
}

fn with_curl(base: &str) -> Cases {
    let folder = tempfile::tempdir().unwrap();
    let upload: Vec<u8> = (0..=255).cycle().take(256 << 10).collect();
    std::fs::write(folder.path().join("upload"), upload).unwrap();
    let script = root().join("tests/data/clients/with_curl.sh");
    let mut command = Command::new("sh");
    command.arg(script).arg(base).arg(folder.path());
    run(&mut command, "apt-get install curl");
    let names =
        ["success", "upload", "expect", "chunked", "stream", "head", "missing", "limited", "down"];
    names.map(|name| (name.to_owned(), curl_saw(folder.path(), name))).into()
}

fn curl_saw(folder: &Path, name: &str) -> Saw {
    let head = std::fs::read_to_string(folder.join(format!("{name}.head"))).unwrap();
    let body = if name == "head" {
        // curl --head prints the head as its output.
        Vec::new()
    } else {
        std::fs::read(folder.join(format!("{name}.body"))).unwrap()
    };
    // Interim responses precede the final head.
    let last = head.trim_end().rsplit("\r\n\r\n").next().unwrap();
    let mut lines = last.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let header = |(name, value): (&str, &str)| (name.to_lowercase(), value.trim().to_owned());
    let text = String::from_utf8_lossy(&body).into_owned();
    let print = body.iter().map(|byte| char::from(*byte)).collect();
    let bytes = u64::try_from(body.len()).unwrap();
    Saw { status, headers: fields.map(header).collect(), bytes, print, text }
}

/// Python with both packages, installed once below `target`.
fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients");
        let python = home.join("bin/python");
        let imports = ["-c", "import requests, httpx"];
        let ready = Command::new(&python).args(imports).output();
        if !ready.is_ok_and(|output| output.status.success()) {
            let venv = "apt-get install python3 python3-venv";
            run(Command::new("python3").args(["-m", "venv"]).arg(&home), venv);
            let pip = ["-m", "pip", "install", "--quiet", "requests==2.32.5", "httpx==0.28.1"];
            run(Command::new(&python).args(pip), "pip install requests httpx, with a network");
        }
        python
    });
    python.clone()
}

/// What a command prints. A failure names the command that installs what is missing.
#[track_caller]
fn run(command: &mut Command, remedy: &str) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}; install it: {remedy}"),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}\nif it is missing: {remedy}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_clients_agree_without_a_gateway() {
    let upstream = echo();
    let seen = [
        with_curl(&upstream.url()),
        script_client(&python(), "with_requests.py", &upstream.url()),
        script_client(&python(), "with_httpx.py", &upstream.url()),
        script_client(Path::new("node"), "with_fetch.mjs", &upstream.url()),
    ];
    for cases in &seen {
        for (name, status, bytes) in [
            ("success", 200, 23),
            ("upload", 200, 256 << 10),
            ("chunked", 200, 256 << 10),
            ("stream", 200, 13),
            ("head", 200, 0),
            ("missing", 404, 25),
            ("limited", 429, 29),
            ("down", 503, 32),
        ] {
            let saw = &cases[name];
            assert_eq!((saw.status, saw.bytes), (status, bytes), "{name}: {saw:?}");
        }
    }
}
