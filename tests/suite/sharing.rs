//! Replicas share allowances through a real store: under kills, stalls, restarts and losses, no
//! window of the vendor's log holds more than the limit.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::arrivals::{Clocked, demand, worst};
use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::redis::Redis;
use crate::support::script::{Script, ok};
use crate::support::{problem, time};

const WINDOW: Duration = Duration::from_secs(1);

fn shared(url: &str, store: &str, limit: usize, wait: &str) -> String {
    let allowance = format!(
        "allowances: {{ all: {{ limit: {limit}/1s, spread: none }} }}\nwait: {{ default: {wait} }}"
    );
    let store = format!("store: {{ redis: {{ url: {{ env: REDIS_URL }} }}, {store} }}\n");
    one_upstream(url, &allowance) + &store
}

fn replica(yaml: &str, redis: &Redis) -> Gateway {
    Gateway::start_with(yaml, &[("REDIS_URL", &redis.url())])
}

/// All of these ask for so long.
fn demand_of(replicas: &[&Gateway], span: Duration) {
    thread::scope(|scope| {
        for replica in replicas {
            scope.spawn(|| demand(replica, span));
        }
    });
}

fn used(arrivals: &[Instant], limit: usize, span: Duration) -> f64 {
    arrivals.len() as f64 / (span.as_secs_f64() / WINDOW.as_secs_f64() * limit as f64)
}

#[test]
fn replicas_share_an_allowance_and_use_it() {
    const LIMIT: usize = 60;
    let (vendor, redis) = (Clocked::start(), Redis::start());
    let yaml = shared(&vendor.url(), "on_loss: stop, first_start: unused", LIMIT, "5s");
    let replicas = [(); 3].map(|()| replica(&yaml, &redis));
    let span = WINDOW * 6;
    demand_of(&replicas.each_ref(), span);
    let arrivals = vendor.arrivals();
    assert!(worst(&arrivals, WINDOW) <= LIMIT, "{}", worst(&arrivals, WINDOW));
    let used = used(&arrivals, LIMIT, span);
    assert!(0.9 < used, "{} calls, {used:.3}", arrivals.len());
    // What an orderly end leaves unused is for the others at once.
    let [first, second, third] = replicas;
    assert!(first.stop().success() && second.stop().success());
    thread::sleep(WINDOW);
    let before = vendor.arrivals().len();
    demand(&third, WINDOW);
    assert!(LIMIT * 8 / 10 < vendor.arrivals().len() - before);
}

#[test]
fn no_fault_of_a_replica_or_of_the_store_lets_a_window_overflow() {
    const LIMIT: usize = 40;
    let (vendor, mut redis) = (Clocked::start(), Redis::start());
    let yaml = shared(&vendor.url(), "reserve: 5%, first_start: spent", LIMIT, "300ms");
    let mut replicas = vec![replica(&yaml, &redis), replica(&yaml, &redis)];
    // An empty store counts as spent until all leases of another life have ended.
    demand_of(&replicas.iter().collect::<Vec<_>>(), WINDOW * 5);
    for fault in 0..5 {
        demand_of(&replicas.iter().collect::<Vec<_>>(), WINDOW * 4);
        match fault {
            0 => {
                replicas.remove(0).signal("KILL");
                replicas.push(replica(&yaml, &redis));
            }
            1 => {
                redis.tell(&["FLUSHALL"]);
            }
            2 => {
                // It comes back with older data than its replicas know.
                redis.tell(&["SAVE"]);
                demand_of(&replicas.iter().collect::<Vec<_>>(), WINDOW / 2);
                redis.restart();
            }
            3 => {
                redis.signal("STOP");
                demand_of(&replicas.iter().collect::<Vec<_>>(), WINDOW / 2);
                redis.signal("CONT");
            }
            _ => {
                replicas[0].signal("STOP");
                demand_of(&[&replicas[1]], WINDOW / 2);
                replicas[0].signal("CONT");
            }
        }
    }
    demand_of(&replicas.iter().collect::<Vec<_>>(), WINDOW * 2);
    let arrivals = vendor.arrivals();
    assert!(worst(&arrivals, WINDOW) <= LIMIT, "{}", worst(&arrivals, WINDOW));
    assert!(LIMIT * 3 < arrivals.len(), "{} calls", arrivals.len());
}

