//! The problem: the one documented error shape and every code it can carry.
