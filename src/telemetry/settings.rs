//! The settings of the log.

#[derive(Clone, Debug)]
pub struct Settings {
    /// The least important lines that are written: a level, or tracing's filter syntax.
    pub level: String,
    pub access: Access,
    pub format: Format,
}

/// Which calls get a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    None,
    /// Calls that failed or were retried, and those that took or waited more than a second.
    #[default]
    ErrorsAndSlow,
    All,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    Text,
    Json,
}
