//! What an operator uses: signals, probes, metrics, image defaults.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::script::{Act, Script, ok};
use crate::support::time;
use crate::support::wire::{Connection, request};

/// The response of the admin listener to a GET with these headers.
#[track_caller]
fn admin(gateway: &Gateway, path: &str, headers: &[(&str, &str)]) -> (String, String) {
    let mut connection = Connection::open(gateway.admin);
    connection.send(&request("GET", path, headers, b""));
    let answer = connection.answer();
    assert_eq!(answer.status, 200, "{}", answer.text());
    (answer.header("content-type").unwrap().to_owned(), answer.text())
}

#[test]
fn unused_signals_are_logged_and_do_not_end_the_process() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    for name in ["USR1", "USR2"] {
        gateway.signal(name);
        time::until("the signal is logged", || gateway.logs().contains(&format!("SIG{name}")));
        assert_eq!(gateway.get("/v/a").text(), "ok");
    }
    assert!(gateway.stop().success());
}

#[test]
fn repeated_signals_within_a_second_count_once_and_uploads_finish() {
    let slow = [vec![Act::Wait(Duration::from_millis(1200))], ok("late")].concat();
    let script = Script::always(slow);
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let mut upload = gateway.connect();
    upload.send(b"POST /v/up HTTP/1.1\r\nHost: g\r\nContent-Length: 10\r\n\r\nhello");
    let mut busy = gateway.connect();
    busy.send(&request("GET", "/v/a", &[], b""));
    script.await_arrivals(1);
    for name in ["TERM", "TERM", "INT"] {
        gateway.signal(name);
        std::thread::sleep(Duration::from_millis(150));
    }
    upload.send(b"world");
    for connection in [&mut busy, &mut upload] {
        let answer = connection.answer();
        assert_eq!((&*answer.text(), answer.header("connection")), ("late", Some("close")));
    }
    assert!(gateway.stopped().success(), "it had drained");
}

#[test]
fn responses_announce_the_close_during_the_shutdown_delay() {
    let script = Script::always(ok("ok"));
    let yaml = one_upstream(&script.url(), "") + "shutdown: { delay: 2s }\n";
    let gateway = Gateway::start(&yaml);
    let mut kept = gateway.connect();
    kept.send(&request("GET", "/v/a", &[], b""));
    assert_eq!(kept.answer().header("connection"), None);
    gateway.signal("TERM");
    time::until("it is not ready", || gateway.logs().contains("no longer ready"));
    kept.send(&request("GET", "/v/a", &[], b""));
    let answer = kept.answer();
    assert_eq!((&*answer.text(), answer.header("connection")), ("ok", Some("close")));
    assert_eq!(gateway.get("/v/b").header("connection"), Some("close"));
    assert!(gateway.stopped().success());
}

#[test]
fn the_admin_listener_answers_probes_beside_many_idle_connections() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let idle: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(gateway.admin).unwrap()).collect();
    let start = time::now();
    for path in ["/livez", "/readyz", "/metrics"] {
        admin(&gateway, path, &[]);
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    drop(idle);
}

#[test]
fn metrics_have_the_format_that_accept_prefers() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    gateway.get("/v/a");
    let (kind, text) = admin(&gateway, "/metrics", &[("Accept", "text/plain")]);
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(text.contains("# TYPE evenkeel_upstream_attempts_total counter\n"), "{text}");
    assert!(!text.contains("# EOF"));
    assert!(text.contains("\nprocess_cpu_seconds_total "), "{text}");
    let (kind, text) = admin(&gateway, "/metrics", &[]);
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(text.contains("# TYPE evenkeel_upstream_attempts counter\n"));
    assert!(text.ends_with("# EOF\n"));
    let port = script.address.port();
    let sent = format!("server_address=\"127.0.0.1\",server_port=\"{port}\"");
    assert!(text.contains(&sent), "{text}");
    for label in ["http_route=\"/v\"", "url_scheme=\"http\"", "http_request_method=\"GET\""] {
        assert!(text.contains(label), "no {label} in {text}");
    }
}

/// The exit status of `healthcheck` in this environment.
fn probe(flags: &[&str], variables: &[(&str, &str)]) -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("healthcheck").args(flags).env_clear().envs(variables.iter().copied());
    command.stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn a_healthcheck_asks_where_run_listens() {
    let script = Script::always(ok("ok"));
    let gateway = Gateway::start(&one_upstream(&script.url(), ""));
    let address = gateway.admin.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evenkeel.yaml");
    std::fs::write(
        &file,
        format!(
            "admin: {{ address: '{address}' }}\nupstreams: {{ v: {{ url: http://a.example }} }}\n"
        ),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    assert!(probe(&["--admin", &address], &[]));
    assert!(probe(&["-c", file], &[]));
    assert!(probe(&["--config", file, "--config", file], &[]));
    assert!(probe(&["--set", &format!("admin.address={address}")], &[]));
    assert!(probe(&[], &[("EVENKEEL__ADMIN__ADDRESS", &address)]));
    assert!(probe(&[], &[("EVENKEEL_CONFIG", file)]));
    let wildcard = format!("admin.address=0.0.0.0:{}", gateway.admin.port());
    assert!(probe(&["--set", &wildcard], &[]));
    assert!(!probe(&["--set", "admin.address=127.0.0.1:1"], &[]));
    assert!(!probe(&["-c", "nowhere.yaml"], &[("EVENKEEL__ADMIN__ADDRESS", &address)]));
}

#[test]
fn a_file_overrides_the_defaults_of_an_image() {
    let image =
        std::fs::read_to_string(crate::support::source::root().join("deploy/Containerfile"))
            .unwrap();
    let given: Vec<(&str, &str)> =
        image.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('=')).collect();
    let shown = |yaml: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.yaml");
        std::fs::write(&file, format!("{yaml}\nupstreams: {{ v: {{ url: http://a.example }} }}\n"))
            .unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["config", "show", "-c"]).arg(&file).env_clear();
        let shown = command.envs(given.iter().copied()).output().unwrap();
        String::from_utf8(shown.stdout).unwrap()
    };
    assert!(shown("").contains("0.0.0.0:8080"), "the image serves beyond its own loopback");
    let text = shown("listen: { address: '127.0.0.1:7000' }");
    assert!(text.contains("127.0.0.1:7000") && !text.contains("0.0.0.0:8080"), "{text}");
}
