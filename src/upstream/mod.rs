//! The back door: exchanges with upstreams over connections of our own.
