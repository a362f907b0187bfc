//! The letterbox: text in, settings out.
//!
//! ```text
//! files, environment, --set, flags        layers      from where, in which order
//!   → a tree with places                  yaml, tree  what was written, and where
//!   → typed values, layer by layer        check       against the table in keys
//!   → one tree                            merge       the config crate decides who speaks
//!   → Settings                            resolve     what depends on more than one value
//! ```
//!
//! No fault ends the reading: all of them are collected and drawn together. Nothing raw leaves
//! this room, and no secret enters a message.

mod check;
mod defaults;
mod dialects;
mod draw;
mod elsewhere;
mod environment;
mod fault;
mod keys;
mod layers;
mod merge;
mod provenance;
mod resolve;
mod scalar;
mod schema;
mod secret;
mod settings;
mod show;
mod suggest;
mod tree;
mod yaml;

use std::net::SocketAddr;

pub use dialects::{DialectFault, Dialects};
pub use draw::Colours;
pub use environment::Environment;
pub use fault::{Faults, Sort};
pub use layers::{Flags, Request};
pub use provenance::{Known, Origin, Provenance};

pub use schema::schema;
pub use secret::SecretsRead;
pub use settings::Settings;
pub use tree::Position;

/// A configuration that is in order.
#[derive(Debug)]
pub struct Loaded {
    /// What the program runs on.
    pub settings: Settings,
    /// Which line each value comes from.
    pub provenance: Provenance,
    /// What is allowed and still deserves a word at start.
    pub warnings: Vec<String>,
}

/// Reads everything that was asked for.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(
    request: &Request,
    environment: &Environment,
    dialects: &Dialects,
) -> Result<Loaded, Box<Faults>> {
    let mut faults = Box::new(Faults::default());
    let absence = layers::Absence::Fault;
    let gathered = layers::gather(request, environment, absence, &mut faults);
    let layers::Gathered { layers, unread } = gathered;
    let merged = match merge::merge(&layers) {
        Ok(fields) => layers::whole(fields),
        Err(error) => {
            let message = format!("the layers do not fit together: {error}");
            faults.push(fault::Fault::new(Sort::Layer, None, message));
            return Err(faults);
        }
    };
    let given = resolve::Given { env: environment, dialects, secrets: request.secrets };
    let before = faults.list.len();
    match resolve::resolve(&merged, given, &mut faults) {
        Some(resolve::Resolved { settings, provenance, warnings }) => {
            Ok(Loaded { settings, provenance, warnings })
        }
        None => {
            if unread > 0 {
                faults.forget_consequences(before);
            }
            faults.sort();
            Err(faults)
        }
    }
}

/// Where the admin listener of a gateway on this configuration is; the rest of it need not be in
/// order, and without any it is the default.
///
/// # Errors
/// A file that cannot be read, or no address where one should be.
pub fn admin_address(
    request: &Request,
    environment: &Environment,
) -> Result<SocketAddr, Box<Faults>> {
    let mut faults = Box::new(Faults::default());
    let absence = layers::Absence::Defaults;
    let gathered = layers::gather(request, environment, absence, &mut faults);
    let layers = Some(gathered.layers).filter(|_| gathered.unread == 0);
    let merged = layers.and_then(|layers| Some(layers::whole(merge::merge(&layers).ok()?)));
    let address = match merged.as_ref().map(|merged| merged.find(["admin", "address"])) {
        Some(None) => return Ok(defaults::ADMIN_ADDRESS),
        Some(Some(check::Item { held: check::Held::Plain(value), .. })) => value.address(),
        Some(Some(_)) | None => None,
    };
    address.ok_or_else(|| {
        faults.sort();
        faults
    })
}

#[cfg(test)]
pub(crate) mod tests;
