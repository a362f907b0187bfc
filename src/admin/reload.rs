//! What the admin listener knows of reloads.

use std::sync::Arc;

/// Loads the configuration again and returns its warnings; fails with what is wrong with it.
pub type Reload = Arc<dyn Fn() -> Result<Vec<String>, Vec<ReloadError>> + Send + Sync>;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadError {
    /// A stable name, for programs.
    pub code: &'static str,
    /// What is wrong, where, and what would be right.
    pub text: String,
}
