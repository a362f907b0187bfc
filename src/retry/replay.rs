//! Replay safety: whether a request may be sent again, given what is known of its last attempt.
//!
//! Nothing that may have been carried out is repeated, unless repeating it is harmless by method
//! (RFC 9110 9.2.2), by idempotency key or by declaration.

use http::Method;

use crate::outcome::{Processing, StoppedBy};

/// What decides whether a call may be repeated.
#[derive(Clone, Copy, Debug)]
pub struct Repeatability<'a> {
    pub method: &'a Method,
    pub permission: RepeatPermission,
    pub body: BodyState,
}

/// Why a call may be repeated whatever its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatPermission {
    None,
    /// The request carries an idempotency key.
    IdempotencyKey,
    /// The operator has declared the operation repeatable.
    Declared,
}

/// Whether a body can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// It is buffered as a whole, or empty.
    Replayable,
    /// Bytes of it are gone.
    Gone,
}

/// Whether another attempt may be sent.
///
/// # Errors
/// It may not; the reason says whether the outcome, the method or the body forbids it.
pub fn may_resend(processing: Processing, call: &Repeatability<'_>) -> Result<(), StoppedBy> {
    let repeatable = call.permission != RepeatPermission::None || call.method.is_idempotent();
    match processing {
        Processing::Processed => return Err(StoppedBy::Final),
        Processing::Unknown if !repeatable => return Err(StoppedBy::Method),
        Processing::NotSent | Processing::NotProcessed | Processing::Unknown => {}
    }
    match call.body {
        BodyState::Replayable => Ok(()),
        BodyState::Gone => Err(StoppedBy::Body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again_depends_on_processing_method_permission_and_body() {
        use BodyState::{Gone, Replayable};
        use Processing::{NotProcessed, NotSent, Processed, Unknown};
        use RepeatPermission::{Declared, IdempotencyKey, None};
        let rows = [
            (NotSent, Method::POST, None, Replayable, Ok(())),
            (NotSent, Method::POST, None, Gone, Err(StoppedBy::Body)),
            (NotProcessed, Method::PATCH, None, Replayable, Ok(())),
            (NotProcessed, Method::PATCH, None, Gone, Err(StoppedBy::Body)),
            (Unknown, Method::GET, None, Replayable, Ok(())),
            (Unknown, Method::PUT, None, Replayable, Ok(())),
            (Unknown, Method::PUT, None, Gone, Err(StoppedBy::Body)),
            (Unknown, Method::POST, None, Replayable, Err(StoppedBy::Method)),
            (Unknown, Method::PATCH, None, Gone, Err(StoppedBy::Method)),
            (Unknown, Method::POST, IdempotencyKey, Replayable, Ok(())),
            (Unknown, Method::POST, Declared, Replayable, Ok(())),
            (Unknown, Method::POST, Declared, Gone, Err(StoppedBy::Body)),
            (Processed, Method::GET, Declared, Replayable, Err(StoppedBy::Final)),
        ];
        for (processing, method, permission, body, expected) in rows {
            let call = Repeatability { method: &method, permission, body };
            assert_eq!(may_resend(processing, &call), expected, "{processing:?} {call:?}");
        }
    }
}
