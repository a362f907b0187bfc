//! The settings of the admin listener.

use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Settings {
    pub address: SocketAddr,
    /// One of them is required of requests that change something; there are some unless the address
    /// is loopback.
    pub tokens: Vec<NamedToken>,
}

/// A token and who holds it.
#[derive(Clone, Debug)]
pub struct NamedToken {
    pub name: Arc<str>,
    pub token: Token,
}

/// A bearer token; its `Debug` output hides it.
#[derive(Clone)]
pub struct Token(pub Arc<str>);

impl Token {
    /// Takes the same time however many bytes are right, so that a token cannot be guessed
    /// bytewise.
    pub(super) fn is(&self, presented: &[u8]) -> bool {
        let token = self.0.as_bytes();
        let differing = presented.iter().zip(token).fold(0, |found, (a, b)| found | (a ^ b));
        presented.len() == token.len() && differing == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
