//! Who goes first among those who wait.
