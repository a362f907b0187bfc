//! Where configuration is read from, in the order of the layers.
//!
//! Weakest first: files of dialects and profiles, an image's defaults in the environment, files
//! as given, the environment, `--set`, other flags. A layer that cannot be read does not keep the
//! others from being checked.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::check;
use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use super::environment::Environment;
use super::files::{read_text, text_of};
use super::item::Item;
use super::keys::{self, Keys, Kind};
use super::secret::SecretsRead;
use super::tree::{Location, Member, Node, SourceName, Value};
use super::yaml;

/// Files of one folder.
const FOLDER_FILES_MAX: usize = 1_000;

/// Which configuration to load, as the command line says.
#[derive(Clone, Debug, Default)]
pub struct LoadRequest {
    /// A text instead of any file: the demo writes its own.
    pub text: Option<String>,
    /// The values of `-c`: files, folders, or `-` for standard input.
    pub files: Vec<PathBuf>,
    /// The values of `--set a.b=v`.
    pub sets: Vec<String>,
    pub flags: Flags,
    pub secrets: SecretsRead,
}

/// The flags that configure one upstream with the route `/`, without a file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub upstream: Option<String>,
    pub limit: Option<String>,
    pub dialect: Option<String>,
    pub listen: Option<String>,
    pub admin: Option<String>,
}

/// What to do when no configuration is named and none is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    Error,
    Defaults,
}

/// The name of the upstream that `--upstream` describes.
const FLAG_UPSTREAM: &str = "upstream";

/// The layers, the weakest first.
pub(super) struct Gathered {
    pub(super) layers: Vec<Item>,
    /// How many texts could not be read.
    pub(super) unread: usize,
}

pub(super) fn gather(
    request: &LoadRequest,
    env: &Environment,
    absence: Absence,
    diagnostics: &mut Diagnostics,
) -> Gathered {
    let mut gatherer = Gatherer { diagnostics, layers: Vec::new(), absence, unread: 0 };
    gatherer.variables(env.defaults(), "EVENKEEL_DEFAULT__A__B, for the key a.b");
    gatherer.files(request, env);
    gatherer.variables(env.settings(), "EVENKEEL__A__B, for the key a.b");
    request.sets.iter().for_each(|set| gatherer.set(set));
    gatherer.flags(&request.flags);
    let Gatherer { layers, unread, .. } = gatherer;
    Gathered { layers, unread }
}

struct Gatherer<'f> {
    diagnostics: &'f mut Diagnostics,
    layers: Vec<Item>,
    absence: Absence,
    unread: usize,
}

