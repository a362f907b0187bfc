//! The names of a head's lines as they were written.
//!
//! Names are compared without case and kept in lower case, but some servers look for `SOAPAction`
//! or `X-API-KEY` and for nothing else. So the written form is remembered beside the headers and
//! written again at the other end. A program writes its names alike in every head: what is known
//! is only compared, and copied when it changes. Values are not kept.

use std::sync::Arc;

use http::HeaderName;

/// An idle connection keeps so many bytes of names at most; most heads have fewer.
const KEPT_BYTES_MAX: usize = 1024;

/// The names of one head's lines, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    text: Vec<u8>,
    /// Where each of them ends in the text.
    ends: Vec<usize>,
}

impl Names {
    fn name(&self, number: usize) -> Option<&[u8]> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn push(&mut self, name: &[u8]) {
        self.text.extend_from_slice(name);
        self.ends.push(self.text.len());
    }
}

/// The names of the latest head of one end of a connection.
#[derive(Debug, Default)]
pub struct NameMemory {
    names: Arc<Names>,
}

impl NameMemory {
    /// Remembers the names of another head.
    pub fn learn<'a>(&mut self, written: impl Iterator<Item = &'a [u8]>) {
        let mut count = 0;
        for name in written {
            if self.names.name(count) != Some(name) {
                let names = Arc::make_mut(&mut self.names);
                names.truncate(count);
                names.push(name);
            }
            count += 1;
        }
        if count < self.names.ends.len() {
            Arc::make_mut(&mut self.names).truncate(count);
        }
    }

    /// Those of the latest head.
    #[must_use]
    pub fn latest(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }

    /// Lets go of what is large while the connection is idle.
    pub fn rest(&mut self) {
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
        Lookup { configured: self.configured.as_deref(), names: self.received.as_deref(), next: 0 }
    }
}

/// Finds the written form of names, quickest in the order in which they were written.
#[derive(Debug)]
pub struct Lookup<'a> {
    configured: Option<&'a str>,
    names: Option<&'a Names>,
    next: usize,
}

impl<'a> Lookup<'a> {
    /// The name as it is to be written: in lower case where nothing else is known.
    pub fn written<'n>(&mut self, name: &'n HeaderName) -> &'n [u8]
    where
        'a: 'n,
    {
        let lower = name.as_str().as_bytes();
        let is_it = |written: &[u8]| written.eq_ignore_ascii_case(lower);
        if let Some(configured) = self.configured
            && is_it(configured.as_bytes())
        {
            return configured.as_bytes();
        }
        let Some(names) = self.names else { return lower };
        if let Some(written) = names.name(self.next)
            && is_it(written)
        {
            self.next += 1;
            return written;
        }
        for number in 0..names.ends.len() {
            if let Some(written) = names.name(number)
                && is_it(written)
            {
                self.next = number + 1;
                return written;
            }
        }
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(memory: &mut NameMemory, names: &[&str]) -> Spelling {
        memory.learn(names.iter().map(|name| name.as_bytes()));
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
