//! The settings of the admin listener.

use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Settings {
    pub address: SocketAddr,
    /// Required of requests that change something; mandatory unless the address is loopback.
    pub token: Option<Token>,
}

/// A bearer token; its `Debug` output hides it.
#[derive(Clone)]
pub struct Token(pub Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
