//! The rules of this repository that its text can show: the invariants of `src/lib.rs` and the
//! style. What the compiler and clippy can check is left to them, and that they are asked to is
//! checked here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::support::imports;
use crate::support::source::{File, files, root, shipped};

/// Fails with all findings.
#[track_caller]
pub(crate) fn none(rule: &str, findings: impl IntoIterator<Item = String>) {
    let findings: Vec<String> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

/// Lines of code that hold one of these words, in the files that `applies` to.
fn found(applies: impl Fn(&File) -> bool, words: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in shipped().iter().filter(|file| applies(file)) {
        for line in file.code().lines() {
            if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                findings.push(format!("{}: `{word}` in: {}", file.path, line.trim()));
            }
        }
    }
    findings
}

/// Whether `line` contains `word`, not only as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(inside);
        let after = line[at + word.len()..].chars().next().is_some_and(inside);
        !(before && word.starts_with(inside) || after && word.ends_with(inside))
    })
}

/// What each room may use beside itself.
fn arrows() -> BTreeMap<&'static str, Vec<&'static str>> {
    let lines = [
        ("time random http1", ""),
        ("clock", "time"),
        ("outcome", "time"),
        ("routing", "time"),
        ("headers", "routing outcome time"),
        ("dialect", "outcome"),
        ("problem", "outcome time"),
        ("retry", "outcome time"),
        ("allowance", "outcome routing time clock"),
        ("upstream", "outcome http1 time clock random"),
        ("telemetry", "outcome retry allowance problem time clock"),
        (
            "gateway",
            "upstream allowance dialect problem retry routing headers telemetry outcome time \
             clock random",
        ),
        ("server", "gateway upstream headers routing telemetry outcome http1 time clock random"),
        ("admin", "gateway allowance problem routing telemetry outcome time clock"),
        (
            "config",
            "dialect allowance upstream telemetry gateway server admin problem retry routing \
             outcome",
        ),
        ("demo", "clock random"),
        (
            "cli",
            "config server admin gateway upstream allowance dialect problem retry routing headers \
             telemetry demo outcome time clock random",
        ),
        ("main", "cli"),
        ("lib", ""),
    ];
    let rooms = |(rooms, uses): (&'static str, &'static str)| {
        rooms.split(' ').map(move |room| (room, uses.split_whitespace().collect()))
    };
    lines.into_iter().flat_map(rooms).collect()
}

#[test]
fn rooms_depend_one_way() {
    let arrows = arrows();
    let mut findings = Vec::new();
    for file in shipped() {
        let allowed = arrows.get(file.room());
        let Some(allowed) = allowed else {
            findings.push(format!("{} is in no room that the map knows", file.path));
            continue;
        };
        for room in rooms_used(&file.code()) {
            if room != file.room() && !allowed.contains(&room.as_str()) {
                findings.push(format!("{} uses crate::{room}", file.path));
            }
        }
    }
    none("imports against the arrows of lib.rs", findings);
}

/// The rooms named as `crate::room`, also in a group: `use crate::{a, b::c}`.
fn rooms_used(code: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, path) in code.match_indices("crate::").chain(code.match_indices("evenkeel::")) {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => rooms.extend(group_members(group)),
            None => rooms.push(name(rest)),
        }
    }
    rooms.sort();
    rooms.dedup();
    rooms
}

