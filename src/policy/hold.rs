//! A hold: a scope closed until a moment, and the one probe that opens it.
