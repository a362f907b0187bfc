//! The words of the code, which are those of `src/glossary.md`, and the style of its comments.

use crate::support::source::{files, root, shipped};
use crate::tidy::none;

/// Comments state facts about the code, with the subject first; none of them begins like this.
const BANNED_STARTS: [&str; 7] =
    ["Refuses to ", "It refuses to ", "Who ", "Whose ", "Whoever ", "Whom ", "Nobody "];

/// Documents that the repository does not contain.
const ELSEWHERE: [&str; 6] =
    ["design/", "reference/", "semantics §", "semantics.md", "architecture.md", "style.md"];

#[test]
fn comments_are_plain_statements() {
    let mut findings = Vec::new();
    for file in files("src").into_iter().chain(files("tests")) {
        let mut sentence_begins = true;
        for (line, number) in file.lines().iter().zip(1..) {
            let Some(comment) = line.find("//").map(|at| &line[at..]) else {
                sentence_begins = true;
                continue;
            };
            let comment = comment.trim_start_matches(['/', '!']).trim();
            let start = BANNED_STARTS.iter().find(|start| {
                let inside = comment.split_inclusive(". ").skip(1);
                let mut sentences =
                    inside.chain(sentence_begins.then_some(comment)).map(str::trim_start);
                sentences.any(|sentence| sentence.starts_with(**start))
            });
            let elsewhere = ELSEWHERE.iter().find(|name| comment.contains(**name));
            let found = start.or(elsewhere);
            findings.extend(found.map(|found| format!("{}:{number}: `{found}`", file.path)));
            sentence_begins = comment.is_empty() || comment.ends_with(['.', '|', ':']);
        }
    }
    none("comments state facts, and refer to what is here", findings);
}

/// The words that no identifier may hold: those in `code` in the glossary's last column.
fn words_outside_the_glossary() -> Vec<String> {
    let glossary = std::fs::read_to_string(root().join("src/glossary.md")).unwrap();
    let rows = glossary.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    let last = rows.filter_map(|row| row.trim_end_matches(" |").rsplit("| ").next());
    let words = last.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned));
    words.collect()
}

#[test]
fn identifiers_use_the_glossary() {
    let banned = words_outside_the_glossary();
    assert!(banned.len() > 8, "the glossary's last column names {banned:?}");
    let mut findings = Vec::new();
    for file in shipped() {
        let code = file.code();
        let identifiers = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        for identifier in identifiers {
            let words = words_of(identifier);
            if let Some(word) = words.iter().find(|word| banned.contains(word)) {
                findings.push(format!("{}: `{identifier}` says {word}", file.path));
            }
            if words.iter().any(|word| word == "retries") && words.iter().any(|word| word == "max")
            {
                findings.push(format!("{}: `{identifier}`: attempts are counted", file.path));
            }
        }
    }
    findings.dedup();
    none("identifiers use the glossary's words", findings);
}

/// The words of `snake_case` and `CamelCase`, in lower case.
fn words_of(identifier: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous = '_';
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && previous.is_lowercase()) {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        previous = c;
    }
    words
}
