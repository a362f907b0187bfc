//! Every setting, declared once: name, format, bounds, default, reason and where it may stand.
//!
//! Adding one takes its declaration here, a line in `config/evenkeel.yaml` and its use. Doc
//! comments on declarations give the reason of the default; the text inside is what users read.

mod cost;
mod declare;
mod profile;
mod top;
mod units;
mod upstream;

pub(super) use cost::*;
pub(super) use declare::{
    Absent, Bare, Data, Declaration, Element, Groups, Key, Keys, Kind, List, Maps, Optional,
    SECRETS, SecretSetting, Setting,
};
pub(super) use profile::*;
pub(super) use top::*;
pub(super) use upstream::*;

/// What the names of upstreams, clients, allowances and dialects look like. Variables of the
/// environment and metrics use them too, so they are narrow.
pub(super) const NAMES: &str =
    "a name: lower-case letters, digits and `_`, a letter first, at most 64 characters";

pub(super) fn is_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(rest) && text.len() <= 64
}
