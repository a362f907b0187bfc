//! Which source file imports from which, and where that goes in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::source::File;

/// A path in the crate: `["gateway", "call"]`.
type Path = Vec<String>;

/// The circles among these files, each as the sorted paths of its files.
pub(crate) fn circles(files: &[File]) -> Vec<Vec<String>> {
    let imports = Imports::of(files);
    let reached: BTreeMap<&Path, BTreeSet<&Path>> =
        imports.modules.keys().map(|module| (module, imports.reached(module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reaches) in &reached {
        let both = reaches.iter().filter(|other| reached[*other].contains(module));
        let circle: Vec<String> = both.map(|other| imports.modules[*other].clone()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

#[derive(Default)]
struct Imports {
    /// The file of each module.
    modules: BTreeMap<Path, String>,
    /// What a module re-exports under its own name.
    reexports: BTreeMap<Path, BTreeMap<String, Path>>,
    /// The modules from which a module imports.
    edges: BTreeMap<Path, BTreeSet<Path>>,
}

impl Imports {
    fn of(files: &[File]) -> Self {
        let modules = files.iter().map(|file| (module(file), file.path.clone())).collect();
        let mut imports = Self { modules, ..Self::default() };
        let mut named: Vec<(Path, Path)> = Vec::new();
        for file in files {
            let (module, code) = (module(file), file.code());
            for (public, tree) in statements(&code) {
                for path in expand(&tree) {
                    let Some(path) = imports.absolute(&module, &path) else { continue };
                    let name = path.last().cloned().unwrap_or_default();
                    if public {
                        let reexports = imports.reexports.entry(module.clone()).or_default();
                        reexports.insert(name, path);
                    } else {
                        named.push((module.clone(), path));
                    }
                }
            }
            let paths = inline(&code).into_iter();
            let paths = paths.filter_map(|path| imports.absolute(&module, &path));
            named.extend(paths.map(|path| (module.clone(), path)));
        }
        for (module, path) in named {
            if let Some(target) = imports.resolved(&path).filter(|target| *target != module) {
                imports.edges.entry(module).or_default().insert(target);
            }
        }
        imports
    }

    /// The path from the crate's root; `None` for other crates.
    fn absolute(&self, module: &Path, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        match &**first {
            "crate" => return Some(rest.to_vec()),
            "self" => return Some([module, rest].concat()),
            _ => {}
        }
        let supers = path.iter().take_while(|step| *step == "super").count();
        if supers > 0 {
            let parent = module.get(..module.len().checked_sub(supers)?)?;
            return Some([parent, &path[supers..]].concat());
        }
        let child = [&module[..], std::slice::from_ref(first)].concat();
        self.modules.contains_key(&child).then(|| [&module[..], path].concat())
    }

    /// The module that defines what a path names, re-exports followed.
    fn resolved(&self, path: &Path) -> Option<Path> {
        let mut path = path.clone();
        for _ in 0..8 {
            let owner = (0..=path.len()).rev().map(|length| &path[..length]);
            let owner = owner.into_iter().find(|owner| self.modules.contains_key(*owner))?.to_vec();
            let rest = &path[owner.len()..];
            let item = rest.first().and_then(|item| self.reexports.get(&owner)?.get(item));
            match item {
                Some(target) => path = [&target[..], &rest[1..]].concat(),
                None => return Some(owner),
            }
        }
        None
    }

    /// Everything that a module imports, directly or not, itself apart unless in a circle.
    fn reached(&self, module: &Path) -> BTreeSet<&Path> {
        let mut reached = BTreeSet::new();
        let mut pending: Vec<&Path> = self.edges.get(module).into_iter().flatten().collect();
        while let Some(next) = pending.pop() {
            if reached.insert(next) {
                pending.extend(self.edges.get(next).into_iter().flatten());
            }
        }
        reached
    }
}

/// `src/gateway/mod.rs` is `gateway`, `src/gateway/call.rs` is `gateway::call`.
fn module(file: &File) -> Path {
    let path = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut path: Path = path.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// The `use` statements: whether each is public, and its tree.
fn statements(code: &str) -> Vec<(bool, String)> {
    let mut statements = Vec::new();
    for statement in code.split_inclusive(';') {
        let Some(at) = statement.rfind("use ") else { continue };
        let before =
            statement[..at].rsplit(['\n', ';', '{', '}']).next().unwrap_or_default().trim();
        let public = before.starts_with("pub");
        if before.is_empty() || public {
            let tree = statement[at + 4..].trim_end_matches(';');
            statements.push((public, tree.to_owned()));
        }
    }
    statements
}

/// The paths of a tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<Path> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree);
        return vec![name.split("::").map(|step| step.trim().to_owned()).collect()];
    };
    let prefix: Path = tree[..open].split("::").map(|step| step.trim().to_owned()).collect();
    let prefix: Path = prefix.into_iter().filter(|step| !step.is_empty()).collect();
    let inside = tree[open + 1..].trim_end().trim_end_matches('}');
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| expand(part)).map(|path| [&prefix[..], &path].concat()).collect()
}

/// Paths in the code itself: `crate::clock::Clock`, `super::state::Call`.
fn inline(code: &str) -> Vec<Path> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].chars().next_back().is_some_and(|c| is_name(c) || c == ':') {
                continue;
            }
            let end = code[at..].find(|c| !is_name(c) && c != ':').unwrap_or(code.len() - at);
            let path = code[at..at + end].trim_end_matches(':');
            paths.push(path.split("::").map(str::to_owned).collect());
        }
    }
    paths
}

#[test]
fn circles_are_found_through_groups_and_reexports() {
    let file =
        |path: &str, text: &str| File { path: path.into(), text: text.into(), is_test: false };
    let files = [
        file("src/a/mod.rs", "mod one;\nmod two;\npub use one::One;\nuse crate::b;\n"),
        file("src/a/one.rs", "use std::fmt;\nuse super::two::{Two, inner::{self, Deep}};\n"),
        file("src/a/two.rs", "pub struct Two(Box<super::One>);\n"),
        file("src/b.rs", "use crate::{c::C, d as e};\n"),
        file("src/c.rs", "// use crate::b;\nlet text = \"use crate::b;\";\n"),
        file("src/d.rs", ""),
    ];
    assert_eq!(circles(&files), [["src/a/one.rs", "src/a/two.rs"]]);
    assert_eq!(
        expand("a::{b, c::{self, d}, e as f}").iter().map(|it| it.join("::")).collect::<Vec<_>>(),
        ["a::b", "a::c::self", "a::c::d", "a::e"]
    );
}
