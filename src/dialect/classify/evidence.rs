//! Everything a response is judged by.

use std::borrow::Cow;
use std::time::SystemTime;

use crate::dialect::document::{BodyFormat, Document};
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

    /// What `text` in a rule reads: the message, else the whole body.
    pub(super) fn text(&self) -> &'a str {
        let message = self.facts.message.as_deref().filter(|_| self.facts.recognised);
        message.unwrap_or(&self.document.text)
    }

    /// Everything that the vendor says, in which a wait may stand: of a page all of its text, else
    /// the message and the sentences beside it.
    pub(super) fn statements(&self) -> Cow<'a, str> {
        if self.document.format == BodyFormat::Html {
            return Cow::Borrowed(&self.document.text);
        }
        let children = self.facts.children.iter().filter_map(|child| child.message.as_deref());
        let beside = self.facts.beside.iter().map(String::as_str).chain(children);
        let said = self.text();
        let mut text = Cow::Borrowed(said);
        for more in beside.filter(|more| *more != said && more.contains(char::is_whitespace)) {
            let text = text.to_mut();
            text.push('\n');
            text.push_str(more);
        }
        text
    }
}
