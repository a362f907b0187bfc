//! What the window must know.

use std::net::SocketAddr;
use std::sync::Arc;

/// Where operators look in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address of the admin listener.
    pub address: SocketAddr,
    /// What changes something must carry; needed beyond loopback.
    pub token: Option<Token>,
}

/// A bearer token; never printed.
#[derive(Clone)]
pub struct Token(pub Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
