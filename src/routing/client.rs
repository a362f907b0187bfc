//! Who a client is: the credentials it presents → its identity, or a refusal.
//!
//! Refuses to keep or print keys: they are only compared.

use std::collections::HashMap;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// How urgent a client's calls are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody is looking at a screen.
    Interactive,
    /// Everything else.
    #[default]
    Normal,
    /// Can wait.
    Batch,
}

/// One client of the configuration.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name; a metric label.
    pub name: Arc<str>,
    /// How urgent its calls are.
    pub priority: Priority,
    /// Its weight among the waiting clients.
    pub share: u32,
}

/// Everybody who may call.
pub struct Clients {
    key_header: HeaderName,
    clients: Vec<Client>,
    /// Key → number of the client. Empty when everybody is the client `default`.
    keys: HashMap<Box<[u8]>, usize>,
}

/// A client that was recognised, and the header that carried its key to us and nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Its number.
    pub client: usize,
    /// Where its key stood.
    pub key: KeyPlace,
}

/// Where a client's key stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// Nobody needs a key here.
    Nowhere,
    /// In the header of its own.
    KeyHeader,
    /// In `Authorization: Bearer`.
    Authorization,
}

/// No client of ours presented this credential, or none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownClient {
    /// No key.
    NoKey,
    /// A key of nobody.
    WrongKey,
}

impl Clients {
    /// Everybody is the client `default`.
    #[must_use]
    pub fn anybody(key_header: HeaderName) -> Self {
        let default = Client { name: "default".into(), priority: Priority::default(), share: 1 };
        Self { key_header, clients: vec![default], keys: HashMap::new() }
    }

    /// Only these, each by its key.
    #[must_use]
    pub fn keyed(key_header: HeaderName, clients: Vec<(Client, Box<[u8]>)>) -> Self {
        let keys = clients.iter().enumerate().map(|(n, (_, key))| (key.clone(), n)).collect();
        let clients = clients.into_iter().map(|(client, _)| client).collect();
        Self { key_header, clients, keys }
    }

    /// The clients, by their numbers.
    #[must_use]
    pub fn all(&self) -> &[Client] {
        &self.clients
    }

    /// The header that carries a client's key; never sent on.
    #[must_use]
    pub const fn key_header(&self) -> &HeaderName {
        &self.key_header
    }

    /// Who sent these headers.
    ///
    /// # Errors
    /// Clients are configured, and none of them has the key that was presented.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Identified, UnknownClient> {
        if self.keys.is_empty() {
            return Ok(Identified { client: 0, key: KeyPlace::Nowhere });
        }
        if let Some(key) = headers.get(&self.key_header) {
            return self.by_key(key.as_bytes(), KeyPlace::KeyHeader);
        }
        let authorization = headers.get(AUTHORIZATION).ok_or(UnknownClient::NoKey)?;
        let key = bearer(authorization.as_bytes()).ok_or(UnknownClient::NoKey)?;
        self.by_key(key, KeyPlace::Authorization)
    }

    fn by_key(&self, key: &[u8], place: KeyPlace) -> Result<Identified, UnknownClient> {
        let client = self.keys.get(key).copied().ok_or(UnknownClient::WrongKey)?;
        Ok(Identified { client, key: place })
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients")
            .field("key_header", &self.key_header)
            .field("clients", &self.clients)
            .finish_non_exhaustive()
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        let client =
            |name: &str| Client { name: name.into(), priority: Priority::Normal, share: 1 };
        let keyed = |name: &str, key: &[u8]| (client(name), Box::from(key));
        Clients::keyed(
            HeaderName::from_static("evenkeel-key"),
            vec![keyed("shop", b"s3cret"), keyed("night", b"0ther")],
        )
    }

    fn identify(name: &'static str, value: &'static str) -> Result<Identified, UnknownClient> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        clients().identify(&headers)
    }

    #[test]
    fn a_key_is_a_key_in_either_place() {
        let found = |client, key| Ok(Identified { client, key });
        assert_eq!(identify("evenkeel-key", "s3cret"), found(0, KeyPlace::KeyHeader));
        assert_eq!(identify("authorization", "bearer 0ther"), found(1, KeyPlace::Authorization));
        assert_eq!(identify("authorization", "Basic 0ther"), Err(UnknownClient::NoKey));
        assert_eq!(identify("evenkeel-key", "wrong"), Err(UnknownClient::WrongKey));
        assert_eq!(identify("accept", "s3cret"), Err(UnknownClient::NoKey));
    }

    #[test]
    fn without_clients_everybody_is_default() {
        let anybody = Clients::anybody(HeaderName::from_static("evenkeel-key"));
        let found = anybody.identify(&HeaderMap::new());
        assert_eq!(found, Ok(Identified { client: 0, key: KeyPlace::Nowhere }));
        assert_eq!(&*anybody.all()[0].name, "default");
    }

    #[test]
    fn keys_are_not_printed() {
        assert!(!format!("{:?}", clients()).contains("s3cret"));
    }
}
