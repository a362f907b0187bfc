//! From where configuration is read, and in which order.
//!
//! Weakest first: dialect files, an image's defaults in the environment, files as given, the
//! environment, `--set`, other flags. What cannot be read is a fault; everything else is read all
//! the same.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::check::{self, Field, Held, Item};
use super::environment::Environment;
use super::fault::{Fault, Faults, Sort};
use super::keys::{self, Kind};
use super::secret::SecretsRead;
use super::tree::{At, Member, Name, Node, Value};
use super::yaml;

/// No configuration is longer; a longer file is the wrong one.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Files of one folder.
const FOLDER_FILES_MAX: usize = 1_000;

/// What was asked for on the command line.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// What the program wrote itself, instead of any file: the demo does.
    pub text: Option<String>,
    /// `-c`, in order: files, folders, or `-` for standard input.
    pub files: Vec<PathBuf>,
    /// `--set a.b=v`, in order.
    pub sets: Vec<String>,
    /// The form without a file.
    pub flags: Flags,
    /// Whether secrets are read.
    pub secrets: SecretsRead,
}

/// The form without a file: one upstream with the route `/`.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--upstream URL`
    pub upstream: Option<String>,
    /// `--limit 10/s`
    pub limit: Option<String>,
    /// `--dialect NAME`
    pub dialect: Option<String>,
    /// `--listen ADDRESS`
    pub listen: Option<String>,
    /// `--admin ADDRESS`
    pub admin: Option<String>,
}

/// What it means that no configuration is named and none is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// There is nothing to run on.
    Fault,
    /// Everything has its default.
    Defaults,
}

/// The name of the upstream that `--upstream` describes.
const FLAG_UPSTREAM: &str = "upstream";

/// All layers, the weakest first.
pub(super) struct Gathered {
    pub(super) layers: Vec<Item>,
    /// How many texts could not be read: what they say is missing.
    pub(super) unread: usize,
}

/// Reads all layers. One that cannot be read does not keep the others from being checked.
pub(super) fn gather(
    request: &Request,
    env: &Environment,
    absence: Absence,
    faults: &mut Faults,
) -> Gathered {
    let mut gatherer = Gatherer { faults, layers: Vec::new(), absence, unread: 0 };
    gatherer.variables(env.defaults(), "EVENKEEL_DEFAULT__A__B, for the key a.b");
    gatherer.files(request, env);
    gatherer.variables(env.settings(), "EVENKEEL__A__B, for the key a.b");
    request.sets.iter().for_each(|set| gatherer.set(set));
    gatherer.flags(&request.flags);
    let Gatherer { layers, unread, .. } = gatherer;
    Gathered { layers, unread }
}

/// Where a file is looked for when none is named.
fn search_path(env: &Environment) -> Vec<PathBuf> {
    let config_home = env.value("XDG_CONFIG_HOME").map(PathBuf::from);
    let config_home =
        config_home.or_else(|| Some(PathBuf::from(env.value("HOME")?).join(".config")));
    let homes = [Some(PathBuf::new()), config_home, Some(PathBuf::from("/etc"))];
    let [here, home, system] = homes;
    let below = |home: PathBuf| home.join("evenkeel").join("evenkeel.yaml");
    let here = here.map(|here| here.join("evenkeel.yaml"));
    here.into_iter().chain(home.map(below)).chain(system.map(below)).collect()
}

struct Gatherer<'f> {
    faults: &'f mut Faults,
    layers: Vec<Item>,
    absence: Absence,
    /// Texts that could not be read.
    unread: usize,
}

