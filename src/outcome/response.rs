//! The head of a response, as much of it as classification needs.

use http::{HeaderMap, StatusCode};

#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
}

impl ResponseHead<'_> {
    #[must_use]
    pub fn is_error(self) -> bool {
        self.status.as_u16() >= 400
    }
}
