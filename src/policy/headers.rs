//! Which headers pass in each direction; what is removed, added and mapped back.
