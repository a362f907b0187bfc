//! What the whole room promises, through `load`.

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::policy::dialect::{Dialect, Extract, Replay, Rule, When};
use crate::policy::problem::Code;

/// A dialect room with just enough sense to be asked.
pub(super) const DIALECTS: Dialects = Dialects {
    builtin: |name| ["auto", "droplink", "wordbee"].contains(&name).then(|| Arc::new(plain(name))),
    names: || ["auto", "droplink", "wordbee"].map(str::to_owned).to_vec(),
    compile,
};

fn plain(name: &str) -> Dialect {
    let attempt_timeout = (name == "droplink").then_some(std::time::Duration::from_secs(60));
    Dialect {
        name: name.into(),
        guesses: name == "auto",
        documentation: None,
        support: None,
        attempt_timeout,
        extract: Extract::default(),
        rules: Vec::new(),
    }
}

fn compile(name: &str, data: &Value) -> Result<Dialect, Vec<DialectFault>> {
    let mut dialect = plain(name);
    let mut faults = Vec::new();
    let rules = data.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    for (number, rule) in rules.iter().enumerate() {
        match rule.get("code").and_then(Value::as_str) {
            Some("conflict") => dialect.rules.push(conflict(rule)),
            other => faults.push(DialectFault {
                pointer: format!("/rules/{number}/code"),
                message: format!("no code has the name `{}`", other.unwrap_or_default()),
                accepted: "conflict".into(),
                nearest: Some("conflict".into()),
            }),
        }
    }
    if faults.is_empty() { Ok(dialect) } else { Err(faults) }
}

fn conflict(rule: &Value) -> Rule {
    Rule {
        name: rule.get("name").and_then(Value::as_str).unwrap_or_default().into(),
        when: When::default(),
        code: Code::Conflict,
        replay: Replay::ByTable,
        retry: None,
        hold: None,
        status: None,
        support: None,
    }
}

/// The sketch of the design, as far as this version goes.
const SKETCH: &str = r"
version: 1
listen: { address: 127.0.0.1:8080, client_key_header: evenkeel-key }
admin: { address: 127.0.0.1:9900 }
clients:
  storefront: { key: { env: STOREFRONT_KEY }, priority: interactive, share: 3 }
  nightly:    { key: { env: NIGHTLY_KEY }, priority: batch, limit: 200/h }
defaults:
  timeouts: { connect: 3s, attempt: 20s, idle: 30s }
  wait: { default: 30s, max: 10m }
  retry: { attempts: 4, backoff: { base: 250ms, factor: 2, max: 10s }, budget: 10% }
  replay: { max_body: 256KiB }
upstreams:
  wordbee:
    url: https://acme.eu.wordbee-translator.com/api
    route: /wordbee
    dialect: wordbee
    account: { header: x-auth-accountid }
    allowances:
      account: { limit: 1000/h, burst: 20, exempt: [{ path: /auth/token }] }
  droplink:
    url: https://droplink.cc/api/v1
    dialect: droplink
    auth: { header: x-api-key, value: { env: DROPLINK_KEY } }
    allowances:
      all: 5/s
      bursty: { limit: 100/m, spread: none, arrival_guard: 500ms }
      parallel: { concurrency: 8 }
      drops: { limit: 100/day, match: { methods: [POST], path: /drop/* }, mode: observe }
    routes:
      - { match: { methods: [POST], path: /search }, repeatable: true, timeouts: { attempt: 5s } }
      - { match: { path: /jobs/** }, inspect_success: true, require: [authorization],
          rules: [{ name: busy, code: conflict }] }
  payco:
    url: https://api.payco.example
    route: { host: api.local, path: / }
    dialect: my_payco
    status: keep
    client_address: send
dialects:
  my_payco: { rules: [{ name: own, code: conflict }] }
telemetry: { log: { level: info, access: all } }
shutdown: { delay: 0s, grace: 30s }
";

fn environment() -> Environment {
    Environment::of([
        ("STOREFRONT_KEY", "s3cret-a"),
        ("NIGHTLY_KEY", "s3cret-b"),
        ("DROPLINK_KEY", "s3cret-c"),
    ])
}

/// Loads a text as if it were a file, with these variables and `--set`s.
fn load_text(text: &str, env: &Environment, sets: &[&str]) -> Result<Loaded, Box<Faults>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evenkeel.yaml");
    std::fs::write(&file, text).unwrap();
    let sets = sets.iter().map(|set| (*set).to_owned()).collect();
    let request = Request { files: vec![file], sets, flags: Flags::default() };
    load(&request, env, &DIALECTS)
}

fn messages(faults: &Faults) -> Vec<String> {
    let line = |fault: &fault::Fault| {
        let at = faults.position(fault).map(|at| at.to_string()).unwrap_or_default();
        format!("{at}: {} [{}]", fault.message, fault.key)
    };
    faults.list.iter().map(line).collect()
}

#[test]
fn the_sketch_of_the_design_loads() {
    let loaded = load_text(SKETCH, &environment(), &[]).map_err(|faults| messages(&faults));
    let settings = loaded.unwrap().settings;
    let [wordbee, droplink, payco] = settings.gateway.upstreams.as_slice() else { panic!() };
    assert_eq!(&*wordbee.base_path, "/api");
    assert_eq!(wordbee.policy.attempt_timeout.as_secs(), 20);
    assert_eq!(droplink.policy.attempt_timeout.as_secs(), 60, "the dialect beats the defaults");
    assert_eq!(droplink.routes[0].1.attempt_timeout.as_secs(), 5, "the entry beats the dialect");
    assert_eq!(droplink.routes[0].1.repeat, crate::gateway::Repeat::Declared);
    assert_eq!(droplink.routes[1].1.dialect.rules.len(), 1);
    assert_eq!(droplink.policy.dialect.rules.len(), 0);
    assert_eq!(droplink.allowances.len(), 4);
    assert_eq!(payco.policy.dialect.rules.len(), 1);
    assert_eq!(settings.gateway.clients.all().len(), 2);
    assert!(settings.gateway.client_limits[1].is_some());
    assert!(!format!("{settings:?}").contains("s3cret"));
}
