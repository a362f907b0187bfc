//! The admin listener and its tokens.

use std::collections::HashMap;
use std::sync::Arc;

use super::reader::{Resolver, Scope};
use crate::admin::{self, NamedToken, Token};
use crate::config::diagnostic::{Diagnostic, DiagnosticCode};
use crate::config::keys;
use crate::config::secret::Secret;
use crate::config::tree::Location;

/// The name of the token that is configured without one.
const UNNAMED: &str = "admin";

/// A token as it is written.
struct Written {
    name: Arc<str>,
    key: String,
    at: Location,
    secret: Option<Secret>,
}

impl<'a> Resolver<'a> {
    pub(super) fn admin(&mut self, root: &Scope<'a>) -> admin::Settings {
        let address = self.get(root, &keys::ADMIN_ADDRESS);
        let written = self.admin_tokens(root);
        if written.is_empty() && !address.ip().is_loopback() {
            let at = root.written(&keys::ADMIN_ADDRESS).map(|item| item.at);
            let message =
                format!("{address} can be reached from other machines, and there is no token");
            let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, at, message);
            let diagnostic = diagnostic.key(root.key(&keys::ADMIN_ADDRESS));
            let accepted = "`admin.token: { env: NAME }`, or a loopback address";
            self.diagnostics.push(diagnostic.found(address.to_string()).accepted(accepted));
        }
        let mut known = HashMap::new();
        let tokens = written.into_iter().filter_map(|token| self.token(token, &mut known));
        admin::Settings { address, tokens: tokens.collect() }
    }

    fn admin_tokens(&mut self, root: &Scope<'a>) -> Vec<Written> {
        let mut written = Vec::new();
        if let Some(item) = root.written(&keys::ADMIN_TOKEN) {
            let (key, secret) =
                (root.key(&keys::ADMIN_TOKEN), self.secret(root, &keys::ADMIN_TOKEN));
            written.push(Written { name: UNNAMED.into(), key, at: item.at, secret });
        }
        let map = root.key(&keys::ADMIN_TOKENS);
        for field in root.entries(&keys::ADMIN_TOKENS) {
            let (name, at) = ((*field.key).into(), field.item.at);
            let secret = self.named_secret(field, &map);
            written.push(Written { name, key: format!("{map}.{}", field.key), at, secret });
        }
        written
    }

    fn token(
        &mut self,
        written: Written,
        known: &mut HashMap<Arc<str>, Location>,
    ) -> Option<NamedToken> {
        let Written { name, key, at, secret } = written;
        let secret = secret?;
        // A bearer token travels as text.
        let Ok(text) = std::str::from_utf8(secret.bytes()) else {
            let message = "the token is not UTF-8";
            let diagnostic = Diagnostic::new(DiagnosticCode::Secret, Some(at), message).key(key);
            self.diagnostics.push(diagnostic.accepted("one line of visible characters"));
            return None;
        };
        let text: Arc<str> = text.into();
        if let Some(first) = known.insert(Arc::clone(&text), at) {
            let message =
                "two names have the same token, so that the log could not tell them apart";
            let diagnostic = Diagnostic::new(DiagnosticCode::Conflict, Some(at), message).key(key);
            let diagnostic = diagnostic.accepted("a different token for each name");
            self.diagnostics.push(diagnostic.related(first, "the other"));
            return None;
        }
        Some(NamedToken { name, token: Token(text) })
    }
}
