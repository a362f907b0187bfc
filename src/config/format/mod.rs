//! Formats of single values: text → typed value, or why not.
//!
//! A format knows its notation and its bounds; it does not know which settings use it.

mod amounts;
mod basic;
mod calendar;
mod condition;
mod guess;
mod json_place;
mod network;
mod parse;
mod quantity;
#[cfg(test)]
mod tests;
mod variables;

pub(super) use basic::{
    Count, Factor, Flag, FreeText, Headroom, LogLevel, Percent, Share, Token, Version, Word,
    Workers,
};
pub(super) use calendar::{ClockTime, Day, FirstDay, Zone};
pub(super) use condition::{HeaderText, QueryText};
pub(super) use json_place::JsonPlace;
pub(super) use network::{
    Address, Folder, Header, HeaderField, Host, HttpMethod, PathPattern, Prefix, UpstreamUrl, Url,
    origin_text,
};
pub(super) use parse::{AnyFormat, Format, Mismatch, to_yaml};
pub(super) use quantity::{CallLimit, Length, Limit, Rate, Size, Span};
pub(super) use variables::{variable, variable_inside};
