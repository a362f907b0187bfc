//! Settings: the composition of every room's own. They cannot be invalid.

use crate::{admin, gateway, server, telemetry, upstream};

/// Everything the program runs on.
#[derive(Debug)]
pub struct Settings {
    /// The front door.
    pub server: server::Settings,
    /// The window.
    pub admin: admin::Settings,
    /// The workshop.
    pub gateway: gateway::Settings,
    /// The back door; by the same numbers as the workshop's upstreams.
    pub upstreams: Vec<upstream::Settings>,
    /// The logbook.
    pub telemetry: telemetry::Settings,
}