fn group_members(group: &str) -> Vec<String> {
    let mut members = Vec::new();
    let (mut depth, mut start) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && c.is_alphabetic() => {
                members.push(name(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    members
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Rooms and files that only decide. In `allowance` those are all but the live files, which have
/// locks, timers or tasks.
fn is_pure(file: &File) -> bool {
    const ROOMS: [&str; 7] =
        ["time", "outcome", "dialect", "problem", "retry", "routing", "headers"];
    const LIVE: [&str; 5] = ["account", "accounts", "header_accounts", "operators", "slot"];
    if ROOMS.contains(&file.room()) {
        return true;
    }
    let name = file.path.strip_prefix("src/allowance/").and_then(|name| name.strip_suffix(".rs"));
    name.is_some_and(|name| !LIVE.contains(&name) && !name.starts_with("store/"))
}

/// Files that may import each other: a type and its guard.
const GUARDS: [[&str; 2]; 1] = [["src/allowance/account.rs", "src/allowance/slot.rs"]];

#[test]
fn files_do_not_import_each_other_in_a_circle() {
    let circles = imports::circles(&shipped());
    let unknown = circles.iter().filter(|circle| !GUARDS.iter().any(|guard| guard == &circle[..]));
    none("circles of imports", unknown.map(|circle| circle.join(", ")));
}

#[test]
fn pure_rooms_have_no_effects() {
    let words = [
        "async",
        "await",
        "tokio",
        "hyper",
        "Instant",
        "SystemTime::now",
        "Mutex",
        "RwLock",
        "Waker",
        "tracing",
        "println",
        "eprintln",
        "fastrand",
        "std::fs",
        "std::env",
        "std::thread",
        "std::net::Tcp",
    ];
    // governor asks every clock what its `Instant` is; ours is a number.
    let named = |finding: &String| !finding.contains("type Instant = ");
    let impure = found(is_pure, &words);
    none(
        "pure rooms have no runtime, lock, I/O, clock or chance",
        impure.into_iter().filter(named),
    );
}

#[test]
fn one_file_reads_time_and_one_draws_random_numbers() {
    let time = [
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
        "Zoned::now",
        "elapsed()",
        "thread::sleep",
    ];
    none("only clock.rs reads time", found(|file| file.path != "src/clock.rs", &time));
    let waits = ["time::sleep", "time::timeout", "time::interval"];
    let product = |file: &File| file.path != "src/clock.rs" && file.room() != "demo";
    none("only clock.rs sleeps", found(product, &waits));
    let chance = ["fastrand", "getrandom", "rand", "Uuid::now_v7", "Uuid::new_v4", "RandomState"];
    none(
        "only random.rs draws random numbers",
        found(|file| file.path != "src/random.rs", &chance),
    );
}

#[test]
fn one_file_sends() {
    // The simulated vendors and their clients send too, but not through an upstream.
    let others = |file: &File| file.path != "src/gateway/attempt.rs" && file.room() != "demo";
    let sends = found(others, &[".exchange("]).into_iter();
    // Without arguments it is an accessor.
    let sends = sends.filter(|finding| !finding.contains(".exchange()"));
    none("only gateway/attempt.rs sends", sends);
    let attempt = shipped().into_iter().find(|file| file.path == "src/gateway/attempt.rs");
    let sends = attempt.map(|file| file.code().matches(".exchange(").count());
    assert_eq!(sends, Some(1), "the loop that sends has one place where it sends");
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    let outside = |rooms: &'static [&str]| move |file: &File| !rooms.contains(&file.room());
    let client = found(outside(&["upstream", "demo", "cli"]), &["hyper::client"]);
    none("only upstream names hyper's client", client);
    let config = found(outside(&["config"]), &["use config::", " ::config::", "(config::Config"]);
    none("only config names the config crate", config);
    let governor = found(outside(&["allowance"]), &["governor"]);
    none("governor is the pace and nothing else", governor);
    // Config reads certificates, so that a wrong file is reported before anything starts.
    none(
        "only upstream and config name rustls",
        found(outside(&["upstream", "config"]), &["rustls"]),
    );
}

#[test]
fn metric_names_codes_and_problem_types_are_written_once() {
    let mut findings = Vec::new();
    let mut metrics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in shipped() {
        if file.code().contains("enum Code ") && file.room() != "outcome" {
            findings.push(format!("{} defines codes", file.path));
        }
        if file.code().contains("struct Raw") && file.room() != "config" {
            findings.push(format!("{} holds raw configuration", file.path));
        }
        for text in file.literals() {
            if text.contains("urn:evenkeel:problem") && file.room() != "outcome" {
                findings.push(format!("{} spells a problem's type", file.path));
            }
            if is_metric(&text) {
                metrics.entry(text).or_default().push(file.path.clone());
            }
        }
    }
    let astray = |(name, homes): (&String, &Vec<String>)| {
        let home = homes.len() == 1 && homes[0].starts_with("src/telemetry");
        (!home).then(|| format!("metric {name} is spelt in {homes:?}"))
    };
    findings.extend(metrics.iter().filter_map(astray));
    none("names, codes and raw values are written in one place", findings);
}

fn is_metric(text: &str) -> bool {
    let rest = text.strip_prefix("evenkeel_");
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[test]
fn our_header_names_are_written_once() {
    let mut findings = Vec::new();
    for file in shipped().iter().filter(|file| file.path != "src/headers/names.rs") {
        for line in file.shipped().lines() {
            if line.contains("from_static(\"evenkeel-") {
                findings.push(format!("{}: {}", file.path, line.trim()));
            }
        }
    }
    none("our header names are written in headers/names.rs", findings);
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = files("src").into_iter().chain(files("tests"));
    let silent = all.filter(|file| !file.text.starts_with("//! "));
    none("files open with `//!`", silent.map(|file| file.path));
}

#[test]
fn lines_and_files_stay_short() {
    const COLUMNS_MAX: usize = 100;
    const LINES_MAX: usize = 500;
    let mut findings = Vec::new();
    for file in files("src").into_iter().chain(files("tests")) {
        // String literals may be longer: payloads and sentences are not wrapped.
        for (number, line) in file.lines().iter().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                findings.push(format!("{}:{} has {columns} columns", file.path, number + 1));
            }
        }
        let lines = file.shipped().lines().count();
        if lines > LINES_MAX && !(file.is_test && file.path.starts_with("src/")) {
            findings.push(format!("{} has {lines} lines without tests", file.path));
        }
    }
    none("lines and files stay short", findings);
}

#[test]
fn nothing_is_left_for_later() {
    // Written with escapes, so that this file does not contain them.
    let marks = ["TO\u{44}O", "FIX\u{4d}E", "#[ignor\u{65}", "unimplemente\u{64}!"];
    let all = files("src").into_iter().chain(files("tests"));
    let left = all.flat_map(|file| {
        let marks = marks.iter().filter(|mark| file.text.contains(**mark));
        marks.map(|mark| format!("{} holds {mark}", file.path)).collect::<Vec<_>>()
    });
    none("nothing is left for later", left);
}

#[test]
fn banned_constructs_do_not_occur() {
    let mut findings = found(|_| true, &["fn validate", "#[allow", "unreachable!", "unsafe"]);
    let fetching = found(|_| true, &["fn get_"]);
    findings.extend(fetching);
    let signature_with_bool = |file: &File| {
        let code = file.code();
        let public = code.lines().filter(|line| line.trim_start().starts_with("pub fn"));
        let with = public.filter(|line| line.contains(": bool,") || line.contains(": bool)"));
        with.map(|line| format!("{}: {}", file.path, line.trim())).collect::<Vec<_>>()
    };
    findings.extend(shipped().iter().flat_map(signature_with_bool));
    none("banned constructs", findings);
}

#[test]
fn the_compiler_is_asked_to_check_the_rest() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let lints = [
        "unsafe_code = \"forbid\"",
        "too_many_lines = \"warn\"",
        "wildcard_enum_match_arm = \"warn\"",
        "unwrap_used = \"warn\"",
        "allow_attributes = \"warn\"",
        "cast_possible_truncation = \"warn\"",
    ];
    let missing = lints.iter().filter(|lint| !manifest.contains(**lint));
    none("the lint table stands", missing.map(|lint| (*lint).to_owned()));
}

#[test]
fn every_dependency_gives_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut findings = Vec::new();
    let (mut inside, mut previous) = (false, "");
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if inside && line.contains(" = ") && !previous.starts_with("# ") {
            findings.push(line.to_owned());
        }
        previous = line;
    }
    none("each dependency has a sentence above it", findings);
}

