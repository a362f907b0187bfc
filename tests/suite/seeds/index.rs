//! The index of the founding documents' rows (tests/data/seeds.md) is complete and correct.

use std::collections::BTreeMap;

use crate::support::source::{files, root};

const INDEX: &str = "tests/data/seeds.md";

/// Every row: those of Droplink's page, those of Wordbee's, and one beyond it.
fn rows() -> Vec<String> {
    let droplink = (1..=40).map(|number| format!("D{number}"));
    let wordbee = (1..=32).chain([35]).map(|number| format!("W{number}"));
    droplink.chain(wordbee).collect()
}

/// Rows without a test, and a word of the reason that the index must give.
const EXCEPTED: [(&str, &str); 4] =
    [("D40", "nothing"), ("W32", "nothing"), ("W14", "later"), ("W22", "later")];

/// The cells of each row.
fn index() -> BTreeMap<String, Vec<String>> {
    let text = std::fs::read_to_string(root().join(INDEX)).unwrap();
    let mut index = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| D") || line.starts_with("| W")) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let row = cells.next().unwrap();
        assert!(index.insert(row.clone(), cells.collect()).is_none(), "{row} stands twice");
    }
    index
}

/// What is quoted in these cells: `path::name`.
fn quoted(cells: &[String]) -> Vec<(String, String)> {
    let text = cells.join(" ");
    let quotes = text.split('`').skip(1).step_by(2);
    let parts = |quote: &str| {
        let (path, name) = quote.rsplit_once("::").unwrap_or_else(|| panic!("`{quote}`"));
        (path.to_owned(), name.to_owned())
    };
    quotes.map(parts).collect()
}

#[test]
fn every_row_is_in_the_index_and_nothing_else() {
    let (index, rows) = (index(), rows());
    let missing: Vec<_> = rows.iter().filter(|row| !index.contains_key(*row)).collect();
    let unknown: Vec<_> = index.keys().filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn every_row_names_tests_that_exist() {
    let sources: BTreeMap<String, String> =
        files("src").into_iter().chain(files("tests")).map(|file| (file.path, file.text)).collect();
    let mut missing = Vec::new();
    for (row, cells) in index() {
        let tests = quoted(&cells);
        let excepted = EXCEPTED.iter().find(|(name, _)| *name == row);
        match excepted {
            Some((_, reason)) => assert!(cells.join(" ").contains(reason), "{row} gives no reason"),
            None => assert!(!tests.is_empty(), "{row} names no test"),
        }
        for (path, name) in tests {
            let text = sources.get(&path).map_or("", String::as_str);
            if !is_test(text, &name) {
                missing.push(format!("{row}: {path} has no test `{name}`"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Whether the text has a test of this name.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{name}()")))
    };
    let marks = |line: &str| line == "#[test]" || line.starts_with("#[tokio::test");
    lines.windows(2).any(|pair| marks(pair[0]) && declares(pair[1]))
}

#[test]
fn every_test_of_the_rows_is_in_the_index() {
    let text = std::fs::read_to_string(root().join(INDEX)).unwrap();
    let named = |path: &str| path.contains("/seeds/") || path.contains("src/gateway/tests/");
    let mut forgotten = Vec::new();
    for file in files("tests").into_iter().chain(files("src")).filter(|file| named(&file.path)) {
        for line in file.text.lines().map(|line| line.trim().trim_start_matches("async ")) {
            let name = line.strip_prefix("fn ").and_then(|rest| rest.split_once("() {"));
            let row = name.filter(|(name, _)| is_row(name) && is_test(&file.text, name));
            if let Some((name, _)) =
                row.filter(|(name, _)| !text.contains(&format!("{}::{name}`", file.path)))
            {
                forgotten.push(format!("{}::{name}", file.path));
            }
        }
    }
    assert!(forgotten.is_empty(), "not in {INDEX}: {forgotten:?}");
}

/// `d20_…` and `w9_…`.
fn is_row(name: &str) -> bool {
    let digits = name.strip_prefix(['d', 'w']).map(|rest| rest.split('_').next().unwrap_or(""));
    digits.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}
