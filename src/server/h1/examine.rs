//! Request heads without a connection: for the fuzz targets and the differential test.

use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Body;

use super::request::{HeadParser, RequestHead};
use super::response::{self, ResponseContext};
use crate::http1::{HeaderCase, Length};
use crate::server::head::HeadLimits;

/// The parser of one connection's request heads.
#[derive(Debug)]
pub struct RequestHeads {
    parser: HeadParser,
    limits: HeadLimits,
}

/// A request head as the parser understands it.
#[derive(Debug)]
pub struct ExaminedRequest {
    pub request: Request<()>,
    pub body: Length,
    /// Whether another request may follow on the connection.
    pub persists: bool,
    pub spelling: HeaderCase,
    head: RequestHead,
}

impl RequestHeads {
    #[must_use]
    pub fn new(head_bytes_max: usize, headers_max: usize, target_bytes_max: usize) -> Self {
        let limits = HeadLimits { head_bytes_max, headers_max, target_bytes_max };
        Self { parser: HeadParser::default(), limits }
    }

    /// Takes the next head off `received` once it is complete.
    ///
    /// # Errors
    /// The name of the reason for which the head is rejected.
    pub fn take(&mut self, received: &mut BytesMut) -> Result<Option<ExaminedRequest>, String> {
        let mut request = Request::new(());
        let head = self.parser.take_head(received, &mut request, self.limits);
        let Some(head) = head.map_err(|rejected| format!("{:?}", rejected.error))? else {
            return Ok(None);
        };
        let received = Some(self.parser.take_original());
        let spelling = HeaderCase { received, configured: None };
        let (body, persists) = (head.body, head.keep_alive);
        Ok(Some(ExaminedRequest { request, body, persists, spelling, head }))
    }
}

/// The head of `response` as it is written to the client that sent `request`.
pub fn write_response<B: Body<Data = Bytes>>(
    request: &ExaminedRequest,
    response: &Response<B>,
    spelling: &HeaderCase,
) -> Vec<u8> {
    let (mut written, mut keep_alive) = (Vec::new(), request.head.keep_alive);
    let context =
        ResponseContext { request: &request.head, case: spelling, keep_alive: &mut keep_alive };
    response::write_head(&mut written, response, context, || SystemTime::UNIX_EPOCH);
    written
}
