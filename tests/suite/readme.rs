//! README.md and deploy/README.md are correct: their examples are executed and compared.
//!
//! A block says what it is behind its fence: `yaml check` passes `evenkeel check`; `console run`
//! is a transcript (`⋮` stands for lines left out); `json live` is a problem of a running gateway;
//! `sh demo` are lines that `evenkeel demo` prints.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::gateway::{Gateway, PROGRAM, one_upstream};
use crate::support::script::{Script, ok};
use crate::support::source::root;
use crate::support::{problem, wire};

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
fn its_configurations_pass_check() {
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
        let same = matches_transcript(&printed, expected);
        assert!(same, "{command}: {}", first_difference(&printed, expected));
    }
}

/// The first line in which the program differs from the README, past the lines left out.
fn first_difference(printed: &str, shown: &str) -> String {
    let mut lines = printed.lines();
    let mut left_out = false;
    for (number, line) in shown.lines().enumerate() {
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
fn a_difference_is_reported_by_its_line() {
    let shown = first_difference("a\nb\nc\n", "a\nx\nc\n");
    assert_eq!(shown, "line 2 shown is\n  x\nand printed is\n  b");
    let shown = first_difference("a\nb\nc\n", "a\n⋮\nd\n");
    assert_eq!(shown, "line 3 shown is\n  d\nand printed is\n  (no such line)");
    assert!(first_difference("a\nb\n", "a\n").ends_with("  b"));
}

/// Whether `printed` is `shown`, whose lines `⋮` stand for any others.
fn matches_transcript(printed: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split("⋮\n").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return printed == shown };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    !last.is_empty() && rest.ends_with(last)
}

#[test]
fn only_marked_lines_may_be_left_out() {
    let printed = "a\nb\nc\nd\n";
    for shown in ["a\nb\nc\nd\n", "a\n⋮\nd\n", "a\n⋮\nc\n⋮\nd\n"] {
        assert!(matches_transcript(printed, shown), "{shown}");
    }
    for shown in ["a\nb\n", "b\n⋮\nd\n", "a\n⋮\nx\n⋮\nd\n", "a\n⋮\nc\n", "a\n⋮\n"] {
        assert!(!matches_transcript(printed, shown), "{shown}");
    }
}

#[test]
fn its_problem_is_the_gateways() {
    let upstream = Script::always(ok("{}"));
    let yaml = one_upstream(&upstream.url(), "allowances: { hour: 1/h }");
    let gateway = Gateway::start(&yaml);
    assert_eq!(gateway.get("/v/first").status, 200);
    let request = wire::request("GET", "/v/second", &[("Prefer", "wait=0")], b"");
    let mut said = problem::expect(&gateway.call(&request), 429, "allowance_exhausted", "gateway");
    // The hour begins with the first response.
    assert!(said["retry_after"].as_u64() > Some(3590), "{said:#}");
    said["retry_after"] = 3600.into();
    said["request_id"] = "01939f0e-8c5e-7d3a-9b1e-0c5a7f2e4d61".into();
    let shown: Value = serde_json::from_str(&kind("json live").concat()).unwrap();
    let (shown_text, said_text) = (format!("{shown:#}"), format!("{said:#}"));
    assert!(shown == said, "{}", first_difference(&said_text, &shown_text));
    assert_eq!(upstream.arrivals(), 1);
}

#[test]
fn a_gateway_starts_with_its_one_line() {
    let line = "evenkeel run --upstream https://api.vendor.example --limit 10/s\n";
    assert!(read("README.md").contains(line));
    let upstream = Script::always(ok("untouched"));
    let gateway = Gateway::start_on_flags(&["--upstream", &upstream.url(), "--limit", "10/s"]);
    assert_eq!(gateway.get("/orders?page=2").text(), "untouched");
    assert_eq!(upstream.request().target(), "/orders?page=2");
}

#[test]
fn its_demo_lines_are_those_that_the_demo_prints() {
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
        let mut help = printed(&help);
        let mut words = words.peekable();
        // `evenkeel allowance pause` has flags of its own.
        if let Some(word) = words.peek().filter(|word| word.starts_with(char::is_alphabetic)) {
            help += &printed(&evenkeel(&[verb, word, "--help"], &[]));
        }
        for flag in words.filter(|word| word.starts_with('-')) {
            assert!(help.contains(flag), "`evenkeel {verb}` has no {flag}");
        }
    }
    let all = [
        "allowance",
        "check",
        "config",
        "demo",
        "explain",
        "healthcheck",
        "learn",
        "normalise",
        "problem",
        "run",
    ];
    assert!(all.iter().all(|verb| verbs.contains(*verb)), "only {verbs:?} are mentioned");
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
fn its_links_resolve() {
    for (file, folder) in [("README.md", "."), ("deploy/README.md", "deploy")] {
        for link in read(file).split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            let elsewhere = target.starts_with("https://");
            assert!(elsewhere || root().join(folder).join(target).exists(), "{file}: {target}");
        }
    }
}

