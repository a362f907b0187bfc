//! The names of a head's lines as they were written.
//!
//! Names are compared without case and kept in lower case, but some servers look for `SOAPAction`
//! or `X-API-KEY` and for nothing else. So the written form is remembered beside the headers and
//! written again at the other end. A program writes its names alike in every head: what is known
//! is only compared, and copied when it changes. Values are not kept.

use std::ops::Range;
use std::sync::Arc;

use http::HeaderName;

/// An idle connection keeps so many bytes of names at most; most heads have fewer.
const KEPT_BYTES_MAX: usize = 1024;

/// The names of one head's lines, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    names: Vec<Name>,
    /// The written forms, one behind the other.
    text: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    name: HeaderName,
    /// Where its written form stands in the text.
    written: Range<usize>,
}

impl Names {
    fn written(&self, number: usize) -> Option<&[u8]> {
        self.names.get(number).map(|name| &self.text[name.written.clone()])
    }

    fn truncate(&mut self, count: usize) {
        self.names.truncate(count);
        self.text.truncate(self.names.last().map_or(0, |last| last.written.end));
    }

    fn push(&mut self, name: HeaderName, written: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(written);
        self.names.push(Name { name, written: start..self.text.len() });
    }
}

/// The names of the latest head of one end of a connection.
#[derive(Debug, Default)]
pub(super) struct NameMemory {
    names: Arc<Names>,
    /// How many of the head that is being read were learned.
    learned: usize,
}

impl NameMemory {
    /// Another head is to be read.
    pub(super) fn begin(&mut self) {
        self.learned = 0;
    }

    /// Learns the name of its next line.
    pub(super) fn learn(&mut self, name: &HeaderName, written: &[u8]) {
        if self.names.written(self.learned) != Some(written) {
            let names = Arc::make_mut(&mut self.names);
            names.truncate(self.learned);
            names.push(name.clone(), written);
        }
        self.learned += 1;
    }

    /// Those of the head that was read.
    pub(super) fn latest(&mut self) -> Arc<Names> {
        if self.learned < self.names.names.len() {
            Arc::make_mut(&mut self.names).truncate(self.learned);
        }
        Arc::clone(&self.names)
    }

    /// Lets go of what is large while the connection is idle.
    pub(super) fn rest(&mut self) {
        if KEPT_BYTES_MAX < self.names.text.capacity() {
            self.names = Arc::default();
        }
    }
}

/// How the names of a message are to be written.
#[derive(Clone, Debug, Default)]
pub struct Spelling {
    /// As the other end wrote them.
    pub received: Option<Arc<Names>>,
    /// As the configuration writes the one name that it adds or replaces.
    pub configured: Option<Arc<str>>,
}

impl Spelling {
    /// Looks names up, one after the other.
    #[must_use]
    pub fn lookup(&self) -> Lookup<'_> {
        let (names, text) = match &self.received {
            Some(received) => (&*received.names, &*received.text),
            None => (&[][..], &[][..]),
        };
        Lookup { configured: self.configured.as_deref(), names, text, next: 0 }
    }
}

/// Finds the written form of names, quickest in the order in which they were written.
#[derive(Debug)]
pub struct Lookup<'a> {
    configured: Option<&'a str>,
    names: &'a [Name],
    text: &'a [u8],
    next: usize,
}

impl<'a> Lookup<'a> {
    /// The name as it is to be written: in lower case where nothing else is known.
    #[inline]
    pub fn written<'n>(&mut self, name: &'n HeaderName) -> &'n [u8]
    where
        'a: 'n,
    {
        if let Some(configured) = self.configured
            && configured.eq_ignore_ascii_case(name.as_str())
        {
            return configured.as_bytes();
        }
        let found = match self.names.get(self.next) {
            Some(next) if next.name == *name => next,
            _ => match self.names.iter().position(|it| it.name == *name) {
                Some(number) => {
                    self.next = number;
                    &self.names[number]
                }
                None => return name.as_str().as_bytes(),
            },
        };
        self.next += 1;
        &self.text[found.written.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(memory: &mut NameMemory, names: &[&str]) -> Spelling {
        memory.begin();
        for name in names {
            memory.learn(&name.parse().unwrap(), name.as_bytes());
        }
        Spelling { received: Some(memory.latest()), configured: None }
    }

    fn written(spelling: &Spelling, names: &[&'static str]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
        let mut lookup = spelling.lookup();
        let written = names.iter().map(|name| String::from_utf8_lossy(lookup.written(name)).into());
        written.collect()
    }

    #[test]
    fn names_are_written_as_they_came() {
        let mut memory = NameMemory::default();
        let spelling = learned(&mut memory, &["Host", "SOAPAction", "x-api-KEY", "ETag"]);
        let found = written(&spelling, &["host", "soapaction", "x-api-key", "etag"]);
        assert_eq!(found, ["Host", "SOAPAction", "x-api-KEY", "ETag"]);
        let found = written(&spelling, &["etag", "via", "x-api-key", "host", "host"]);
        assert_eq!(found, ["ETag", "via", "x-api-KEY", "Host", "Host"], "in any order");
        assert_eq!(written(&Spelling::default(), &["host"]), ["host"]);
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let mut memory = NameMemory::default();
        let configured = Some(Arc::from("X-API-KEY"));
        let spelling = Spelling { configured, ..learned(&mut memory, &["Host", "X-Api-Key"]) };
        assert_eq!(written(&spelling, &["host", "x-api-key"]), ["Host", "X-API-KEY"]);
    }

    #[test]
    fn only_what_changes_is_learned_again() {
        let mut memory = NameMemory::default();
        let first = learned(&mut memory, &["Host", "A", "B"]).received.unwrap();
        let same = learned(&mut memory, &["Host", "A", "B"]).received.unwrap();
        assert!(Arc::ptr_eq(&first, &same));
        let heads: [&[&str]; 4] = [&["Host", "a"], &[], &["host", "A", "B", "C"], &["A", "Host"]];
        for names in heads {
            let alone = learned(&mut NameMemory::default(), names).received;
            assert_eq!(learned(&mut memory, names).received, alone, "{names:?}");
        }
        assert_eq!(*first, *same, "a head that is still in use stays as it is");
    }

    #[test]
    fn an_idle_connection_keeps_little() {
        let mut memory = NameMemory::default();
        let long = "X".repeat(2 * KEPT_BYTES_MAX);
        drop(learned(&mut memory, &[&long]));
        memory.rest();
        assert_eq!(memory.names.text.capacity(), 0);
    }
}
