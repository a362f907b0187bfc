//! A merged tree of typed values → settings that cannot be wrong.
//!
//! What depends on more than one value is decided here: what is missing, contradicts, or names
//! something that is not there. Every value that comes into force is recorded with its origin.

mod allowance;
mod clients;
mod dialect;
mod futile;
mod policy;
mod reach;
mod upstream;

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use super::check::{Field, Held, Item, SecretRef};
use super::dialects::Dialects;
use super::environment::Environment;
use super::fault::{Fault, Faults, Sort};
use super::keys::{self, Fallback, Keys, Kind};
use super::provenance::{Origin, Provenance};
use super::scalar::Plain;
use super::secret::{Secret, SecretsRead};
use super::settings::Settings;
use super::tree::At;
use crate::{admin, gateway, server, telemetry};

/// What a resolved configuration consists of.
pub(super) struct Resolved {
    pub(super) settings: Settings,
    pub(super) provenance: Provenance,
    pub(super) warnings: Vec<String>,
}

/// What a configuration is resolved with.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) env: &'a Environment,
    pub(super) dialects: &'a Dialects,
    pub(super) secrets: SecretsRead,
}

/// Resolves a merged tree. Settings come only if there was no fault at all, before or here.
pub(super) fn resolve(root: &Item, given: Given<'_>, faults: &mut Faults) -> Option<Resolved> {
    let mut resolver = Resolver {
        root,
        env: given.env,
        secrets: given.secrets,
        faults,
        provenance: Provenance::default(),
        warnings: Vec::new(),
        dialects: dialect::Known::new(*given.dialects),
    };
    resolver.required(root, keys::ROOT, "", None);
    let settings = resolver.settings();
    let Resolver { faults, provenance, warnings, .. } = resolver;
    let settings = settings.filter(|_| faults.count() == 0)?;
    Some(Resolved { settings, provenance, warnings })
}

struct Resolver<'a> {
    root: &'a Item,
    env: &'a Environment,
    secrets: SecretsRead,
    faults: &'a mut Faults,
    provenance: Provenance,
    warnings: Vec<String>,
    dialects: dialect::Known,
}

/// The maps in which a setting is looked up, the strongest first.
#[derive(Clone)]
struct Scope<'a> {
    /// Where the settings belong, dotted.
    path: String,
    /// The keys that are known there, for their defaults.
    keys: Keys,
    /// Stronger than what a dialect says.
    strong: Vec<&'a Item>,
    /// Weaker than what a dialect says.
    weak: Option<&'a Item>,
    record: Record,
}

/// Which values are recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Record {
    /// All that are in force.
    All,
    /// Those that the strongest map itself says: the rest is recorded where it belongs.
    Own,
}

impl<'a> Scope<'a> {
    /// One map of settings.
    fn of(item: Option<&'a Item>, keys: Keys, path: impl Into<String>) -> Self {
        let strong = item.into_iter().collect();
        Self { path: path.into(), keys, strong, weak: None, record: Record::All }
    }

    fn key(&self, path: &[&str]) -> String {
        [&[self.path.as_str()], path].concat().join(".").trim_start_matches('.').to_owned()
    }

    fn own(&self, path: &[&str]) -> Option<&'a Item> {
        self.strong.first()?.find(path.iter().copied())
    }

    fn strong(&self, path: &[&str]) -> Option<&'a Item> {
        self.strong.iter().find_map(|item| item.find(path.iter().copied()))
    }

    fn written(&self, path: &[&str]) -> Option<&'a Item> {
        self.strong(path).or_else(|| self.weak?.find(path.iter().copied()))
    }

    /// What the table says when nobody says anything.
    fn fallback(&self, path: &[&str]) -> Option<Plain> {
        let (last, parents) = path.split_last()?;
        let step = |keys, name: &&str| match &keys::find(keys, name)?.kind {
            Kind::Map(keys) | Kind::Short { keys, .. } => Some(*keys),
            Kind::One(_)
            | Kind::Named { .. }
            | Kind::List { .. }
            | Kind::Secret
            | Kind::Data(_)
            | Kind::Later { .. } => None,
        };
        let keys = parents.iter().try_fold(self.keys, step)?;
        match &keys::find(keys, last)?.fallback {
            Fallback::Is(value) => Some(value()),
            Fallback::Means(_) | Fallback::Required => None,
        }
    }
}

