//! Everything a response is judged by.

use std::time::SystemTime;

use crate::dialect::document::Document;
use crate::dialect::hint::{self, WaitHint};
use crate::outcome::{Facts, ResponseHead};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(super) head: ResponseHead<'a>,
    pub(super) document: &'a Document,
    pub(super) facts: &'a Facts,
    /// The wait in a header made for it.
    pub(super) retry_after: Option<WaitHint>,
    pub(super) wall: SystemTime,
}

impl<'a> Evidence<'a> {
    pub(crate) fn new(
        head: ResponseHead<'a>,
        document: &'a Document,
        facts: &'a Facts,
        wall: SystemTime,
    ) -> Self {
        let retry_after = hint::wait_header(head.headers, wall);
        Self { head, document, facts, retry_after, wall }
    }

    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// What `text` in a rule and the search for a wait in prose read: the message, else the whole
    /// body.
    pub(super) fn text(&self) -> &'a str {
        let message = self.facts.message.as_deref().filter(|_| self.facts.recognised);
        message.unwrap_or(&self.document.text)
    }
}
