//! The clients, their keys and limits.

use std::collections::HashMap;

use super::reader::{Resolver, Scope};
use crate::allowance::Allowance;
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::item::Field;
use crate::config::keys;
use crate::config::tree::Location;
use crate::gateway::ErrorShape;
use crate::retry::client::ClientRetries;
use crate::routing::client::{Client, Clients};

/// The clients, and what the gateway keeps of each beside them, by client number.
pub(super) struct ConfiguredClients {
    pub(super) clients: Clients,
    pub(super) limits: Vec<Option<Allowance>>,
    pub(super) retries: Vec<Option<ClientRetries>>,
    pub(super) errors: Vec<Option<ErrorShape>>,
}

struct ConfiguredClient {
    client: Client,
    key: Box<[u8]>,
    limit: Option<Allowance>,
    errors: Option<ErrorShape>,
    retries: Option<ClientRetries>,
}

impl<'a> Resolver<'a> {
    /// Without any, all requests are of the client `default`.
    pub(super) fn clients(&mut self, root: &Scope<'a>) -> ConfiguredClients {
        let header = self.get(root, &keys::CLIENT_KEY_HEADER).name;
        let fields = root.entries(&keys::CLIENTS);
        if fields.is_empty() {
            let (limits, retries, errors) = (vec![None], vec![None], vec![None]);
            let clients = Clients::without_keys(header);
            return ConfiguredClients { clients, limits, retries, errors };
        }
        let mut known_keys = HashMap::new();
        let clients = fields.iter().filter_map(|field| self.client(field, &mut known_keys));
        let own = |it: ConfiguredClient| ((it.client, it.key), (it.limit, (it.retries, it.errors)));
        let (clients, (limits, (retries, errors))): (Vec<_>, (Vec<_>, (Vec<_>, Vec<_>))) =
            clients.map(own).unzip();
        ConfiguredClients { clients: Clients::with_keys(header, clients), limits, retries, errors }
    }

    fn client(
        &mut self,
        field: &'a Field,
        known_keys: &mut HashMap<Box<[u8]>, Location>,
    ) -> Option<ConfiguredClient> {
        let scope = Scope::of(Some(&field.item), keys::CLIENT, format!("clients.{}", field.key));
        let priority = self.get(&scope, &keys::CLIENT_PRIORITY);
        let share = self.get(&scope, &keys::CLIENT_SHARE);
        let errors = self.optional(&scope, &keys::CLIENT_ERRORS);
        let retries = self.optional(&scope, &keys::OWN_RETRIES);
        let limit = scope.own(&keys::CLIENT_LIMIT).and_then(|item| {
            let path = scope.key(&keys::CLIENT_LIMIT);
            let scope = Scope::of(Some(item), keys::CLIENT_LIMIT_KEYS, path);
            self.client_limit(&scope, &field.key)
        });
        let key: Box<[u8]> = self.secret(&scope, &keys::CLIENT_KEY)?.bytes().into();
        let at = scope.own(&keys::CLIENT_KEY).map_or(field.at, |item| item.at);
        if let Some(first) = known_keys.insert(key.clone(), at) {
            let message = "two clients have the same key";
            let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(at), message);
            let diagnostic = diagnostic.key(scope.key(&keys::CLIENT_KEY));
            let accepted = "a different key for each client";
            self.diagnostics.push(diagnostic.accepted(accepted).related(first, "the other"));
        }
        let client = Client::new(&*field.key, priority, share);
        Some(ConfiguredClient { client, key, limit, retries, errors })
    }
}
