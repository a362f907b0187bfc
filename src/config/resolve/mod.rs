//! Merged settings → [`Settings`], which cannot be invalid.
//!
//! What depends on more than one value is decided here: a key is missing, settings contradict each
//! other, a name is not defined. Every value that comes into force is recorded with its origin.

mod allowance;
mod clients;
mod cost;
mod dialect;
mod grant;
mod matchers;
mod operators;
mod policy;
mod profile;
mod reader;
mod unused;
mod unused_rules;
mod upstream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, DiagnosticCode, Diagnostics};
use super::environment::Environment;
use super::item::{Content, Field, Item};
use super::keys::{self, Absent, Keys, Kind};
use super::provenance::Provenance;
use super::secret::SecretsRead;
use super::settings::{Loaded, Settings};
use super::tree::Location;
use crate::allowance::{OnLoss, OnLossMode, StateSettings, StoreSettings};
use crate::{admin, gateway, server, telemetry};
use reader::{Resolver, Scope};

/// Resolves a merged tree. There are settings only without any diagnostic, earlier ones included.
pub(super) fn resolve(
    root: &Item,
    env: &Environment,
    secrets: SecretsRead,
    diagnostics: &mut Diagnostics,
) -> Option<Loaded> {
    let mut resolver = Resolver {
        root,
        env,
        secrets,
        diagnostics,
        provenance: Provenance::default(),
        warnings: Vec::new(),
        own_dialects: BTreeMap::new(),
    };
    resolver.required_keys(root, Keys::of(keys::FILE), "", None);
    let settings = resolver.settings();
    let Resolver { diagnostics, provenance, warnings, .. } = resolver;
    let settings = settings.filter(|_| diagnostics.count() == 0)?;
    Some(Loaded { settings, provenance, warnings, files: diagnostics.read.clone() })
}

/// The address of the admin listener; `None` when it is faulty.
pub(super) fn admin_address(root: &Item) -> Option<SocketAddr> {
    let root = Scope::of(Some(root), keys::FILE, "");
    let faulty = root.written(&keys::ADMIN_ADDRESS).is_some_and(Item::is_faulty);
    Some(root.value(&keys::ADMIN_ADDRESS)).filter(|_| !faulty)
}

impl<'a> Resolver<'a> {
    fn settings(&mut self) -> Option<Settings> {
        let root = Scope::of(Some(self.root), keys::FILE, "");
        self.get(&root, &keys::VERSION);
        let server = self.server(&root);
        let admin = self.admin(&root);
        self.distinct_listeners(&root, &server, &admin);
        let clients = self.clients(&root);
        self.define_dialects(&root);
        let upstreams = self.upstreams(&root);
        let gateway = gateway::Settings {
            clients: clients.clients,
            client_limits: clients.limits,
            client_retries: clients.retries,
            client_errors: clients.errors,
            routes: self.routes(&root),
            replay_bytes_max: self.get(&root, &keys::REPLAY_TOTAL),
            accounts_max: self.get(&root, &keys::ACCOUNTS_MAX),
            via: self.get(&root, &keys::VIA).into(),
            upstreams: Vec::new(),
        };
        let telemetry = telemetry::Settings {
            level: self.get(&root, &keys::LOG_LEVEL).into_owned(),
            access: self.get(&root, &keys::LOG_ACCESS),
            format: self.get(&root, &keys::LOG_FORMAT),
        };
        self.warn_of_unused(&root, &server, &admin);
        let (sides, upstreams): (Vec<_>, Vec<_>) = upstreams.into_iter().flatten().unzip();
        let gateway = gateway::Settings { upstreams: sides, ..gateway };
        let store = self.store(&root);
        let state = self.state(&root, store.is_some());
        Some(Settings { server, admin, gateway, upstreams, telemetry, state, store })
    }

