//! The workshop: the life of a call, one stage after the other.
