//! README.md and deploy/README.md tell the truth: what they show is executed and compared.
//!
//! A block says what it is behind its fence: `yaml check` passes `evenkeel check`; `console run`
//! is a transcript (`⋮` stands for lines left out); `json live` is a problem of a running gateway;
//! `sh demo` are lines that `evenkeel demo` prints. Refuses to judge prose.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::script::{Script, ok};
use crate::support::source::root;
use crate::support::{problem, wire};

/// One fenced block.
struct Block {
    info: String,
    text: String,
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let inside = lines.by_ref().take_while(|line| *line != "```");
        let text = inside.map(|line| format!("{line}\n")).collect();
        blocks.push(Block { info: info.to_owned(), text });
    }
    blocks
}

/// The texts of the README's blocks of this kind; there is at least one.
#[track_caller]
fn kind(info: &str) -> Vec<String> {
    let blocks = blocks(&read("README.md")).into_iter();
    let texts: Vec<String> =
        blocks.filter(|block| block.info == info).map(|block| block.text).collect();
    assert!(!texts.is_empty(), "the README has no block `{info}`");
    texts
}

/// Runs the program where the README stands.
fn evenkeel(arguments: &[&str], variables: &[(String, String)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(root()).env_clear();
    command.envs(variables.iter().cloned()).output().unwrap()
}

fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    let last = if code == 0 { String::new() } else { format!("[exit code {code}]\n") };
    text(&output.stdout) + &text(&output.stderr) + &last
}

#[test]
fn its_configurations_are_in_order() {
    for yaml in kind("yaml check") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.yaml");
        std::fs::write(&file, &yaml).unwrap();
        let names = yaml.split("env: ").skip(1).filter_map(|rest| rest.split(' ').next());
        let variables: Vec<_> = names.map(|name| (name.to_owned(), format!("of-{name}"))).collect();
        let output = evenkeel(&["check", "-c", file.to_str().unwrap()], &variables);
        assert!(output.status.success(), "{}\n{yaml}", printed(&output));
    }
}

#[test]
fn its_transcripts_are_what_the_program_prints() {
    for block in kind("console run") {
        let (command, expected) = block.split_once('\n').unwrap();
        let command = command.strip_prefix("$ evenkeel ").expect("a transcript of the program");
        let output = evenkeel(&command.split(' ').collect::<Vec<_>>(), &[]);
        let printed = printed(&output);
        let told = is_as_told(&printed, expected);
        assert!(told, "{command}: {}", first_difference(&printed, expected));
    }
}

/// The first line in which the program differs from the README, past the lines left out.
fn first_difference(printed: &str, told: &str) -> String {
    let mut lines = printed.lines();
    let mut left_out = false;
    for (number, line) in told.lines().enumerate() {
        if line == "⋮" {
            left_out = true;
            continue;
        }
        let found = if left_out { lines.find(|found| *found == line) } else { lines.next() };
        left_out = false;
        if found != Some(line) {
            let found = found.unwrap_or("(no such line)");
            return format!("line {} shown is\n  {line}\nand printed is\n  {found}", number + 1);
        }
    }
    format!("printed beyond what is shown is\n  {}", lines.next().unwrap_or("(nothing)"))
}

#[test]
fn a_difference_is_one_line() {
    let told = first_difference("a\nb\nc\n", "a\nx\nc\n");
    assert_eq!(told, "line 2 shown is\n  x\nand printed is\n  b");
    let told = first_difference("a\nb\nc\n", "a\n⋮\nd\n");
    assert_eq!(told, "line 3 shown is\n  d\nand printed is\n  (no such line)");
    assert!(first_difference("a\nb\n", "a\n").ends_with("  b"));
}

/// Whether `printed` is `told`, whose lines `⋮` stand for any others.
fn is_as_told(printed: &str, told: &str) -> bool {
    let parts: Vec<&str> = told.split("⋮\n").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return printed == told };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    !last.is_empty() && rest.ends_with(last)
}

#[test]
fn left_out_lines_are_the_only_freedom() {
    let printed = "a\nb\nc\nd\n";
    for told in ["a\nb\nc\nd\n", "a\n⋮\nd\n", "a\n⋮\nc\n⋮\nd\n"] {
        assert!(is_as_told(printed, told), "{told}");
    }
    for told in ["a\nb\n", "b\n⋮\nd\n", "a\n⋮\nx\n⋮\nd\n", "a\n⋮\nc\n", "a\n⋮\n"] {
        assert!(!is_as_told(printed, told), "{told}");
    }
}

