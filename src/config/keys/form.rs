//! Short words for writing the table.

use std::time::Duration;

use super::{Fallback, Key, Kind, Scalar};
use crate::config::scalar::Plain;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    fallback: Fallback,
    doc: &'static str,
) -> Key {
    Key { name, kind, fallback, doc }
}

pub(super) const fn span(min: Duration, max: Duration) -> Kind {
    Kind::One(Scalar::Duration { min, max })
}

pub(super) const fn count(min: u64, max: u64) -> Kind {
    Kind::One(Scalar::Count { min, max })
}

pub(super) const fn size(min: u64, max: u64) -> Kind {
    Kind::One(Scalar::Size { min, max })
}

pub(super) const fn word(words: &'static [&'static str]) -> Kind {
    Kind::One(Scalar::Word(words))
}

pub(super) const fn means(words: &'static str) -> Fallback {
    Fallback::Means(words)
}

pub(super) fn text(text: &str) -> Plain {
    Plain::Text(text.into())
}

pub(super) fn header(name: &'static str) -> Plain {
    Plain::Header(http::HeaderName::from_static(name), name.into())
}

pub(super) const FILE_PATH: Kind =
    Kind::One(Scalar::Text { accepted: "the path of a file; a relative one starts at this file" });
pub(super) const DIALECT_NAME: Kind =
    Kind::One(Scalar::Text { accepted: "the name of a dialect, own or built in" });
pub(super) const INSIDE: Fallback = Fallback::Means("the defaults of its keys");