    /// Where replicas share allowances.
    fn store(&mut self, root: &Scope<'a>) -> Option<StoreSettings> {
        let url = self.secret(root, &keys::STORE_URL);
        let sentinel_master = self.optional(root, &keys::STORE_SENTINEL);
        let is_cluster = self.get(root, &keys::STORE_CLUSTER);
        let prefix = self.get(root, &keys::STORE_PREFIX);
        let timeout = self.get(root, &keys::STORE_TIMEOUT);
        let on_loss = self.get(root, &keys::ON_LOSS);
        let percent = self.get(root, &keys::RESERVE);
        let replicas_max = self.get(root, &keys::RESERVES_MAX);
        let first_start = self.optional(root, &keys::STORE_FIRST_START);
        if let (true, Some(item)) = (is_cluster, root.written(&keys::STORE_SENTINEL)) {
            let message = "a store is a cluster or found by Sentinels, not both";
            let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(item.at), message);
            let accepted = "one of `store.redis.sentinel_master` and `store.redis.cluster`";
            let diagnostic = diagnostic.key(root.key(&keys::STORE_SENTINEL));
            self.diagnostics.push(diagnostic.accepted(accepted));
        }
        Some(StoreSettings {
            url: String::from_utf8_lossy(url?.bytes()).as_ref().into(),
            sentinel_master: sentinel_master.map(|name| name.as_ref().into()),
            is_cluster,
            prefix: prefix.as_ref().into(),
            on_loss: match on_loss {
                OnLossMode::Reserve => OnLoss::Reserve { percent, replicas_max },
                OnLossMode::Stop => OnLoss::Stop,
            },
            timeout,
            first_start,
        })
    }

    fn state(&mut self, root: &Scope<'a>, is_shared: bool) -> Option<StateSettings> {
        // systemd separates several directories by colons, and creates the first one for this.
        let from_systemd = || {
            let directories = self.env.value("STATE_DIRECTORY")?.to_str()?;
            directories.split(':').next().filter(|it| it.starts_with('/')).map(PathBuf::from)
        };
        // Where allowances are shared, the directory that systemd offers is not needed.
        let from_systemd = from_systemd().filter(|_| !is_shared);
        let dir = self.optional(root, &keys::STATE_DIR).or(from_systemd);
        let first_start = self.optional(root, &keys::FIRST_START);
        let shortest = self.get(root, &keys::SHORTEST_WINDOW);
        if let (true, Some(item)) = (is_shared, root.written(&keys::STATE_DIR)) {
            let message = "nothing is recorded there, because allowances are shared in a store";
            self.warn(item.at, &root.key(&keys::STATE_DIR), message);
            return None;
        }
        dir.map(|dir| StateSettings { dir, first_start, shortest })
    }

    fn server(&mut self, root: &Scope<'a>) -> server::Settings {
        let one_per_core = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        server::Settings {
            address: self.get(root, &keys::LISTEN_ADDRESS),
            workers: self.get(root, &keys::WORKERS).unwrap_or_else(one_per_core),
            head_timeout: self.get(root, &keys::HEAD_TIMEOUT),
            idle_timeout: self.get(root, &keys::LISTEN_IDLE),
            connections_max: self.get(root, &keys::LISTEN_CONNECTIONS_MAX),
            head_bytes_max: self.get(root, &keys::HEAD_BYTES),
            headers_max: self.get(root, &keys::HEADERS),
            target_bytes_max: self.get(root, &keys::TARGET_BYTES),
            streams_max: self.get(root, &keys::LISTEN_STREAMS),
            shutdown: server::Shutdown {
                delay: self.get(root, &keys::SHUTDOWN_DELAY),
                grace: self.get(root, &keys::SHUTDOWN_GRACE),
            },
        }
    }

    /// Port 0 is another port each time, so two listeners may both have it.
    fn distinct_listeners(
        &mut self,
        root: &Scope<'a>,
        server: &server::Settings,
        admin: &admin::Settings,
    ) {
        let (listen, admin) = (server.address, admin.address);
        let same_ip = listen.ip() == admin.ip()
            || listen.ip().is_unspecified()
            || admin.ip().is_unspecified();
        let written = root.written(&keys::ADMIN_ADDRESS);
        let written = written.or_else(|| root.written(&keys::LISTEN_ADDRESS));
        if same_ip && listen.port() == admin.port() && listen.port() != 0 {
            let message =
                format!("`listen.address` {listen} and `admin.address` {admin} are the same");
            let key = root.key(&keys::ADMIN_ADDRESS);
            self.conflict(written.map(|it| it.at), key, message, "two addresses, or two ports");
        }
    }

    /// Reports every required key that no layer has.
    fn required_keys(&mut self, item: &Item, keys: Keys, path: &str, at: Option<Location>) {
        for key in keys.each() {
            let path =
                if path.is_empty() { key.name.into() } else { format!("{path}.{}", key.name) };
            if let Some(field) = item.field(key.name) {
                self.required_keys_inside(field, key.kind, &path);
            } else if key.absent == Absent::Required {
                let owner = path.rsplit_once('.').map(|(owner, _)| format!("`{owner}`"));
                let owner = owner.unwrap_or_else(|| "the configuration".into());
                let first = self.diagnostics.sources.all().first().map(|_| Location::whole(0));
                let message = format!("{owner} has no `{}`", key.name);
                let diagnostic = Diagnostic::new(DiagnosticCode::MissingKey, at.or(first), message);
                self.diagnostics.push(diagnostic.key(path).accepted(key.accepted()));
            }
        }
    }

    /// A map that lacks a key is located by its own key, an entry of a list by itself.
    fn required_keys_inside(&mut self, field: &Field, kind: Kind, path: &str) {
        match (&field.item.content, kind) {
            (Content::Map(_), Kind::Map(keys) | Kind::Shorthand { keys, .. }) => {
                self.required_keys(&field.item, keys, path, Some(field.at));
            }
            (Content::Map(fields), Kind::Named { of, .. }) => {
                for field in fields {
                    self.required_keys_inside(field, of.into(), &format!("{path}.{}", field.key));
                }
            }
            (Content::List(items), Kind::List { of, .. }) => {
                let Kind::Map(keys) = of.into() else { return };
                for (number, item) in items.iter().enumerate() {
                    self.required_keys(item, keys, &format!("{path}.{number}"), Some(item.at));
                }
            }
            _ => {}
        }
    }
}
