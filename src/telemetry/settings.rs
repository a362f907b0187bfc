//! What the logbook must know.

/// How much is written down.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The least important lines that are written: a level, or tracing's filter syntax.
    pub level: String,
    /// Which calls get a line.
    pub access: Access,
    /// What a line looks like.
    pub format: Format,
}

/// Which calls get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// None.
    None,
    /// Those that failed, were retried, or took more than a second of ours.
    #[default]
    ErrorsAndSlow,
    /// All.
    All,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}
