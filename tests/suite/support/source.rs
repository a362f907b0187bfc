//! The repository's source text: its files, and which parts of them ship.

use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Its path below the package, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Whether only tests include it.
    pub(crate) is_test: bool,
}

impl File {
    /// Its text without the tests at its end.
    pub(crate) fn shipped(&self) -> &str {
        let tests = self.text.find("\n#[cfg(test)]\nmod tests {");
        &self.text[..tests.unwrap_or(self.text.len())]
    }

    /// The shipped code without comments and with empty string literals.
    pub(crate) fn code(&self) -> String {
        code(self.shipped())
    }

    /// All lines, with comments and with empty string literals.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = String::new();
        for part in parts(&self.text) {
            match part {
                Part::Code(part) | Part::Comment(part) => lines.push_str(part),
                Part::Text(text) => lines.extend(text.matches('\n')),
            }
        }
        lines.lines().map(str::to_owned).collect()
    }

    /// The string literals of the shipped code.
    pub(crate) fn literals(&self) -> Vec<String> {
        parts(self.shipped()).into_iter().filter_map(Part::text).collect()
    }

    /// The room it belongs to: `gateway` of `src/gateway/attempt.rs`, `clock` of `src/clock.rs`.
    pub(crate) fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the package, in order.
pub(crate) fn files(folder: &str) -> Vec<File> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    let file = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        File { is_test: path.starts_with("tests/"), path, text }
    };
    let mut files: Vec<File> = paths.into_iter().map(file).collect();
    let hidden: Vec<String> = files.iter().flat_map(test_modules).collect();
    for file in &mut files {
        file.is_test |= hidden.iter().any(|hidden| file.path.starts_with(hidden));
    }
    files
}

/// Every file of `src` that ships.
pub(crate) fn shipped() -> Vec<File> {
    files("src").into_iter().filter(|file| !file.is_test).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The beginnings of the paths that `#[cfg(test)] mod name;` of this file refers to.
fn test_modules(file: &File) -> Vec<String> {
    let folder = match file.path.strip_suffix("/mod.rs") {
        Some(folder) => folder,
        None => file.path.strip_suffix(".rs").unwrap_or(&file.path),
    };
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let marked = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").map(|pair| pair[1]);
    let name = |line: &str| {
        let module = line.rsplit("mod ").next().filter(|_| line.contains("mod "))?;
        module.strip_suffix(';').map(str::to_owned)
    };
    let names = marked.filter_map(name);
    names.flat_map(|name| [".rs", "/"].map(|end| format!("{folder}/{name}{end}"))).collect()
}

/// Code, a comment, or the inside of a string literal.
enum Part<'a> {
    Code(&'a str),
    Comment(&'a str),
    Text(&'a str),
}

impl Part<'_> {
    fn text(self) -> Option<String> {
        match self {
            Part::Text(text) => Some(text.to_owned()),
            Part::Code(_) | Part::Comment(_) => None,
        }
    }
}

fn code(text: &str) -> String {
    let mut code = String::new();
    for part in parts(text) {
        match part {
            Part::Code(part) => code.push_str(part),
            Part::Comment(_) => {}
            Part::Text(_) => code.push_str("\"\""),
        }
    }
    code
}

/// Splits code, comments and string literals, as far as our own code needs it.
fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut at) = (0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (skip, part) = special(rest);
        if let Some(part) = part {
            parts.push(Part::Code(&text[start..at]));
            parts.push(part);
            start = at + skip;
        }
        at += skip;
    }
    parts.push(Part::Code(&text[start..]));
    parts
}

/// The length of what begins here, and what it is unless it is plain code.
fn special(rest: &str) -> (usize, Option<Part<'_>>) {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        let end = rest.find('\n').unwrap_or(rest.len());
        return (end, Some(Part::Comment(&rest[..end])));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let end = text_end(inside);
        return (end + 2, Some(Part::Text(&inside[..end])));
    }
    if let Some(raw) = rest.strip_prefix("r#\"") {
        let end = raw.find("\"#").unwrap_or(raw.len());
        return (end + 5, Some(Part::Text(&raw[..end])));
    }
    for character in ["'\"'", "'\\''", "'\\\"'"] {
        if rest.starts_with(character) {
            return (character.len(), None);
        }
    }
    (first, None)
}

fn text_end(inside: &str) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match (escaped, c) {
            (true, _) => escaped = false,
            (false, '\\') => escaped = true,
            (false, '"') => return at,
            (false, _) => {}
        }
    }
    inside.len()
}

#[test]
fn comments_string_literals_and_tests_are_not_code() {
    let text = "//! doc\nlet a = \"x // \\\"y\"; // c\nlet q = '\"'; let r = r#\"z\"w\"#;\n\
                \n#[cfg(test)]\nmod tests {\n    hidden\n}\n";
    let file = File { path: "src/gateway/a.rs".into(), text: text.into(), is_test: false };
    assert_eq!(file.code(), "\nlet a = \"\"; \nlet q = '\"'; let r = \"\";\n");
    assert_eq!(file.literals(), ["x // \\\"y", "z\"w"]);
    assert_eq!(file.lines()[1], "let a = ; // c");
    assert_eq!(file.lines().len(), text.lines().count());
    assert_eq!(file.room(), "gateway");
    let parent = File {
        path: "src/cli/explain/mod.rs".into(),
        text: "mod a;\n#[cfg(test)]\nmod fixture;\n".into(),
        is_test: false,
    };
    assert!(test_modules(&parent).contains(&"src/cli/explain/fixture.rs".to_owned()));
}