impl Gatherer<'_> {
    fn files(&mut self, request: &Request, env: &Environment) {
        if let Some(text) = &request.text {
            return self.layer(Name::Program, Ok(text.clone()));
        }
        let files = self.named_or_found(request, env);
        for file in &files {
            self.file_or_folder(file);
        }
        let first = files.first().filter(|file| file.as_os_str() != "-");
        if let Some(first) = first {
            let home = if first.is_dir() { Some(first.as_path()) } else { first.parent() };
            self.dialects(&home.unwrap_or(Path::new("")).join("dialects"));
        }
    }

    fn named_or_found(&mut self, request: &Request, env: &Environment) -> Vec<PathBuf> {
        if !request.files.is_empty() {
            return request.files.clone();
        }
        if request.flags.upstream.is_some() {
            return Vec::new();
        }
        if let Some(named) = env.value("EVENKEEL_CONFIG") {
            return vec![named.into()];
        }
        let places = search_path(env);
        let found = places.iter().find(|place| place.exists()).cloned();
        let without = env.settings().next().is_some() || !request.sets.is_empty();
        if found.is_none() && !without && self.absence == Absence::Fault {
            self.nothing_found(&places);
        }
        found.into_iter().collect()
    }

    fn nothing_found(&mut self, places: &[PathBuf]) {
        self.unread += 1;
        let places = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>();
        let fault = Fault::new(Sort::File, None, "no configuration file was found");
        self.faults.push(fault.accepted(format!(
            "`-c FILE`, `--upstream URL`, $EVENKEEL_CONFIG, or one of {}",
            places.join(", ")
        )));
    }

    fn file_or_folder(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            return self.layer(Name::Stdin, read_bounded(&mut std::io::stdin().lock()));
        }
        if !path.is_dir() {
            return self.layer(Name::File(path.into()), read_file(path));
        }
        let inside = yaml_files(path);
        if inside.is_empty() {
            self.unread += 1;
            let at = self.source(Name::File(path.into()), String::new());
            let fault = Fault::new(Sort::File, Some(at), "the folder holds no *.yaml");
            self.faults.push(fault.accepted("a file, or a folder with *.yaml files"));
        }
        for file in inside {
            self.layer(Name::File(file.clone()), read_file(&file));
        }
    }

    fn layer(&mut self, name: Name, text: Result<String, String>) {
        if let Some(node) = self.document(name, text) {
            let item = check::layer(node, self.faults);
            self.layers.push(item);
        }
    }

    fn document(&mut self, name: Name, text: Result<String, String>) -> Option<Node> {
        match text {
            Ok(text) => {
                let at = self.source(name, text.clone());
                self.yaml(at, &text)
            }
            Err(message) => {
                self.unread += 1;
                let at = self.source(name, String::new());
                self.faults.push(Fault::new(Sort::File, Some(at), message));
                None
            }
        }
    }

    /// Nothing for a text without content, which is no fault.
    fn yaml(&mut self, at: At, text: &str) -> Option<Node> {
        let read = yaml::read(at.source, text, self.faults);
        self.unread += usize::from(read.is_err());
        read.ok().flatten()
    }

    /// Dialects in files of their own are weaker than any file that names the same.
    fn dialects(&mut self, folder: &Path) {
        for file in yaml_files(folder) {
            let Some(node) = self.document(Name::File(file.clone()), read_file(&file)) else {
                continue;
            };
            let name = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let at = node.at;
            let dialect = Node { at, value: branch(at, [name], node).value };
            let whole = branch(at, ["dialects"], dialect);
            let item = check::layer(whole, self.faults);
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
                let at = self.source(Name::Variable(name.into()), String::new());
                let fault = Fault::new(Sort::Layer, Some(at), format!("{name} is not UTF-8"));
                self.faults.push(fault.accepted("text in UTF-8"));
                continue;
            };
            let at = self.source(Name::Variable(name.into()), text.into());
            self.assignment(at, &path, accepted);
        }
    }

    fn set(&mut self, set: &str) {
        let (key, value) = set.split_once('=').unwrap_or((set, ""));
        let at = self.source(Name::Set(key.trim().into()), value.into());
        if !set.contains('=') {
            let fault = Fault::new(Sort::Layer, Some(at), format!("`--set {set}` sets nothing"));
            return self.faults.push(fault.key(key).accepted("--set a.b=value"));
        }
        let path = key.trim().split('.').map(str::to_owned).collect::<Vec<_>>();
        self.assignment(at, &path, "--set a.b=value");
    }

    fn assignment(&mut self, at: At, path: &[String], accepted: &str) {
        if path.iter().any(String::is_empty) {
            let name = self.faults.sources.of(at).name.to_string();
            let fault = Fault::new(Sort::Layer, Some(at), format!("`{name}` names no key"));
            return self.faults.push(fault.accepted(accepted));
        }
        let Some(leaf) = self.leaf(at, path) else { return };
        let whole = branch(at, path.iter().map(String::as_str), leaf);
        let item = check::layer(whole, self.faults);
        self.layers.push(item);
    }

    /// A scalar takes the text as it stands, so that `[::1]:80` is an address and no list.
    fn leaf(&mut self, at: At, path: &[String]) -> Option<Node> {
        let text = self.faults.sources.of(at).text.clone();
        let kind = keys::kind_at(path.iter().map(String::as_str));
        let scalar = matches!(kind, Some(Kind::One(_)) | None);
        if !scalar && text.trim_start().starts_with(['{', '[']) {
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
            let at = self.source(Name::Flag("--upstream"), "/".into());
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
        let at = self.source(Name::Flag(flag), value.into());
        let path = path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        self.assignment(at, &path, "a value");
    }

    fn source(&mut self, name: Name, text: String) -> At {
        let end = text.len();
        let source = self.faults.sources.add(name, text);
        At { end, ..At::whole(source) }
    }
}

fn branch<'p>(
    at: At,
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

fn read_file(path: &Path) -> Result<String, String> {
    let mut file = fs::File::open(path).map_err(|error| cannot_read(&error))?;
    read_bounded(&mut file)
}

fn read_bounded(reader: &mut dyn std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| cannot_read(&error))?;
    if read as u64 > FILE_BYTES_MAX {
        return Err("the file is longer than 1MiB".into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("the file is not UTF-8: byte {at} belongs to no character")
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Why a file cannot be read, in words that do not depend on the system.
pub(super) fn cannot_read(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let known = [
        (ErrorKind::NotFound, "the file does not exist"),
        (ErrorKind::PermissionDenied, "the file may not be read"),
        (ErrorKind::IsADirectory, "this is a folder, not a file"),
    ];
    let known = known.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or_else(|| format!("the file cannot be read: {error}"), |(_, words)| (*words).into())
}

/// The fields of a merged configuration as one item.
pub(super) fn whole(fields: Vec<Field>) -> Item {
    Item { at: At::whole(0), held: Held::Map(fields) }
}