impl<'a> Resolver<'a> {
    fn settings(&mut self) -> Option<Settings> {
        let root = Scope::of(Some(self.root), keys::ROOT, "");
        self.option(&root, &["version"]);
        let server = self.server(&root);
        let admin = self.admin(&root);
        self.two_listeners(&root, server.as_ref(), admin.as_ref());
        let (clients, client_limits) = self.clients(&root);
        self.define_dialects();
        let upstreams = self.upstreams();
        let gateway = gateway::Settings {
            clients,
            client_limits,
            routes: self.routes(),
            replay_bytes_max: self.bytes(&root, &["replay", "total"]),
            accounts_max: self.number(&root, &["accounts", "max"]),
            via: self.setting(&root, &["listen", "via"]).to_string().into(),
            upstreams: Vec::new(),
        };
        let telemetry = self.telemetry(&root);
        if let (Some(server), Some(admin)) = (&server, &admin) {
            self.warn_of_futile_whole(&root, (server, admin.address));
        }
        let (behind, upstreams): (Vec<_>, Vec<_>) = upstreams.into_iter().flatten().unzip();
        let gateway = gateway::Settings { upstreams: behind, ..gateway };
        Some(Settings { server: server?, admin: admin?, gateway, upstreams, telemetry })
    }

    fn server(&mut self, root: &Scope<'a>) -> Option<server::Settings> {
        Some(server::Settings {
            address: self.address(root, &["listen", "address"])?,
            workers: self.workers(root),
            head_timeout: self.duration(root, &["listen", "head", "timeout"]),
            idle_timeout: self.duration(root, &["listen", "idle"]),
            connections_max: self.number(root, &["listen", "connections", "max"]),
            head_bytes_max: self.bytes(root, &["listen", "head", "max"]),
            headers_max: self.number(root, &["listen", "head", "headers"]),
            target_bytes_max: self.bytes(root, &["listen", "head", "target"]),
            streams_max: self.small(root, &["listen", "connections", "streams"]),
            shutdown: server::Shutdown {
                delay: self.duration(root, &["shutdown", "delay"]),
                grace: self.duration(root, &["shutdown", "grace"]),
            },
        })
    }

