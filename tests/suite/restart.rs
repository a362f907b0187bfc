//! Allowances outlive the process: kills, restarts and unusable state directories.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::arrivals::{Clocked, demand, worst};
use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::script::{Script, ok};
use crate::support::{problem, time};

fn with_state(url: &str, dir: &Path, state: &str, more: &str) -> String {
    let state = format!("state: {{ dir: {}, {state} }}\n", dir.display());
    format!("{}{state}", one_upstream(url, more))
}

#[test]
fn a_killed_process_spends_nothing_twice() {
    const LIMIT: usize = 40;
    const WINDOW: Duration = Duration::from_secs(2);
    let vendor = Clocked::start();
    let dir = tempfile::tempdir().unwrap();
    let allowance = format!(
        "allowances: {{ all: {{ limit: {LIMIT}/2s, spread: none }} }}\nwait: {{ default: 100ms }}"
    );
    let state = "shortest_window: 1s, first_start: unused";
    let yaml = with_state(&vendor.url(), dir.path(), state, &allowance);
    let began = time::now();
    for round in 0..8_u64 {
        let gateway = Gateway::start(&yaml);
        demand(&gateway, Duration::from_millis(150 + 170 * round % 800));
        gateway.signal("KILL");
    }
    let gateway = Gateway::start(&yaml);
    demand(&gateway, WINDOW * 2);
    let arrivals = vendor.arrivals();
    assert!(worst(&arrivals, WINDOW) <= LIMIT, "{}", worst(&arrivals, WINDOW));
    let windows = began.elapsed().as_secs_f64() / WINDOW.as_secs_f64();
    let used = arrivals.len() as f64 / (windows * LIMIT as f64);
    assert!(0.5 < used, "{} calls in {windows:.1} windows", arrivals.len());
}

#[test]
fn an_orderly_restart_keeps_what_was_spent_to_the_unit() {
    let vendor = Clocked::start();
    let dir = tempfile::tempdir().unwrap();
    let allowance = "allowances: { day: { limit: 3/day, resets: { zone: Pacific/Apia } } }\n\
                     wait: { default: 100ms }";
    let yaml = with_state(&vendor.url(), dir.path(), "first_start: unused", allowance);
    let first = Gateway::start(&yaml);
    assert_eq!([(); 2].map(|()| first.get("/v/a").status), [200; 2]);
    assert!(first.stop().success());
    // What it was told for the first start is no longer heard.
    let second = Gateway::start(&yaml);
    assert_eq!(second.get("/v/a").status, 200);
    let refused = problem::expect(&second.get("/v/a"), 429, "allowance_exhausted", "gateway");
    assert!(60 < refused["retry_after"].as_u64().unwrap());
    second.signal("KILL");
    let third = Gateway::start(&yaml);
    assert_eq!(third.get("/v/a").status, 429);
    assert_eq!(vendor.arrivals().len(), 3);
}

#[test]
fn what_is_not_on_record_counts_as_spent() {
    let script = Script::always(ok("ok"));
    let dir = tempfile::tempdir().unwrap();
    let allowance = "allowances: { all: { limit: 100/m } }\nwait: { default: 100ms }";
    let gateway = Gateway::start(&with_state(&script.url(), dir.path(), "", allowance));
    problem::expect(&gateway.get("/v/a"), 429, "allowance_exhausted", "gateway");
    let said = || gateway.logs().contains("not on record and counts as the whole allowance");
    time::until("the log says so", said);
    gateway.signal("KILL");
    let damaged = dir.path().join("allowances.journal");
    let mut text = std::fs::read(&damaged).unwrap();
    text[20] ^= 1;
    std::fs::write(&damaged, text).unwrap();
    let state = "first_start: unused";
    let gateway = Gateway::start(&with_state(&script.url(), dir.path(), state, allowance));
    problem::expect(&gateway.get("/v/a"), 429, "allowance_exhausted", "gateway");
    time::until("the log says so", || gateway.logs().contains("is damaged"));
}

#[test]
fn a_state_directory_that_cannot_be_used_stops_the_start() {
    let script = Script::always(ok("ok"));
    let dir = tempfile::tempdir().unwrap();
    let yaml = |state: &Path, limit: &str| {
        with_state(
            &script.url(),
            state,
            "",
            &format!("allowances: {{ all: {{ limit: {limit} }} }}"),
        )
    };
    let refused = |yaml: &str| {
        let file = dir.path().join("evenkeel.yaml");
        std::fs::write(&file, yaml).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--set", "listen.address=127.0.0.1:0"]);
        command.args(["--set", "admin.address=127.0.0.1:0", "-c"]).arg(&file).env_clear();
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).unwrap()
    };
    let used = dir.path().join("used");
    let _running = Gateway::start(&yaml(&used, "10/m"));
    assert!(refused(&yaml(&used, "10/m")).contains("in use by another process"));
    assert!(refused(&yaml(&dir.path().join("a/b"), "10/m")).contains("cannot be created"));
    let text = refused(&yaml(&dir.path().join("new"), "10/day"));
    assert!(text.contains("`all`") && text.contains("`state.first_start`"), "{text}");
    let text = refused(&yaml(Path::new("relative"), "10/m"));
    assert!(text.contains("is not an absolute path"), "{text}");
}

#[test]
fn nothing_is_granted_that_cannot_be_recorded() {
    let script = Script::always(ok("ok"));
    let dir = tempfile::tempdir().unwrap();
    let allowance = "allowances: { all: { limit: 500/3s, spread: none } }\nwait: { default: 1s }";
    let state = "shortest_window: 1s, first_start: unused";
    let yaml = with_state(&script.url(), dir.path(), state, allowance);
    // No file may grow beyond 1 KiB, which soon is not enough for the record of a busy window.
    let gateway = Gateway::start_in_shell("trap '' XFSZ; ulimit -f 2", &yaml);
    let mut refused = None;
    time::until("the disk is full", || {
        refused = Some(gateway.get("/v/a")).filter(|answer| answer.status != 200);
        refused.is_some()
    });
    let value = problem::expect(&refused.unwrap(), 429, "allowance_exhausted", "gateway");
    assert!(value["detail"].as_str().unwrap().contains("cannot be recorded"), "{value}");
    time::until("the log says so", || gateway.logs().contains("cannot be written"));
    // What has been settled is forgotten after a window, so that the record fits again.
    time::until("it is written again", || gateway.get("/v/a").status == 200);
}

#[test]
fn systemd_names_the_state_directory() {
    let script = Script::always(ok("ok"));
    let dir = tempfile::tempdir().unwrap();
    let yaml = one_upstream(&script.url(), "allowances: { all: { limit: 10/m } }");
    let gateway = Gateway::start(&yaml);
    time::until("it is warned of", || gateway.logs().contains("no `state.dir`"));
    let directory = dir.path().to_str().unwrap();
    let gateway = Gateway::start_with(&yaml, &[("STATE_DIRECTORY", directory)]);
    assert!(!gateway.logs().contains("no `state.dir`"));
    assert!(dir.path().join("allowances.journal").exists());
}
