//! Who may call.

use std::collections::HashMap;

use super::upstream::client_keys;
use super::{Resolver, Scope};
use crate::allowance::Allowance;
use crate::config::check::Field;
use crate::config::fault::{Fault, Sort};
use crate::config::tree::At;
use crate::routing::client::{Client, Clients, Priority};

/// A client with its key, and its limit.
type Configured = ((Client, Box<[u8]>), Option<Allowance>);

impl<'a> Resolver<'a> {
    /// The clients and the limit of each; without any, everybody is `default`.
    pub(super) fn clients(&mut self, root: &Scope<'a>) -> (Clients, Vec<Option<Allowance>>) {
        let header = self.header(root, &["listen", "client_key_header"]);
        let fallback = || http::HeaderName::from_static(crate::config::defaults::CLIENT_KEY_HEADER);
        let header = header.unwrap_or_else(fallback);
        let fields = root.own(&["clients"]).map_or(&[] as &[Field], |item| item.fields());
        if fields.is_empty() {
            return (Clients::without_keys(header), vec![None]);
        }
        let mut keys = HashMap::new();
        let clients = fields.iter().filter_map(|field| self.client(field, &mut keys));
        let (clients, limits): (Vec<_>, Vec<_>) = clients.unzip();
        (Clients::with_keys(header, clients), limits)
    }

    fn client(
        &mut self,
        field: &'a Field,
        keys: &mut HashMap<Box<[u8]>, At>,
    ) -> Option<Configured> {
        let scope = Scope::of(Some(&field.item), client_keys(), format!("clients.{}", field.key));
        let priority = match self.word(&scope, &["priority"]).as_str() {
            "interactive" => Priority::Interactive,
            "batch" => Priority::Batch,
            _ => Priority::Normal,
        };
        let share = self.share(&scope);
        let limit = self.limit_of(&scope, &field.key);
        let key: Box<[u8]> = self.secret(&scope, &["key"])?.bytes().into();
        let at = scope.own(&["key"]).map_or(field.at, |item| item.at);
        if let Some(first) = keys.insert(key.clone(), at) {
            let message = "two clients have the same key".to_owned();
            let fault = Fault::new(Sort::Conflict, Some(at), message).key(scope.key(&["key"]));
            self.faults.push(fault.accepted("a key of its own for each").also(first, "the other"));
        }
        Some(((Client { name: (*field.key).into(), priority, share }, key), limit))
    }

    /// A weight that changes nothing yet deserves a word.
    fn share(&mut self, scope: &Scope<'a>) -> u32 {
        let share = self.small(scope, &["share"]);
        if share != 1 {
            let key = scope.key(&["share"]);
            let order = "within a priority it is first come, first served";
            self.warnings.push(format!("{key}: shares are not in force yet: {order}"));
        }
        share
    }

    fn limit_of(&mut self, scope: &Scope<'a>, name: &str) -> Option<Allowance> {
        let item = scope.own(&["limit"])?;
        let keys = super::upstream::client_limit_keys();
        self.client_limit(&Scope::of(Some(item), keys, scope.key(&["limit"])), name)
    }
}
