//! Request heads without a connection: for the fuzz targets and the differential test.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;

use super::request::{Head, Heads};
use super::response;
use crate::http1::{HeaderCase, Length};
use crate::server::head::Bounds;

/// The parser of one connection's request heads.
#[derive(Debug)]
pub struct RequestHeads {
    heads: Heads,
    bounds: Bounds,
}

/// A request head as the parser understands it.
#[derive(Debug)]
pub struct ExaminedRequest {
    pub request: Request<()>,
    pub body: Length,
    /// Whether another request may follow on the connection.
    pub persists: bool,
    pub spelling: HeaderCase,
    head: Head,
}

impl RequestHeads {
    #[must_use]
    pub fn new(head_bytes_max: usize, headers_max: usize, target_bytes_max: usize) -> Self {
        let bounds = Bounds { head_bytes_max, headers_max, target_bytes_max };
        Self { heads: Heads::default(), bounds }
    }

    /// Takes the next head off `received` once it is complete.
    ///
    /// # Errors
    /// The name of the reason for which the head is rejected.
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Option<ExaminedRequest>, String> {
        let mut request = Request::new(());
        let head = self.heads.take(received, &mut request, self.bounds);
        let Some(head) = head.map_err(|offending| format!("{:?}", offending.offence))? else {
            return Ok(None);
        };
        let received = Some(self.heads.take_original());
        let spelling = HeaderCase { received, configured: None };
        Ok(Some(ExaminedRequest {
            request,
            body: head.body,
            persists: head.persists,
            spelling,
            head,
        }))
    }
}

/// The head of `response` as it is written to the client that sent `request`.
pub fn write_response<B: Body<Data = Bytes>>(
    request: &ExaminedRequest,
    response: &Response<B>,
    spelling: &HeaderCase,
) -> Vec<u8> {
    let (mut written, mut keeps) = (Vec::new(), request.head.persists);
    let to = (&request.head, spelling);
    response::write(&mut written, response, to, &mut keeps, || SystemTime::UNIX_EPOCH);
    written
}