/// The section "Working on it".
fn working_on_it() -> String {
    let text = read("README.md");
    let (_, section) = text.split_once("## Working on it\n").expect("the section");
    section.split("\n## ").next().unwrap_or_default().to_owned()
}

#[test]
fn the_recipes_name_what_exists() {
    let section = working_on_it();
    let quoted: Vec<&str> = section.split('`').skip(1).step_by(2).collect();
    let placeholders = ["src/cli/VERB.rs"];
    let is_path = |quoted: &&&str| {
        ["src/", "tests/", "config/"].iter().any(|folder| quoted.starts_with(folder))
            && !placeholders.contains(quoted)
    };
    let paths = quoted.iter().filter(is_path).map(|quoted| quoted.split(' ').next().unwrap());
    let missing: Vec<&str> = paths.filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "no such files: {missing:?}");
    // "`NAME` in `FILE`" names something in that file; a line may end in between.
    let text = section.replace('\n', " ");
    let mut names = 0;
    for (before, after) in
        text.match_indices("` in `").map(|(at, it)| (&text[..at], &text[at + it.len()..]))
    {
        let name = before.rsplit('`').next().unwrap_or_default();
        let path = after.split('`').next().unwrap_or_default();
        assert!(read(path).contains(name), "{path} has no {name}");
        names += 1;
    }
    assert!(names >= 3, "{names} names");
    let commands = quoted.iter().filter_map(|quoted| quoted.strip_prefix("cargo bench --bench "));
    let manifest = read("Cargo.toml");
    let unknown = commands.filter(|bench| !manifest.contains(&format!("name = \"{bench}\"")));
    assert_eq!(unknown.collect::<Vec<_>>(), [""; 0], "benchmarks that do not exist");
}

#[test]
fn the_recipe_of_a_dialect_works() {
    let [capture, dialect] = ["http recipe", "yaml recipe"].map(|info| kind(info).concat());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("dialects")).unwrap();
    std::fs::write(at("payco-422-busy.http"), capture).unwrap();
    std::fs::write(at("payco.yaml"), &dialect).unwrap();
    let command = "evenkeel normalise --dialect payco.yaml payco-422-busy.http";
    assert!(working_on_it().contains(command), "the recipe's command");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).current_dir(folder.path()).env_clear().output().unwrap()
    };
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let problem: Value = serde_json::from_slice(&run(&words).stdout).expect("a problem");
    assert_eq!(problem["code"], "rate_limited", "code: {problem:#}");
    assert_eq!(problem["detail"], "Ledger is locked, try again later", "detail: {problem:#}");
    assert_eq!(problem["upstream"]["code"], "P-17", "upstream.code: {problem:#}");
    std::fs::write(at("dialects/payco.yaml"), &dialect).unwrap();
    let yaml = "upstreams: { payco: { url: 'https://api.payco.example', dialect: payco } }\n";
    std::fs::write(at("evenkeel.yaml"), yaml).unwrap();
    let checked = run(&["check", "-c", "evenkeel.yaml"]);
    assert!(checked.status.success(), "{}", printed(&checked));
}

#[test]
fn the_systemd_unit_fits_the_programs_defaults() {
    let unit = read("deploy/evenkeel.service");
    let stop = unit.split("TimeoutStopSec=").nth(1).and_then(|rest| rest.split('s').next());
    let settings = printed(&evenkeel(
        &["config", "show", "--set", "upstreams.v.url=https://api.vendor.example"],
        &[("EVENKEEL_CONFIG".to_owned(), "config/examples/minimal.yaml".to_owned())],
    ));
    assert!(settings.contains("  delay: 0s ") && settings.contains("  grace: 30s "), "{settings}");
    assert!(stop.and_then(|seconds| seconds.parse().ok()) > Some(30), "{stop:?}");
}
