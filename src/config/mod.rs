//! Configuration: text in, settings out.
//!
//! ```text
//! files, environment, --set, flags    layers            what is read, in which order
//!   → a document with locations       yaml, tree        what is written, and where
//!   → checked values, per layer       check             against the settings declared in keys
//!   → one tree                        merge             the config crate layers
//!   → with profiles beneath           profile           what is known of a vendor
//!   → Settings                        resolve           what depends on more than one value
//! ```
//!
//! A mistake does not end the reading: diagnostics are collected and shown together. No raw value
//! leaves this room, and no secret enters a message.

mod check;
mod diagnostic;
mod dialect_file;
mod environment;
mod files;
mod format;
mod item;
mod keys;
mod layers;
mod merge;
mod profile;
mod provenance;
mod render;
mod resolve;
mod schema;
mod secret;
mod settings;
mod show;
mod suggest;
mod synonyms;
mod tree;
mod yaml;

use std::net::SocketAddr;
use std::time::Duration;

pub use diagnostic::{DiagnosticCode, Diagnostics};
pub use dialect_file::dialect_in_file;
pub use environment::Environment;
pub use layers::{Flags, LoadRequest};
pub use profile::{BuiltInProfile, built_in_profiles};
pub use provenance::{EffectiveValue, Origin, Provenance};
pub use render::Colours;
pub use schema::schema;
pub use secret::SecretsRead;
pub use settings::{Loaded, Settings};
pub use tree::Position;

/// Reads and resolves the configuration.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(request: &LoadRequest, environment: &Environment) -> Result<Loaded, Box<Diagnostics>> {
    let mut diagnostics = Box::new(Diagnostics::default());
    let absence = layers::Absence::Error;
    let layers::Gathered { layers, unread } =
        layers::gather(request, environment, absence, &mut diagnostics);
    let merged = match merge::merge(&layers) {
        Ok(merged) => merged,
        Err(error) => {
            let message = format!("the layers cannot be merged: {error}");
            let code = DiagnosticCode::Layer;
            diagnostics.push(diagnostic::Diagnostic::new(code, None, message));
            return Err(diagnostics);
        }
    };
    let before = diagnostics.list.len();
    let merged = profile::apply(merged, &mut diagnostics);
    let loaded = resolve::resolve(&merged, environment, request.secrets, &mut diagnostics);
    loaded.ok_or_else(|| {
        if unread > 0 {
            diagnostics.forget_consequences(before);
        }
        diagnostics.sort();
        diagnostics
    })
}

/// A duration between two bounds, as the configuration writes it: `10m`.
///
/// # Errors
/// What is wrong with it, and what is accepted.
pub fn duration(text: &str, [min, max]: [Duration; 2]) -> Result<Duration, String> {
    let format = format::Span { min, max };
    format::Format::parse(&format, text).map_err(|mismatches| {
        let told = mismatches.into_iter().map(|it| format!("{}: {}", it.message, it.accepted));
        told.collect::<Vec<_>>().join("; ")
    })
}

/// The address of the admin listener of a gateway with this configuration. Nothing else in it
/// need be valid; without any configuration it is the default.
///
/// # Errors
/// A file cannot be read, or the address is not one.
pub fn admin_address(
    request: &LoadRequest,
    environment: &Environment,
) -> Result<SocketAddr, Box<Diagnostics>> {
    let mut diagnostics = Box::new(Diagnostics::default());
    let absence = layers::Absence::Defaults;
    let gathered = layers::gather(request, environment, absence, &mut diagnostics);
    let merged = Some(gathered.layers).filter(|_| gathered.unread == 0);
    let merged = merged.and_then(|layers| merge::merge(&layers).ok());
    merged.as_ref().and_then(resolve::admin_address).ok_or_else(|| {
        diagnostics.sort();
        diagnostics
    })
}

#[cfg(test)]
pub(crate) mod tests;
