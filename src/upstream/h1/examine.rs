//! Response heads without a connection: for the fuzz targets and the differential test.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http_body::Body;

use super::head::{self, Framing, HeadError, ReadHead};
use crate::http1::{HeaderCase, Lines};
use crate::upstream::request::RequestHead;
use crate::upstream::settings::ResponseLimits;

/// The parser of one connection's response heads.
#[derive(Debug)]
pub struct ResponseHeads {
    lines: Lines,
    limits: ResponseLimits,
}

/// A response head as the parser understands it.
#[derive(Debug)]
pub enum ExaminedResponse {
    Interim { status: StatusCode, headers: HeaderMap },
    Final { response: Response<()>, body: ResponseLength, spelling: HeaderCase },
}

/// How the end of a response's body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseLength {
    Exactly(u64),
    Chunks,
    Close,
}

/// Why a response head is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFault {
    Malformed,
    /// Over a limit of ours.
    TooLarge,
}

impl ResponseHeads {
    #[must_use]
    pub fn new(limits: ResponseLimits) -> Self {
        Self { lines: Lines::default(), limits }
    }

    /// Takes the next head off `received` once it is complete; `method` is the request's.
    ///
    /// # Errors
    /// The head is malformed, or exceeds a limit.
    pub fn take(
        &mut self,
        received: &mut BytesMut,
        method: &Method,
    ) -> Result<Option<ExaminedResponse>, ResponseFault> {
        let mut response = Response::new(());
        let read = head::read(received, &mut self.lines, method, self.limits, &mut response);
        let read = read.map_err(|error| match error {
            HeadError::Malformed(_) => ResponseFault::Malformed,
            HeadError::TooLarge(_) => ResponseFault::TooLarge,
        })?;
        Ok(match read {
            ReadHead::Incomplete => None,
            ReadHead::Interim(interim) => {
                let (status, headers) = (interim.status, interim.headers);
                Some(ExaminedResponse::Interim { status, headers })
            }
            ReadHead::Complete(info, original) => {
                let body = match info.framing {
                    Framing::Length(bytes) => ResponseLength::Exactly(bytes),
                    Framing::Chunks(_) => ResponseLength::Chunks,
                    Framing::Close => ResponseLength::Close,
                };
                let spelling = HeaderCase { received: Some(original), configured: None };
                Some(ExaminedResponse::Final { response, body, spelling })
            }
        })
    }
}

/// The head of a request with this body as it is written to an HTTP/1.1 upstream.
pub fn write_request<B: Body>(head: &RequestHead, body: &B, host: &HeaderValue) -> Vec<u8> {
    let mut written = Vec::new();
    head::write(&mut written, head, body, host, Version::HTTP_11);
    written
}
