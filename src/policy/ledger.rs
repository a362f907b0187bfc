//! The exact account of an allowance: which slots are occupied, and until when.