#[test]
fn its_problem_is_one_that_the_gateway_says() {
    let upstream = Script::always(ok("{}"));
    let yaml = one_upstream(&upstream.url(), "allowances: { hour: 1/h }");
    let gateway = Gateway::start(&yaml);
    assert_eq!(gateway.get("/v/first").status, 200);
    let request = wire::request("GET", "/v/second", &[("Prefer", "wait=0")], b"");
    let mut said = problem::expect(&gateway.call(&request), 429, "allowance_exhausted", "gateway");
    // The hour begins to pass with the first answer.
    assert!(said["retry_after"].as_u64() > Some(3590), "{said:#}");
    said["retry_after"] = 3600.into();
    said["request_id"] = "01939f0e-8c5e-7d3a-9b1e-0c5a7f2e4d61".into();
    let shown: Value = serde_json::from_str(&kind("json live").concat()).unwrap();
    let (shown_text, said_text) = (format!("{shown:#}"), format!("{said:#}"));
    assert!(shown == said, "{}", first_difference(&said_text, &shown_text));
    assert_eq!(upstream.arrivals(), 1);
}

#[test]
fn a_gateway_runs_on_its_one_line() {
    let line = "evenkeel run --upstream https://api.vendor.example --limit 10/s\n";
    assert!(read("README.md").contains(line));
    let upstream = Script::always(ok("untouched"));
    let gateway = Gateway::start_on_flags(&["--upstream", &upstream.url(), "--limit", "10/s"]);
    assert_eq!(gateway.get("/orders?page=2").text(), "untouched");
    assert_eq!(upstream.request().target(), "/orders?page=2");
}

#[test]
fn its_lines_to_try_are_those_the_demo_prints() {
    let written = read("src/demo/setup.rs").replace("\\\"", "\"").replace("\\\\", "\\");
    let written = written.replace("{{", "{").replace("}}", "}");
    let written =
        written.replace("{gateway}", "127.0.0.1:8080").replace("{droplink}", "127.0.0.1:8081");
    for line in kind("sh demo").concat().lines() {
        assert!(written.contains(line.trim()), "the demo does not print: {line}");
    }
}

#[test]
fn its_flags_exist() {
    let text = read("README.md") + &read("deploy/README.md") + &read("deploy/evenkeel.service");
    let mut verbs = BTreeSet::new();
    for command in text.split("evenkeel ").skip(1) {
        let command = command.split(['\n', '`']).next().unwrap_or_default();
        let mut words = command.split(' ');
        let verb = words.next().unwrap_or_default();
        let help = evenkeel(&[verb, "--help"], &[]);
        if !help.status.success() {
            continue;
        }
        verbs.insert(verb.to_owned());
        let help = printed(&help);
        for flag in words.filter(|word| word.starts_with('-')) {
            assert!(help.contains(flag), "`evenkeel {verb}` has no {flag}");
        }
    }
    let all = ["check", "config", "demo", "explain", "healthcheck", "normalise", "problem", "run"];
    assert!(all.iter().all(|verb| verbs.contains(*verb)), "only {verbs:?} are told of");
}

#[test]
fn its_metrics_exist() {
    let table = read("src/telemetry/table.rs");
    let text = read("README.md");
    let quoted = text.split('`').map(|part| part.split('{').next().unwrap_or_default());
    let metrics: BTreeSet<&str> =
        quoted.filter(|name| name.starts_with("evenkeel_") || name.starts_with("http_")).collect();
    assert!(metrics.len() > 10, "{metrics:?}");
    for metric in metrics {
        assert!(table.contains(&format!("\"{metric}\"")), "there is no metric {metric}");
    }
}

#[test]
fn its_links_lead_somewhere() {
    for (file, folder) in [("README.md", "."), ("deploy/README.md", "deploy")] {
        for link in read(file).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            assert!(root().join(folder).join(target).exists(), "{file}: {target}");
        }
    }
}

#[test]
fn the_units_lines_fit_the_programs_defaults() {
    let unit = read("deploy/evenkeel.service");
    let stop = unit.split("TimeoutStopSec=").nth(1).and_then(|rest| rest.split('s').next());
    let settings = printed(&evenkeel(
        &["config", "show", "--set", "upstreams.v.url=https://api.vendor.example"],
        &[("EVENKEEL_CONFIG".to_owned(), "config/examples/minimal.yaml".to_owned())],
    ));
    assert!(settings.contains("  delay: 0s ") && settings.contains("  grace: 30s "), "{settings}");
    assert!(stop.and_then(|seconds| seconds.parse().ok()) > Some(30), "{stop:?}");
}