    fn workers(&mut self, root: &Scope<'a>) -> usize {
        let written = self.setting(root, &["listen", "workers"]).count();
        let one_per_core = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        written.map_or_else(one_per_core, |number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn admin(&mut self, root: &Scope<'a>) -> Option<admin::Settings> {
        let address = self.address(root, &["admin", "address"])?;
        let token = self.admin_token(root);
        if root.written(&["admin", "token"]).is_none() && !address.ip().is_loopback() {
            let at = root.written(&["admin", "address"]).map(|item| item.at);
            let message = format!("{address} can be reached from elsewhere, and there is no token");
            let fault = Fault::new(Sort::Conflict, at, message).key("admin.address");
            let accepted = "`admin.token: { env: NAME }`, or a loopback address";
            self.faults.push(fault.found(address.to_string()).accepted(accepted));
        }
        Some(admin::Settings { address, token })
    }

    /// Both listeners cannot have one address; port 0 is another port each time.
    fn two_listeners(
        &mut self,
        root: &Scope<'a>,
        server: Option<&server::Settings>,
        admin: Option<&admin::Settings>,
    ) {
        let (Some(server), Some(admin)) = (server, admin) else { return };
        let (here, there) = (server.address, admin.address);
        let meets =
            here.ip() == there.ip() || here.ip().is_unspecified() || there.ip().is_unspecified();
        if here.port() == there.port() && here.port() != 0 && meets {
            let written = root.written(&["admin", "address"]);
            let written = written.or_else(|| root.written(&["listen", "address"]));
            let message = format!("`listen.address` {here} and `admin.address` {there} collide");
            let key = "admin.address".to_owned();
            self.conflict(written, key, message, "two addresses, or two ports");
        }
    }

    fn telemetry(&mut self, root: &Scope<'a>) -> telemetry::Settings {
        let access = self.setting(root, &["telemetry", "log", "access"]);
        let format = self.setting(root, &["telemetry", "log", "format"]);
        telemetry::Settings {
            level: self.setting(root, &["telemetry", "log", "level"]).to_string(),
            access: match access.to_string().as_str() {
                "none" => telemetry::Access::None,
                "all" => telemetry::Access::All,
                _ => telemetry::Access::ErrorsAndSlow,
            },
            format: match format.to_string().as_str() {
                "text" => telemetry::Format::Text,
                "json" => telemetry::Format::Json,
                _ => telemetry::Format::Auto,
            },
        }
    }

    /// Complains about every required key that no layer has.
    fn required(&mut self, item: &Item, keys: Keys, path: &str, at: Option<At>) {
        for key in keys::each(keys) {
            let path = format!("{path}.{}", key.name);
            let path = path.trim_start_matches('.');
            match item.field(key.name) {
                Some(field) => self.required_inside(field, &key.kind, path),
                None if matches!(key.fallback, Fallback::Required) => self.missing(at, key, path),
                None => {}
            }
        }
    }

    /// A map that lacks something is pointed at by its key, an element of a list by itself.
    fn required_inside(&mut self, field: &Field, kind: &'static Kind, path: &str) {
        match (&field.item.held, kind) {
            (Held::Map(_), Kind::Map(keys) | Kind::Short { keys, .. }) => {
                self.required(&field.item, keys, path, Some(field.at));
            }
            (Held::Map(fields), Kind::Named { of, .. }) => {
                for field in fields {
                    self.required_inside(field, of, &format!("{path}.{}", field.key));
                }
            }
            (Held::List(items), Kind::List { of: Kind::Map(keys), .. }) => {
                for (number, item) in items.iter().enumerate() {
                    self.required(item, keys, &format!("{path}.{number}"), Some(item.at));
                }
            }
            _ => {}
        }
    }

    fn missing(&mut self, at: Option<At>, key: &keys::Key, path: &str) {
        let owner = path.rsplit_once('.').map(|(owner, _)| format!("`{owner}`"));
        let owner = owner.unwrap_or_else(|| "the configuration".into());
        let first = self.faults.sources.all().first().map(|_| At::whole(0));
        let message = format!("{owner} has no `{}`", key.name);
        let fault = Fault::new(Sort::MissingKey, at.or(first), message);
        self.faults.push(fault.key(path).accepted(key.accepted()));
    }

    /// A bearer token travels as text.
    fn admin_token(&mut self, root: &Scope<'a>) -> Option<admin::Token> {
        let path = ["admin", "token"];
        let secret = self.secret(root, &path)?;
        let text = std::str::from_utf8(secret.bytes()).ok().map(|text| admin::Token(text.into()));
        if text.is_none() {
            let at = root.written(&path).map(|item| item.at);
            let fault = Fault::new(Sort::Secret, at, "the token is not UTF-8").key("admin.token");
            self.faults.push(fault.accepted("one line of visible characters"));
        }
        text
    }
}

/// Typed lookups. The table of keys gives each key its type, so a lookup cannot miss it.
impl<'a> Resolver<'a> {
    /// The value in force, recorded; nothing when nobody says anything or what is said is faulty.
    fn option(&mut self, scope: &Scope<'a>, path: &[&str]) -> Option<Plain> {
        let written = scope.written(path);
        let origin = match written {
            Some(item) => Origin::Written(self.faults.sources.position(item.at)),
            None => Origin::Default,
        };
        let value = match written.map(|item| &item.held) {
            Some(Held::Plain(plain)) => Some(plain.clone()),
            Some(_) => None,
            None => scope.fallback(path),
        };
        if let Some(value) = &value {
            self.record(scope, path, value.to_yaml(), origin);
        }
        value
    }

    fn record(&mut self, scope: &Scope<'a>, path: &[&str], value: String, origin: Origin) {
        if scope.record == Record::All || scope.own(path).is_some() {
            self.provenance.record(scope.key(path), value, origin);
        }
    }

    /// The value of a key that has a default.
    fn setting(&mut self, scope: &Scope<'a>, path: &[&str]) -> Plain {
        let value = self.option(scope, path).or_else(|| scope.fallback(path));
        value.expect("the table gives this key a default")
    }

    fn duration(&mut self, scope: &Scope<'a>, path: &[&str]) -> std::time::Duration {
        let value = self.setting(scope, path).duration();
        value.expect("the table says duration")
    }

    fn bytes(&mut self, scope: &Scope<'a>, path: &[&str]) -> usize {
        let value = self.setting(scope, path).size().expect("the table says size");
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn number(&mut self, scope: &Scope<'a>, path: &[&str]) -> usize {
        let value = self.setting(scope, path).count().expect("the table says count");
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    fn small(&mut self, scope: &Scope<'a>, path: &[&str]) -> u32 {
        u32::try_from(self.number(scope, path)).unwrap_or(u32::MAX)
    }

    fn flag(&mut self, scope: &Scope<'a>, path: &[&str]) -> bool {
        self.setting(scope, path) == Plain::Flag(true)
    }

    fn word(&mut self, scope: &Scope<'a>, path: &[&str]) -> String {
        self.setting(scope, path).to_string()
    }

    fn address(&mut self, scope: &Scope<'a>, path: &[&str]) -> Option<SocketAddr> {
        self.setting(scope, path).address()
    }

    fn secret(&mut self, scope: &Scope<'a>, path: &[&str]) -> Option<Secret> {
        let item = scope.written(path)?;
        let Held::Secret(reference) = &item.held else { return None };
        let place = self.faults.sources.position(item.at);
        self.record(scope, path, reference.shown(), Origin::Written(place.clone()));
        let key = scope.key(path);
        let secret = self.reveal(reference, item.at, &key)?;
        if let [b'"', .., b'"'] | [b'\'', .., b'\''] = secret.bytes() {
            let message = "the secret stands in quotes, which are sent as a part of it";
            self.warnings.push(format!("{key}: {message} ({place})"));
        }
        Some(secret)
    }

    fn reveal(&mut self, reference: &SecretRef, at: At, key: &str) -> Option<Secret> {
        if self.secrets == SecretsRead::No {
            return Some(Secret::unread(key));
        }
        let folder = self.faults.sources.folder(at).to_owned();
        match Secret::resolve(reference, self.env, &folder) {
            Ok(secret) if http::HeaderValue::from_bytes(secret.bytes()).is_ok() => Some(secret),
            Ok(_) => self.bad_secret(at, key, "the secret has bytes that no header may have"),
            Err(message) => self.bad_secret(at, key, message),
        }
    }

    fn bad_secret(&mut self, at: At, key: &str, message: impl Into<String>) -> Option<Secret> {
        let fault = Fault::new(Sort::Secret, Some(at), message).key(key);
        self.faults.push(fault.accepted("one line of visible characters, in a variable or a file"));
        None
    }

    fn conflict(&mut self, item: Option<&Item>, key: String, message: String, accepted: &str) {
        let fault = Fault::new(Sort::Conflict, item.map(|item| item.at), message);
        self.faults.push_once(fault.key(key).accepted(accepted));
    }
}