#[test]
fn a_reserve_serves_while_the_store_is_away() {
    let (vendor, redis) = (Clocked::start(), Redis::start());
    let yaml = shared(&vendor.url(), "reserve: 10%, first_start: unused", 50, "100ms");
    let gateway = replica(&yaml, &redis);
    assert_eq!(gateway.get("/v/a").status, 200);
    redis.signal("STOP");
    let before = vendor.arrivals().len();
    demand(&gateway, WINDOW * 3);
    time::until("the log says so", || gateway.logs().contains("goes on with its reserve"));
    let served = vendor.arrivals().len() - before;
    assert!((5..=25).contains(&served), "{served}: the rest of a lease, and five a window");
    time::until("the reserve is used up", || {
        let asked = time::now();
        let answer = gateway.get("/v/a");
        assert!(asked.elapsed() < Duration::from_millis(250));
        answer.status == 429
    });
    redis.signal("CONT");
    time::until("the log says so", || gateway.logs().contains("can be used again"));
    time::until("calls are served", || gateway.get("/v/a").status == 200);
}

#[test]
fn without_a_reserve_nothing_is_granted_until_the_store_is_back() {
    let (vendor, redis) = (Clocked::start(), Redis::start());
    let yaml = shared(&vendor.url(), "on_loss: stop, first_start: unused", 50, "100ms");
    let gateway = replica(&yaml, &redis);
    assert_eq!(gateway.get("/v/a").status, 200);
    redis.signal("STOP");
    // What is leased already is still good.
    time::until("the log says so", || {
        gateway.get("/v/a");
        gateway.logs().contains("refuses calls where it has none")
    });
    time::until("calls are refused", || gateway.get("/v/a").status == 429);
    let refused = problem::expect(&gateway.get("/v/a"), 429, "allowance_exhausted", "gateway");
    assert!(refused["detail"].as_str().unwrap().contains("store"), "{refused}");
    redis.signal("CONT");
    time::until("calls are served", || gateway.get("/v/a").status == 200);
}

#[test]
fn a_store_that_cannot_be_used_stops_the_start() {
    let script = Script::always(ok("ok"));
    let refused = |url: &str, limit: &str, store: &str| {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("evenkeel.yaml");
        let allowance = format!("allowances: {{ all: {{ limit: {limit} }} }}");
        let store = format!("store: {{ redis: {{ url: {{ env: REDIS_URL }} }} {store} }}\n");
        std::fs::write(&file, one_upstream(&script.url(), &allowance) + &store).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["run", "--set", "listen.address=127.0.0.1:0"]);
        command.args(["--set", "admin.address=127.0.0.1:0", "-c"]).arg(&file);
        let output = command.env_clear().env("REDIS_URL", url).output().unwrap();
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).unwrap()
    };
    let locked = Redis::start_with(&["--requirepass", "right"]);
    let text = refused(&format!("redis://:wrong@127.0.0.1:{}", locked.port()), "9/m", "");
    assert!(text.contains("rejects the user or password"), "{text}");
    assert!(!text.contains("wrong"), "{text}");
    let policy = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let text = refused(&Redis::start_with(&policy).url(), "9/m", "");
    assert!(text.contains("allkeys-lru") && text.contains("noeviction"), "{text}");
    let text = refused("http://127.0.0.1", "9/m", "");
    assert!(text.contains("`store.redis.url` cannot be used"), "{text}");
    let text = refused(&Redis::start().url(), "9/day", "");
    assert!(text.contains("`all`") && text.contains("`store.first_start`"), "{text}");
}

#[test]
fn a_foreign_value_is_refused_and_the_promise_kept() {
    let (vendor, redis) = (Clocked::start(), Redis::start());
    redis.tell(&["SET", "{evenkeel}:header", "something else"]);
    let yaml = shared(&vendor.url(), "on_loss: stop", 50, "100ms");
    let gateway = replica(&yaml, &redis);
    problem::expect(&gateway.get("/v/a"), 429, "allowance_exhausted", "gateway");
    time::until("the log says so", || gateway.logs().contains("another `store.prefix`"));
    assert!(vendor.arrivals().is_empty());
}

#[test]
fn the_lowest_limit_binds() {
    let (vendor, redis) = (Clocked::start(), Redis::start());
    let yaml = |limit| shared(&vendor.url(), "on_loss: stop, first_start: unused", limit, "2s");
    let (low, high) = (replica(&yaml(10), &redis), replica(&yaml(50), &redis));
    assert_eq!(low.get("/v/a").status, 200);
    demand_of(&[&low, &high], WINDOW * 3);
    assert!(worst(&vendor.arrivals(), WINDOW) <= 10, "{}", worst(&vendor.arrivals(), WINDOW));
    time::until("the log says so", || high.logs().contains("lower limit"));
}