impl Gatherer<'_> {
    fn files(&mut self, request: &LoadRequest, env: &Environment) {
        if let Some(text) = &request.text {
            return self.layer(SourceName::Program, Ok(text.clone()));
        }
        let files = self.named_or_found(request, env);
        for file in &files {
            self.file_or_folder(file);
        }
        let first = files.first().filter(|file| file.as_os_str() != "-");
        if let Some(first) = first {
            let home = if first.is_dir() { Some(first.as_path()) } else { first.parent() };
            let home = home.unwrap_or(Path::new(""));
            self.entries_in_files(home, "dialects");
            self.entries_in_files(home, "profiles");
        }
    }

    fn named_or_found(&mut self, request: &LoadRequest, env: &Environment) -> Vec<PathBuf> {
        if !request.files.is_empty() {
            return request.files.clone();
        }
        if request.flags.upstream.is_some() {
            return Vec::new();
        }
        if let Some(named) = env.value("EVENKEEL_CONFIG") {
            return vec![named.into()];
        }
        let config_home = env.value("XDG_CONFIG_HOME").map(PathBuf::from);
        let config_home =
            config_home.or_else(|| Some(PathBuf::from(env.value("HOME")?).join(".config")));
        let folders = config_home.into_iter().chain(["/etc".into()]);
        let inside = folders.map(|folder| folder.join("evenkeel").join("evenkeel.yaml"));
        let places: Vec<_> = std::iter::once("evenkeel.yaml".into()).chain(inside).collect();
        let found = places.iter().find(|place| place.exists()).cloned();
        let without = env.settings().next().is_some() || !request.sets.is_empty();
        if found.is_none() && !without && self.absence == Absence::Error {
            self.unread += 1;
            let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
            let diagnostic =
                Diagnostic::new(DiagnosticCode::File, None, "no configuration file was found");
            self.diagnostics.push(diagnostic.accepted(format!(
                "`-c FILE`, `--upstream URL`, $EVENKEEL_CONFIG, or one of {}",
                places.join(", ")
            )));
        }
        found.into_iter().collect()
    }

    fn file_or_folder(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            return self.layer(SourceName::Stdin, text_of(&mut std::io::stdin().lock()));
        }
        if !path.is_dir() {
            return self.layer(SourceName::File(path.into()), read_text(path));
        }
        self.diagnostics.read.push(path.into());
        let inside = yaml_files(path);
        if inside.is_empty() {
            self.unread += 1;
            let at = self.source(SourceName::File(path.into()), String::new());
            let diagnostic =
                Diagnostic::new(DiagnosticCode::File, Some(at), "the folder has no *.yaml file");
            self.diagnostics.push(diagnostic.accepted("a file, or a folder with *.yaml files"));
        }
        for file in inside {
            self.layer(SourceName::File(file.clone()), read_text(&file));
        }
    }

    fn layer(&mut self, name: SourceName, text: Result<String, String>) {
        if let Some(node) = self.document(name, text) {
            let item = check::layer(node, self.diagnostics);
            self.layers.push(item);
        }
    }

    fn document(&mut self, name: SourceName, text: Result<String, String>) -> Option<Node> {
        if let SourceName::File(file) = &name {
            self.diagnostics.read.push(file.clone());
        }
        match text {
            Ok(text) => {
                let at = self.source(name, text.clone());
                self.yaml(at, &text)
            }
            Err(message) => {
                self.unread += 1;
                let at = self.source(name, String::new());
                self.diagnostics.push(Diagnostic::new(DiagnosticCode::File, Some(at), message));
                None
            }
        }
    }

    /// `None` for a text without content, which is valid.
    fn yaml(&mut self, at: Location, text: &str) -> Option<Node> {
        let read = yaml::read(at.source, text, self.diagnostics);
        self.unread += usize::from(read.is_err());
        read.ok().flatten()
    }

    /// Dialects and profiles in files of their own are weaker than any file that names the same.
    fn entries_in_files(&mut self, home: &Path, key: &'static str) {
        let folder = home.join(key);
        let files = yaml_files(&folder);
        self.diagnostics.read.push(folder);
        for file in files {
            let Some(node) = self.document(SourceName::File(file.clone()), read_text(&file)) else {
                continue;
            };
            let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let at = node.at;
            let whole = branch(at, [key, name], node);
            let item = check::layer(whole, self.diagnostics);
            self.layers.insert(0, item);
        }
    }

    fn variables<'e>(
        &mut self,
        variables: impl Iterator<Item = (&'e str, Vec<String>, &'e OsString)>,
        accepted: &str,
    ) {
        for (name, path, value) in variables.filter(|(_, _, value)| !value.is_empty()) {
            let Some(text) = value.to_str() else {
                let at = self.source(SourceName::Variable(name.into()), String::new());
                let diagnostic = Diagnostic::new(
                    DiagnosticCode::Layer,
                    Some(at),
                    format!("{name} is not UTF-8"),
                );
                self.diagnostics.push(diagnostic.accepted("text in UTF-8"));
                continue;
            };
            let at = self.source(SourceName::Variable(name.into()), text.into());
            self.assignment(at, &path, accepted);
        }
    }

    fn set(&mut self, set: &str) {
        let (key, value) = set.split_once('=').unwrap_or((set, ""));
        let at = self.source(SourceName::Set(key.trim().into()), value.into());
        if !set.contains('=') {
            let diagnostic = Diagnostic::new(
                DiagnosticCode::Layer,
                Some(at),
                format!("`--set {set}` has no value"),
            );
            return self.diagnostics.push(diagnostic.key(key).accepted("--set a.b=value"));
        }
        let path = key.trim().split('.').map(str::to_owned).collect::<Vec<_>>();
        self.assignment(at, &path, "--set a.b=value");
    }

    fn assignment(&mut self, at: Location, path: &[String], accepted: &str) {
        if path.iter().any(String::is_empty) {
            let name = self.diagnostics.sources.of(at).name.to_string();
            let diagnostic = Diagnostic::new(
                DiagnosticCode::Layer,
                Some(at),
                format!("`{name}` does not name a key"),
            );
            return self.diagnostics.push(diagnostic.accepted(accepted));
        }
        let Some(leaf) = self.leaf(at, path) else { return };
        let whole = branch(at, path.iter().map(String::as_str), leaf);
        let item = check::layer(whole, self.diagnostics);
        self.layers.push(item);
    }

    /// A single value is the text as it stands, so that `[::1]:80` is an address and no list.
    fn leaf(&mut self, at: Location, path: &[String]) -> Option<Node> {
        let text = self.diagnostics.sources.of(at).text.clone();
        let kind = Keys::of(keys::FILE).kind_at(path.iter().map(String::as_str));
        let single = matches!(kind, Some(Kind::Value(_)) | None);
        if !single && text.trim_start().starts_with(['{', '[']) {
            return self.yaml(at, &text);
        }
        let value = if text.is_empty() { Value::Nothing } else { Value::Plain(text.into()) };
        Some(Node { at, value })
    }

    fn flags(&mut self, flags: &Flags) {
        self.flag("--listen", flags.listen.as_deref(), &["listen", "address"]);
        self.flag("--admin", flags.admin.as_deref(), &["admin", "address"]);
        self.flag("--upstream", flags.upstream.as_deref(), &["upstreams", FLAG_UPSTREAM, "url"]);
        if flags.upstream.is_some() {
            let at = self.source(SourceName::Flag("--upstream"), "/".into());
            let path = ["upstreams", FLAG_UPSTREAM, "route", "path"].map(str::to_owned);
            self.assignment(at, &path, "a route");
        }
        let limit = ["upstreams", FLAG_UPSTREAM, "allowances", "all", "limit"];
        self.flag("--limit", flags.limit.as_deref(), &limit);
        let dialect = ["upstreams", FLAG_UPSTREAM, "dialect"];
        self.flag("--dialect", flags.dialect.as_deref(), &dialect);
    }

    fn flag(&mut self, flag: &'static str, value: Option<&str>, path: &[&str]) {
        let Some(value) = value else { return };
        let at = self.source(SourceName::Flag(flag), value.into());
        let path = path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        self.assignment(at, &path, "a value");
    }

    fn source(&mut self, name: SourceName, text: String) -> Location {
        let end = text.len();
        let source = self.diagnostics.sources.add(name, text);
        Location { end, ..Location::whole(source) }
    }
}

fn branch<'p>(
    at: Location,
    path: impl IntoIterator<Item = &'p str, IntoIter: DoubleEndedIterator>,
    leaf: Node,
) -> Node {
    path.into_iter().rev().fold(leaf, |node, key| {
        let member = Member { key: key.into(), at, node };
        Node { at, value: Value::Map(vec![member]) }
    })
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let yaml = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "yaml") && path.is_file();
    let mut files: Vec<_> =
        entries.map(|entry| entry.path()).filter(yaml).take(FOLDER_FILES_MAX).collect();
    files.sort();
    files
}
