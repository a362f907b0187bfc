//! What may be sent again: the replay table of `design/semantics.md` §5.
//!
//! It depends on what happened, not only on the method: nothing that may have been carried out is
//! repeated unless repeating it is harmless by definition, by key or by declaration.

use http::Method;

use crate::outcome::{Processing, StoppedBy};

/// What is known of a call when somebody asks whether it may be sent again.
#[derive(Clone, Copy, Debug)]
pub struct Repeatability<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Why repeating it would be harmless whatever its method.
    pub licence: Licence,
    /// Whether its body can be sent again.
    pub body: BodyState,
}

/// Why an unsafe method may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Licence {
    /// Nobody said it may.
    None,
    /// The request carries an idempotency key.
    Keyed,
    /// The operator declared the operation repeatable.
    Declared,
}

/// Whether a body can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// All of it is still here, or there was none.
    Replayable,
    /// Bytes of it are gone.
    Gone,
}

/// Whether the table allows another attempt.
///
/// # Errors
/// It does not; the reason says whether the meaning, the method or the body forbids it.
pub fn allowed(processing: Processing, call: &Repeatability<'_>) -> Result<(), StoppedBy> {
    match processing {
        Processing::Processed => return Err(StoppedBy::Final),
        Processing::Unknown if !repeats_harmlessly(call) => return Err(StoppedBy::Method),
        Processing::NotSent | Processing::NotProcessed | Processing::Unknown => {}
    }
    match call.body {
        BodyState::Replayable => Ok(()),
        BodyState::Gone => Err(StoppedBy::Body),
    }
}

/// Whether performing the call twice does no harm: RFC 9110 9.2.2, a key, or a declaration.
#[must_use]
pub fn repeats_harmlessly(call: &Repeatability<'_>) -> bool {
    call.licence != Licence::None || call.method.is_idempotent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        use BodyState::{Gone, Replayable};
        use Licence::{Declared, Keyed, None};
        use Processing::{NotProcessed, NotSent, Processed, Unknown};
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
            (Unknown, Method::POST, Keyed, Replayable, Ok(())),
            (Unknown, Method::POST, Declared, Replayable, Ok(())),
            (Unknown, Method::POST, Declared, Gone, Err(StoppedBy::Body)),
            (Processed, Method::GET, Declared, Replayable, Err(StoppedBy::Final)),
        ];
        for (processing, method, licence, body, expected) in rows {
            let call = Repeatability { method: &method, licence, body };
            assert_eq!(allowed(processing, &call), expected, "{processing:?} {call:?}");
        }
    }
}
