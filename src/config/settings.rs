//! What the program runs on: the settings of every room, which cannot be invalid.

use std::path::PathBuf;

use super::provenance::Provenance;
use crate::allowance::{StateSettings, StoreSettings};
use crate::{admin, gateway, server, telemetry, upstream};

/// A valid configuration.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// Where each value comes from.
    pub provenance: Provenance,
    /// What is valid and probably not intended.
    pub warnings: Vec<String>,
    /// The files and folders that were read, those that hold secrets and certificates included.
    pub files: Vec<PathBuf>,
}

#[derive(Debug)]
pub struct Settings {
    pub server: server::Settings,
    pub admin: admin::Settings,
    pub gateway: gateway::Settings,
    /// The connections to the vendors; numbered as the upstreams of the gateway.
    pub upstreams: Vec<upstream::Settings>,
    pub telemetry: telemetry::Settings,
    /// Where allowances are recorded, if they are.
    pub state: Option<StateSettings>,
    /// Where replicas share allowances, if they do.
    pub store: Option<StoreSettings>,
}