#[test]
fn one_crypto_provider_is_linked() {
    // The lock file also lists crates of features that are off, so the tree is asked.
    let tree = ["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}"];
    let output = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"aws-lc-rs"), "the tree is read");
    let banned = ["ring", "openssl", "openssl-sys", "native-tls"];
    let linked = banned.iter().filter(|name| names.contains(*name));
    none("not linked", linked.map(|name| (*name).to_owned()));
}

#[test]
fn the_top_level_holds_what_the_map_says() {
    const REQUIRED: [&str; 8] = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "config",
        "tests",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ];
    const ALLOWED: [&str; 2] = ["deploy", "target"];
    let entries = std::fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    let known = |name: &str| REQUIRED.contains(&name) || ALLOWED.contains(&name);
    let extra = names.iter().filter(|name| !known(name)).map(|name| format!("{name} is extra"));
    let missing = REQUIRED.iter().filter(|name| !Path::new(root()).join(name).exists());
    let missing = missing.map(|name| format!("{name} is missing"));
    none("the visible top level", extra.chain(missing));
}

#[test]
fn the_map_is_short_and_names_every_room() {
    let map = files("src").into_iter().find(|file| file.path == "src/lib.rs").unwrap();
    assert!(map.text.lines().count() <= 150, "lib.rs has more than 150 lines");
    let unknown = files("src").into_iter().filter(|file| {
        let room = file.room().to_owned();
        room != "lib" && room != "main" && !map.text.contains(&format!("[`{room}`]"))
    });
    none("rooms that the map does not show", unknown.map(|file| file.path));
}
