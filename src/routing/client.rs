//! Identifies a client by the key it presents. Keys are only compared, never printed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// How urgent a client's calls are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// A person is waiting.
    Interactive,
    #[default]
    Normal,
    Batch,
}

#[derive(Clone, Debug)]
pub struct Client {
    /// Also a metric label.
    pub name: Arc<str>,
    /// Tells it apart from others, over reloads too: a hash of its name.
    pub id: u64,
    pub priority: Priority,
    /// Its weight among the clients whose calls wait.
    pub share: u32,
}

impl Client {
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, priority: Priority, share: u32) -> Self {
        let name = name.into();
        Self { id: client_id(&name), name, priority, share }
    }
}

/// What tells a client of this name apart from others.
#[must_use]
pub fn client_id(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// The clients of the configuration and their keys.
pub struct Clients {
    key_header: HeaderName,
    clients: Vec<Client>,
    /// Index of the client by key. Empty when no keys are configured.
    keys: HashMap<Box<[u8]>, usize>,
}

/// A client that was identified, and the header that carried its key (which is never sent on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identified {
    /// Index into [`Clients::all`].
    pub client: usize,
    pub key: KeyLocation,
}

/// Which header carried a client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLocation {
    /// No keys are configured.
    None,
    /// The configured key header.
    KeyHeader,
    /// `Authorization: Bearer`.
    Authorization,
}

/// Why a request could not be identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownClient {
    NoKey,
    WrongKey,
}

impl Clients {
    /// Without keys every request belongs to the client `default`.
    #[must_use]
    pub fn without_keys(key_header: HeaderName) -> Self {
        let default = Client::new("default", Priority::default(), 1);
        Self { key_header, clients: vec![default], keys: HashMap::new() }
    }

    #[must_use]
    pub fn with_keys(key_header: HeaderName, clients: Vec<(Client, Box<[u8]>)>) -> Self {
        let keys = clients.iter().enumerate().map(|(n, (_, key))| (key.clone(), n)).collect();
        let clients = clients.into_iter().map(|(client, _)| client).collect();
        Self { key_header, clients, keys }
    }

    #[must_use]
    pub fn all(&self) -> &[Client] {
        &self.clients
    }

    /// The header that carries a client's key. It is never sent to the upstream.
    #[must_use]
    pub const fn key_header(&self) -> &HeaderName {
        &self.key_header
    }

    /// # Errors
    /// Keys are configured, and the request carries none of them.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Identified, UnknownClient> {
        if self.keys.is_empty() {
            return Ok(Identified { client: 0, key: KeyLocation::None });
        }
        if let Some(key) = headers.get(&self.key_header) {
            return self.by_key(key.as_bytes(), KeyLocation::KeyHeader);
        }
        let authorization = headers.get(AUTHORIZATION).ok_or(UnknownClient::NoKey)?;
        let key = bearer(authorization.as_bytes()).ok_or(UnknownClient::NoKey)?;
        self.by_key(key, KeyLocation::Authorization)
    }

    fn by_key(&self, key: &[u8], place: KeyLocation) -> Result<Identified, UnknownClient> {
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
        let client = |name: &str| Client::new(name, Priority::Normal, 1);
        let keyed = |name: &str, key: &[u8]| (client(name), Box::from(key));
        Clients::with_keys(
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
    fn a_key_is_accepted_in_either_header() {
        let found = |client, key| Ok(Identified { client, key });
        assert_eq!(identify("evenkeel-key", "s3cret"), found(0, KeyLocation::KeyHeader));
        assert_eq!(identify("authorization", "bearer 0ther"), found(1, KeyLocation::Authorization));
        assert_eq!(identify("authorization", "Basic 0ther"), Err(UnknownClient::NoKey));
        assert_eq!(identify("evenkeel-key", "wrong"), Err(UnknownClient::WrongKey));
        assert_eq!(identify("accept", "s3cret"), Err(UnknownClient::NoKey));
    }

    #[test]
    fn without_keys_every_request_is_the_default_client() {
        let clients = Clients::without_keys(HeaderName::from_static("evenkeel-key"));
        let found = clients.identify(&HeaderMap::new());
        assert_eq!(found, Ok(Identified { client: 0, key: KeyLocation::None }));
        assert_eq!(&*clients.all()[0].name, "default");
    }

    #[test]
    fn keys_are_not_printed() {
        assert!(!format!("{:?}", clients()).contains("s3cret"));
    }
}
